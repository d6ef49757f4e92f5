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

    /// Returns one decision for each event, in order.
    ///
    /// Redis is asked once for a whole run of events. A run ends with an event that may change access rules.
    func decide(_ events: [Envelope]) async throws -> [Decision] {
        try await decide(events.map { .success(Request($0, admins: admins)) })
    }

    /// Is true if the gate needs no more than the heads of events until it decides: nothing is published of the events themselves, and they are
    /// not followed one by one.
    var readsPlainEvents: Bool { !publishes(TelegramUpdate.type) && !runtime.tracer.followsEachEvent }

    /// Reads events of which only the heads have been read; decides on them when the result is called.
    ///
    /// - Parameter reader: reads events without parsing them, where that is enough.
    func ask(_ heads: [EventHead], _ reader: PlainEventReader) -> @Sendable () async throws -> [Decision] {
        let requests = heads.map { head in
            if let plain = reader.read(head) { return Reading.success(plain) }
            return Result { () throws(MalformedInput) in Request(try head.envelope(), admins: admins) }
        }
        return { try await self.decide(requests) }
    }

    /// Represents an event that was read; nil if it has no update.
    private typealias Reading = Result<Request?, MalformedInput>

    private func decide(_ readings: [Reading]) async throws -> [Decision] {
        let requests = readings.map { try? $0.get() }
        var decisions: [Decision] = []
        decisions.reserveCapacity(requests.count)
        for run in Gate.runs(of: requests) { decisions += try await decide(requests[run]) }
        for (index, reading) in readings.enumerated() {
            if case .failure(let fault) = reading { decisions[index] = .refuse(fault) }
        }
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
        decisions.reserveCapacity(requests.count)
        for request in requests {
            guard let request, let standing = standings.next() else {
                decisions.append(.refuse(.noUpdate))
                continue
            }
            decisions.append(try await decide(request, standing))
        }
        return try await limitingReplies(decisions, to: requests.map { $0?.actor?.id })
    }

    /// Returns the decision on one event with the rules that apply to it.
    func decide(_ request: Request, _ standing: Standing) async throws -> Decision {
        let answer = answer(to: request, standing)
        if let decision = decideAtOnce(request, answer) { return decision }
        return try await decide(request, answer, standing)
    }

    /// Tells what the gate does about an event.
    private enum Answer {
        case denied(AccessDenied.Code, String)
        case whoami(Access)
        case allowed(Visitor, Work)
    }

    /// Tells what the gate does for a user who is allowed.
    private enum Work {
        case nothing
        case changeRules(WrittenCommand)
        case reply(String)
        case command(CommandPayload)
    }

    private func answer(to request: Request, _ standing: Standing) -> Answer {
        let access = access(of: request, standing)
        if request.command?.dotted == ".whoami" { return .whoami(access) }
        switch access {
        case .denied(let code, let reason): return .denied(code, reason)
        case .granted(let role):
            let visitor = Visitor(
                role: role, language: standing.language ?? request.languageCode,
                preferences: notedPreferences(of: request) ?? standing.preferences)
            return .allowed(visitor, work(for: request, visitor))
        }
    }

    /// Decides on a plain event, unless the whole event is needed.
    private func decideAtOnce(_ request: Request, _ answer: Answer) -> Decision? {
        guard case .plain(let plain) = request.source else { return nil }
        switch answer {
        case .denied(_, let reason) where !publishes(AccessDenied.type):
            // Only the line of the log needs the correlation.
            guard runtime.log.logLevel <= .info else { return .drop }
            Tracer.correlating(with: plain.cause) { logDenial(request, reason) }
            return .drop
        case .allowed(_, .nothing): return .replace([])
        case .allowed(let visitor, .command(let command)):
            let envelope = Tracer.correlating(with: plain.cause) { derived(command, request, visitor) }
            var line: [UInt8] = []
            line.reserveCapacity(512 + plain.meta.count)
            envelope.write(to: &line, firstMeta: plain.meta)
            return .write(line)
        default: return nil
        }
    }

    private func decide(_ request: Request, _ answer: Answer, _ standing: Standing) async throws -> Decision {
        let (event, update): (Envelope, Update)
        do { (event, update) = try request.parsed(admins: admins) } catch { return .refuse(error) }
        return try await Tracer.correlating(with: event) {
            let language = standing.language ?? request.languageCode
            switch answer {
            case .denied(let code, let reason): return denied(request, update, code, reason, language)
            case .whoami(let access):
                guard let message = update.message else { return .drop }
                return .replace([try await whoami(message, access, standing, language)])
            case .allowed(let visitor, let work):
                var results = try await results(of: work, request, event, update, visitor)
                if publishes(TelegramUpdate.type) { results.append(admitted(event, request, visitor)) }
                return .replace(results)
            }
        }
    }

    private func results(
        of work: Work, _ request: Request, _ event: Envelope, _ update: Update, _ visitor: Visitor
    ) async throws -> [Envelope] {
        guard let message = update.message else { return [] }
        switch work {
        case .nothing: return []
        case .changeRules(let command):
            return try await change(command, message, update, visitor, receiver: event.account)
        case .reply(let text): return [reply(text, message)]
        case .command(let command): return [derived(command, request, visitor)]
        }
    }

    /// Returns what the author of an event has just set as preferences, with this event or one before it.
    private func notedPreferences(of request: Request) -> MediaPreferences? {
        // Without the raw events, nobody stores the preference either.
        guard publishes(TelegramUpdate.type), let user = request.actor?.id else { return nil }
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

    private func access(of request: Request, _ standing: Standing) -> Access {
        guard let actor = request.actor else { return .denied(.noSender, "the update has no sender") }
        if admins.contains(actor.id) { return .granted(.admin) }
        if standing.hammered.holds { return .denied(.hammered, "hammered") }
        if standing.smitten.holds { return .denied(.smitten, "the chat is smitten") }
        if standing.blessed.holds { return .granted(.blessed) }
        // Two bots in one chat that obey each other would never end.
        if standing.graced.holds, request.isFromBot {
            return .denied(.bot, "a bot, which a graced chat does not allow")
        }
        if standing.graced.holds { return .granted(.graced) }
        return .denied(.stranger, "neither blessed nor in a graced chat")
    }

    /// Returns what an allowed command asks for; nothing for other messages.
    private func work(for request: Request, _ visitor: Visitor) -> Work {
        guard let command = request.command else { return .nothing }
        if AccessCommand.isOne(command.dotted) { return .changeRules(command) }
        guard var type = table.type(of: command.word), publishes(type) else { return .nothing }
        guard CommandPayload.isMediaCommand(type) else {
            let source = request.mediaSource(command)
            return .command(CommandPayload(type: type, source: source, words: command.arguments))
        }
        var wish = MediaWish(command)
        if let word = wish.misunderstood {
            let usage = usage(of: command, visitor)
            return .reply(
                texts.text("misunderstood", visitor.language, ["word": .text(word), "usage": .raw(usage)]))
        }
        let rest = WrittenCommand(word: command.word, arguments: wish.rest)
        guard let source = request.mediaSource(rest) else { return .reply(usage(of: command, visitor)) }
        // `.vdl mp3` means sound; a command of one's own keeps its type.
        if let kind = MediaDownload.kind(of: type) {
            let wanted = wish.kind ?? kind
            type = MediaDownload.type(of: wanted)
            wish = wish.completed(by: visitor.preferences, for: wanted, of: source)
        }
        return .command(CommandPayload(type: type, source: source, words: wish.rest, wish: wish))
    }

    private func usage(of command: WrittenCommand, _ visitor: Visitor) -> String {
        texts.text("usage", visitor.language, ["command": .text(command.word)])
    }

    private func derived(_ command: CommandPayload, _ request: Request, _ visitor: Visitor) -> Envelope {
        var envelope = Envelope.derived(type: command.type, payload: command.json)
        attach(request, visitor, to: &envelope)
        envelope.isWantedAsFile = command.wish.isFile == true
        envelope.hashtags = command.wish.hashtags
        runtime.log.info(
            "\(command.type)",
            metadata: ["actor": .stringConvertible(request.actor?.id ?? 0), "role": "\(visitor.role.rawValue)"])
        return envelope
    }

    private func admitted(_ event: Envelope, _ request: Request, _ visitor: Visitor) -> Envelope {
        var event = event
        attach(request, visitor, to: &event)
        return event
    }

    private func attach(_ request: Request, _ visitor: Visitor, to event: inout Envelope) {
        event.actor = request.actor.map { EventActor($0, language: visitor.language) }
        event.role = visitor.role.rawValue
        event.origin = request.origin
    }

    private func denied(
        _ request: Request, _ update: Update, _ code: AccessDenied.Code, _ reason: String, _ language: String?
    ) -> Decision {
        logDenial(request, reason)
        guard publishes(AccessDenied.type) else { return .drop }
        let denial = AccessDenied(
            reason: reason, code: code, userID: request.actor?.id, chatID: request.visit.chat,
            text: update.message?.text, callbackID: update.kind == "callback_query" ? update.body["id"]?.string : nil)
        var event = Envelope.derived(denial)
        event.actor = request.actor.map { EventActor($0, language: language) }
        event.origin = request.origin
        return .replace([event])
    }

    private func logDenial(_ request: Request, _ reason: String) {
        let isCommand =
            request.command.map { table.type(of: $0.word) != nil || AccessCommand.isOne($0.dotted) } ?? false
        runtime.log.log(
            level: isCommand ? .info : .debug, "denied: \(reason)",
            metadata: [
                "actor": .stringConvertible(request.actor?.id ?? 0),
                "chat": .stringConvertible(request.visit.chat ?? 0),
            ])
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
