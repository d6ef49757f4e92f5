import BotAPI
import ChatCommands
import Envelope
import JSON
import Logging
import Payloads
import Stage
import Texts
import Tracing

/// Decides who is allowed, and turns commands into events.
struct Gate: Sendable {
    private static let replyType = TelegramCommand.type(of: .reply)

    let runtime: Runtime
    let admins: Set<Int64>
    let table: CommandTable
    let rules: AccessRules
    let names: NameLookup
    let texts: Texts
    let published: [TopicPattern]
    let recentPreferences = RecentPreferences()

    /// Represents one event of a batch, read as far as the gate needs it.
    struct Request: Sendable {
        let event: Envelope
        let update: Update
        /// The command that the message's author gives; nil for edited and forwarded messages, and for messages that a
        /// program sent through the account, which give none.
        let command: WrittenCommand?
        /// Is true if the event may change access rules, which the next event depends on.
        let changesRules: Bool

        init?(_ event: Envelope, admins: Set<Int64>) {
            guard let payload = try? TelegramUpdate(event) else { return nil }
            (self.event, update) = (event, Update(kind: payload.kind, body: payload.body))
            let message = update.isNewMessage ? update.message : nil
            let bot = event.bot?.username
            let isByHand = !event.isSentByProgram
            command = message.flatMap { message in
                isByHand && !message.isOfAnother ? message.text.flatMap { WrittenCommand($0, bot: bot) } : nil
            }
            changesRules =
                command.map { AccessCommand.isOne($0.dotted) } == true
                && update.actor.map { admins.contains($0.id) } == true
        }

        fileprivate var visit: AccessRules.Visit {
            AccessRules.Visit(
                actor: update.actor?.id, appearances: update.actorIDs, chat: update.chatID,
                seen: update.describedUsers,
                migration: update.isNewMessage ? update.message?.migration : nil)
        }
    }

    /// Returns one decision for each event, in order.
    ///
    /// Redis is asked once for a whole run of events. A run ends with an event that may change access rules.
    func decide(_ events: [Envelope]) async throws -> [Decision] {
        let requests = events.map { Request($0, admins: admins) }
        var decisions: [Decision] = []
        decisions.reserveCapacity(events.count)
        for run in Gate.runs(of: requests) { decisions += try await decide(requests[run]) }
        return decisions
    }

    /// Splits a batch behind each event that may change access rules.
    static func runs(of requests: [Request?]) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        var start = 0
        for (index, request) in requests.enumerated() where request?.changesRules == true {
            runs.append(start..<index + 1)
            start = index + 1
        }
        if start < requests.count { runs.append(start..<requests.count) }
        return runs
    }

    private func decide(_ requests: ArraySlice<Request?>) async throws -> [Decision] {
        var standings = try await rules.admit(requests.compactMap { $0?.visit }).makeIterator()
        var decisions: [Decision] = []
        for request in requests {
            guard let request, let standing = standings.next() else {
                decisions.append(
                    .refuse(MalformedInput(.invalidPayload, "\(TelegramUpdate.type): the payload is not an update")))
                continue
            }
            decisions.append(
                try await Tracer.correlating(with: request.event) { try await decide(request, standing) })
        }
        return try await limitingReplies(decisions, to: requests.map { $0?.update.actor?.id })
    }

    private func decide(_ request: Request, _ standing: Standing) async throws -> Decision {
        let update = request.update
        let access = access(of: update, standing)
        let language = standing.language ?? update.languageCode
        if let command = request.command, command.dotted == ".whoami", let message = update.message {
            return .replace([try await whoami(message, access, standing, language)])
        }
        guard case .granted(let role) = access else { return denied(update, access, request.command, language) }
        let visitor = Visitor(
            role: role, language: language, preferences: notedPreferences(of: request) ?? standing.preferences)
        var results = try await results(of: request, visitor)
        if publishes(TelegramUpdate.type) { results.append(admitted(request.event, update, visitor)) }
        return .replace(results)
    }

    /// Returns what the author of an event has just set as preferences, with this event or one before it.
    private func notedPreferences(of request: Request) -> MediaPreferences? {
        // Without the raw events, nobody stores the preference either.
        guard publishes(TelegramUpdate.type), let user = request.update.actor?.id else { return nil }
        if let command = request.command, command.dotted == ".prefer", table.type(of: command.word) == nil,
            let wanted = MediaPreferences.change(command.arguments)
        {
            recentPreferences.note(wanted, of: user)
        }
        return recentPreferences[user]
    }

    /// Drops replies over the per-user limit: only an admin may make the bot send any number of messages to a chat.
    private func limitingReplies(_ decisions: [Decision], to actors: [Int64?]) async throws -> [Decision] {
        var receivers: [Int64?] = []
        for (decision, actor) in zip(decisions, actors) {
            guard case .replace(let results) = decision, !isAdmin(actor) else { continue }
            receivers += results.filter { $0.type == Gate.replyType }.map { _ in actor }
        }
        guard !receivers.isEmpty else { return decisions }
        var isWithinLimit = try await rules.countReplies(to: receivers).makeIterator()
        return zip(decisions, actors).map { decision, actor in
            guard case .replace(let results) = decision, !isAdmin(actor) else { return decision }
            return .replace(results.filter { $0.type != Gate.replyType || isWithinLimit.next() == true })
        }
    }

    private func isAdmin(_ id: Int64?) -> Bool { id.map(admins.contains) ?? false }

    private func access(of update: Update, _ standing: Standing) -> Access {
        guard let actor = update.actor else { return .denied(.noSender, "the update has no sender") }
        if admins.contains(actor.id) { return .granted(.admin) }
        if standing.hammered.holds { return .denied(.hammered, "hammered") }
        if standing.smitten.holds { return .denied(.smitten, "the chat is smitten") }
        if standing.blessed.holds { return .granted(.blessed) }
        // Two bots in one chat that obey each other would never end.
        if standing.graced.holds, update.isFromBot { return .denied(.bot, "a bot, which a graced chat does not allow") }
        if standing.graced.holds { return .granted(.graced) }
        return .denied(.stranger, "neither blessed nor in a graced chat")
    }

    /// Returns the events for an allowed command; none for other messages.
    private func results(of request: Request, _ visitor: Visitor) async throws -> [Envelope] {
        let update = request.update
        guard let command = request.command, let message = update.message else { return [] }
        if AccessCommand.isOne(command.dotted) {
            return try await change(command, message, update, visitor, receiver: request.event.account)
        }
        guard var type = table.type(of: command.word), publishes(type) else { return [] }
        guard CommandPayload.isMediaCommand(type) else {
            let source = MediaSource.find(in: message, command)
            return [derived(CommandPayload(type: type, source: source, words: command.arguments), update, visitor)]
        }
        var wish = MediaWish(command)
        if let word = wish.misunderstood {
            let usage = usage(of: command, visitor)
            return [
                reply(
                    texts.text("misunderstood", visitor.language, ["word": .text(word), "usage": .raw(usage)]), message)
            ]
        }
        let rest = WrittenCommand(word: command.word, arguments: wish.rest)
        guard let source = MediaSource.find(in: message, rest) else {
            return [reply(usage(of: command, visitor), message)]
        }
        // `.vdl mp3` means sound; a command of one's own keeps its type.
        if let kind = MediaDownload.kind(of: type) {
            let wanted = wish.kind ?? kind
            type = MediaDownload.type(of: wanted)
            wish = wish.completed(by: visitor.preferences, for: wanted, of: source)
        }
        return [derived(CommandPayload(type: type, source: source, words: wish.rest, wish: wish), update, visitor)]
    }

    private func usage(of command: WrittenCommand, _ visitor: Visitor) -> String {
        texts.text("usage", visitor.language, ["command": .text(command.word)])
    }

    private func derived(_ command: CommandPayload, _ update: Update, _ visitor: Visitor) -> Envelope {
        var envelope = Envelope.derived(type: command.type, payload: command.json)
        attach(update, visitor, to: &envelope)
        envelope.isWantedAsFile = command.wish.isFile == true
        envelope.hashtags = command.wish.hashtags
        runtime.log.info(
            "\(command.type)",
            metadata: ["actor": .stringConvertible(update.actor?.id ?? 0), "role": "\(visitor.role.rawValue)"])
        return envelope
    }

    private func admitted(_ event: Envelope, _ update: Update, _ visitor: Visitor) -> Envelope {
        var event = event
        attach(update, visitor, to: &event)
        return event
    }

    private func attach(_ update: Update, _ visitor: Visitor, to event: inout Envelope) {
        event.actor = (update.actor).map { EventActor($0, language: visitor.language) }
        event.role = visitor.role.rawValue
        event.origin = (update.message).map { EventOrigin($0) }
    }

    private func denied(_ update: Update, _ access: Access, _ command: WrittenCommand?, _ language: String?) -> Decision
    {
        guard case .denied(let code, let reason) = access else { return .drop }
        let isCommand = command.map { table.type(of: $0.word) != nil || AccessCommand.isOne($0.dotted) } ?? false
        runtime.log.log(
            level: isCommand ? .info : .debug, "denied: \(reason)",
            metadata: [
                "actor": .stringConvertible(update.actor?.id ?? 0), "chat": .stringConvertible(update.chatID ?? 0),
            ])
        guard publishes(AccessDenied.type) else { return .drop }
        let denial = AccessDenied(
            reason: reason, code: code, userID: update.actor?.id, chatID: update.chatID, text: update.message?.text,
            callbackID: update.kind == "callback_query" ? update.body["id"]?.string : nil)
        var event = Envelope.derived(denial)
        event.actor = (update.actor).map { EventActor($0, language: language) }
        event.origin = (update.message).map { EventOrigin($0) }
        return .replace([event])
    }

    func publishes(_ type: String) -> Bool { published.contains { $0.matches(type) } }

    /// Returns a reply in the chat. It is published whatever is subscribed to, since it is the gate's own work.
    func reply(_ text: String, _ message: Message) -> Envelope {
        command(.reply(TextMessage(text)), message)
    }

    /// Returns a command to Telegram that concerns a message.
    func command(_ body: TelegramCommand.Body, _ message: Message) -> Envelope {
        var envelope = Envelope.derived(TelegramCommand(body))
        envelope.origin = EventOrigin(message)
        return envelope
    }
}

extension EventActor {
    init(_ party: Party, language: String? = nil) {
        self.init(id: party.id, username: party.username, name: party.name, language: language)
    }
}

extension EventOrigin {
    init(_ message: Message) {
        self.init(
            chat: .id(message.chatID), messageID: message.id, threadID: message.threadID, chatType: message.chatType)
    }
}

/// Tells why a user is allowed.
enum Role: String, Sendable {
    case admin, blessed, graced
}

/// Tells whether the author of an event is allowed.
enum Access: Sendable {
    case granted(Role)
    /// The author is not allowed, for this reason.
    case denied(AccessDenied.Code, String)
}

/// Describes a user who is allowed.
struct Visitor: Sendable {
    let role: Role
    /// The language in which the user wants answers, if it is known.
    let language: String?
    let preferences: MediaPreferences
}
