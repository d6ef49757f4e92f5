import BotAPI
import ChatCommands
import Envelope
import JSON
import Payloads
import Stage
import System
import Texts
import Tracing

/// Answers what people write that is no command for another stage.
struct Talk: Sendable {
    let texts: Texts
    let settings: TalkSettings
    let cancelling: Cancelling
    let queries: Queries
    /// Command words of other stages, beside the usual ones.
    let knownWords: Set<String>
    let answersStrangers: Bool
    let passesAll: Bool

    /// The command words that tg-gate turns into events, or carries out.
    static let gateWords: Set<String> = [
        ".vdl", ".adl", ".img", ".whoami", ".bless", ".unbless", ".hammer", ".unhammer", ".grace", ".ungrace", ".smite",
        ".unsmite",
    ]
    static let ownWords: Set<String> = [
        ".start", ".help", ".lang", ".ask", ".prefer", ".stop", ".queue", ".usage", ".cookies",
    ]

    func decide(_ events: [Envelope]) async throws -> [Decision] {
        var decisions: [Decision] = []
        for event in events {
            decisions.append(try await Tracer.correlating(with: event) { try await decide(event) })
        }
        return decisions
    }

    private func decide(_ event: Envelope) async throws -> Decision {
        let answers: [Envelope]
        if event.type == AccessDenied.type {
            guard let denial = try? AccessDenied(event) else { return .forward }
            answers = try await answer(denial, event)
        } else {
            guard let payload = try? TelegramUpdate(event) else { return .forward }
            let update = Update(kind: payload.kind, body: payload.body)
            if let taken = try await cancelling.take(update, event) {
                return .replace(taken + (passesAll ? [event] : []))
            }
            guard update.isNewMessage, let message = update.message else { return .forward }
            // It may answer a question of media-ask, which has no buttons to show as an account.
            if event.account != nil, message.text.flatMap(WrittenNumber.of) != nil { return .forward }
            answers = try await answer(message, event)
        }
        return .replace(answers + (passesAll ? [event] : []))
    }

    // MARK: Messages of people who may use the bot

    private func answer(_ message: Message, _ event: Envelope) async throws -> [Envelope] {
        guard !message.isOfAnother, !event.isSentByProgram, let actor = event.actor, let text = message.text else {
            return []
        }
        let isPrivate = message.chatType == "private"
        // A link may be longer than any command.
        if isPrivate, event.bot != nil, let link = MediaSource.onlyLink(of: message) {
            return [try await download(link, actor, text)]
        }
        guard let command = WrittenCommand(text, bot: event.bot?.username), WrittenCommand.isMarked(command.word) else {
            return []
        }
        let words = knownWords.union(Talk.gateWords)
        guard !words.contains(command.word), !words.contains(command.dotted) else { return [] }
        let visit = Visit(event: event, actor: actor, isPrivate: isPrivate, isSlash: command.word.hasPrefix("/"))
        if command.dotted == ".stop" {
            let (events, reply) = try await cancelling.stop(message, event, word: visit.word("stop"))
            return events + (try await said(reply, visit))
        }
        if command.dotted == ".cookies" { return try await cookies(command, message, visit) }
        let reply: String? =
            switch command.dotted {
            case ".start": start(visit)
            case ".help": help(visit)
            case ".lang": try await language(command, visit)
            case ".ask": try await ask(command, visit)
            case ".prefer": try await prefer(command, visit)
            case ".queue":
                try await queries.queue(
                    actor.id, actor.language, isAdmin: visit.isAdmin, in: isPrivate ? nil : message.chatID)
            case ".usage": try await queries.usage(actor.id, actor.language)
            default: correction(command, visit)
            }
        return try await said(reply, visit)
    }

    /// Returns the events that answer with a text, unless the person has got too many answers.
    private func said(_ text: String?, _ visit: Visit) async throws -> [Envelope] {
        guard let text, try await mayAnswer(visit) else { return [] }
        return [.derived(TelegramCommand(.reply(TextMessage(text))))]
    }

    /// Holds what the answer to a message depends on.
    private struct Visit {
        let event: Envelope
        let actor: EventActor
        let isPrivate: Bool
        /// Is true if the person writes commands with a slash.
        let isSlash: Bool

        /// Returns a command word as the person writes it.
        func word(_ name: String) -> TextValue { .text((isSlash ? "/" : ".") + name) }

        var isAdmin: Bool { event.role == "admin" }

        /// Is true if a bot was written to: in private chats, it takes a link without a command for a request.
        var takesLinksAlone: Bool { event.bot != nil }
    }

    private func mayAnswer(_ visit: Visit) async throws -> Bool {
        if visit.isAdmin { return true }
        return try await settings.mayAnswer(visit.actor.id)
    }

    private func start(_ visit: Visit) -> String {
        texts.text(
            visit.takesLinksAlone ? "start" : "start_account", visit.actor.language,
            ["name": .text(visit.actor.name), "vdl": visit.word("vdl"), "help": visit.word("help")])
    }

    private func help(_ visit: Visit) -> String {
        let language = visit.actor.language
        var values = Dictionary(
            uniqueKeysWithValues: ["vdl", "adl", "img", "stop", "queue", "usage", "prefer"].map { ($0, visit.word($0)) }
        )
        values["link_alone"] = .raw(visit.takesLinksAlone ? texts.text("link_alone", language) : "")
        let text = texts.text("help", language, values)
        return visit.isAdmin ? "\(text)\n\n\(texts.text("help_admin", language))" : text
    }

    private func language(_ command: WrittenCommand, _ visit: Visit) async throws -> String {
        let current = texts.language(visit.actor.language) ?? Texts.defaultLanguage
        let names = texts.languages.filter { $0 != current }
            .map { "\($0) (\(Direction.isolated(texts.text("language_name", $0))))" }
        let list = TextValue.raw(names.joined(separator: ", "))
        guard let wanted = command.arguments.first else {
            return texts.text(
                "language_usage", current,
                ["languages": list, "command": visit.word("lang \(current == "de" ? "en" : "de")")])
        }
        guard let language = texts.language(wanted) else {
            return texts.text("language_unknown", current, ["languages": list])
        }
        try await settings.set(language: language, of: visit.actor.id)
        return texts.text("language_set", language)
    }

    private func ask(_ command: WrittenCommand, _ visit: Visit) async throws -> String {
        let language = visit.actor.language
        guard let word = command.arguments.first?.lowercased(), ["on", "off"].contains(word) else {
            return texts.text("ask_usage", language, ["command": visit.word("ask")])
        }
        guard visit.isPrivate || visit.isAdmin else { return texts.text("ask_admin_only", language) }
        let subject = visit.isPrivate ? visit.actor.id : visit.event.origin?.chat?.number
        if let subject { try await settings.set(asks: word == "on", in: subject) }
        return texts.text(word == "on" ? "ask_on" : "ask_off", language)
    }

    /// Shows or changes the form in which a person gets media.
    private func prefer(_ command: WrittenCommand, _ visit: Visit) async throws -> String {
        let language = visit.actor.language
        let usage = texts.text("prefer_usage", language, ["command": visit.word("prefer")])
        if command.arguments.isEmpty {
            return "\(preferred(try await settings.preferences(of: visit.actor.id), language))\n\(usage)"
        }
        guard let wanted = MediaPreferences.change(command.arguments) else {
            let words = command.arguments.joined(separator: " ")
            return texts.text(
                "misunderstood", language, ["word": .text(String(words.prefix(100))), "usage": .raw(usage)])
        }
        try await settings.set(wanted, of: visit.actor.id)
        return preferred(wanted, language)
    }

    private func preferred(_ preferences: MediaPreferences, _ language: String?) -> String {
        preferences == .none
            ? texts.text("prefer_none", language)
            : texts.text("prefer_now", language, ["words": .text(preferences.text)])
    }

    /// Returns the command about the cookies of sites, which media-fetch carries out; a text if there is none.
    private func cookies(_ command: WrittenCommand, _ message: Message, _ visit: Visit) async throws -> [Envelope] {
        let language = visit.actor.language
        let holder = [message, message.repliedTo].compactMap { $0 }.first { $0.file != nil }
        let file = holder?.file.flatMap { TelegramFile(.object($0)) }
        let refusal = visit.isAdmin ? visit.isPrivate ? nil : "cookies_private_only" : "access_only_admin"
        if let refusal {
            guard let holder, let file, Talk.mayDelete(file, of: holder, visit) else {
                return try await said(texts.text(refusal, language), visit)
            }
            // Also a file that is refused is a login. Where the bot may not delete it, its author has to.
            let note = visit.isPrivate ? "cookies_deleting" : "cookies_delete"
            let text = [refusal, note].map { texts.text($0, language) }.joined(separator: "\n")
            return try await said(text, visit) + [.derived(TelegramCommand(.delete(messageID: holder.id)))]
        }
        switch (command.arguments.first?.lowercased(), command.arguments.count, file) {
        case (nil, _, let file?): return [.derived(MediaCookies(.store(file, messageID: holder?.id)))]
        case (nil, _, nil): return [.derived(MediaCookies(.list))]
        case ("forget", 2, _): return [.derived(MediaCookies(.forget(site: command.arguments[1])))]
        default: return try await said(texts.text("cookies_usage", language, ["command": visit.word("cookies")]), visit)
        }
    }

    /// Returns whether a message with a refused login file is deleted. Somebody could answer the command to any message of others,
    /// and files of another size hold no cookies.
    private static func mayDelete(_ file: TelegramFile, of holder: Message, _ visit: Visit) -> Bool {
        guard visit.isAdmin || holder.author?.id == visit.actor.id else { return false }
        return file.type == "document" && file.sizeBytes ?? 0 <= MediaCookies.maxBytes
    }

    /// Returns the request that a bare link means, with the hashtags beside it.
    private func download(_ link: String, _ actor: EventActor, _ text: String) async throws -> Envelope {
        let (kind, source) = (MediaKind.video, DownloadSource.url(link))
        let wish = MediaWish(text.split(whereSeparator: \.isWhitespace).map(String.init))
            .completed(by: try await settings.preferences(of: actor.id), for: kind, of: source)
        var event = Envelope.derived(MediaDownload(kind: kind, source: source, variant: wish.variant.of(kind)))
        event.isWantedAsFile = wish.isFile == true
        event.hashtags = wish.hashtags
        return event
    }

    /// Returns the answer to a command that nobody knows; nil for words that may be meant for other bots, or for nobody.
    private func correction(_ command: WrittenCommand, _ visit: Visit) -> String? {
        let all = knownWords.union(Talk.ownWords).union(Talk.gateWords)
        let near = SimilarNames.nearest(to: command.dotted, among: all.sorted()).first
        let word = TextValue.text(command.word)
        guard let near else {
            return visit.isPrivate && visit.event.bot != nil
                ? texts.text("unknown_command", visit.actor.language, ["word": word]) : nil
        }
        let suggestion = visit.word(String(near.drop { $0 == "." }))
        return texts.text("suggested_command", visit.actor.language, ["word": word, "suggestion": suggestion])
    }

    // MARK: Strangers

    /// Answers a stranger who wrote to the bot itself, once an hour.
    private func answer(_ denial: AccessDenied, _ event: Envelope) async throws -> [Envelope] {
        if let id = denial.callbackID {
            guard let user = denial.userID, try await settings.mayAnswer(user) else { return [] }
            let text = texts.text("choice_not_yours", event.actor?.language)
            return [.derived(TelegramCommand(.answer(callbackID: id, text: text)))]
        }
        guard answersStrangers, event.bot != nil, denial.code == .stranger, let user = denial.userID, user > 0,
            let origin = event.origin, origin.messageID != nil
        else { return [] }
        let command = denial.text.flatMap { WrittenCommand($0, bot: event.bot?.username) }
        let isCommand = command.map { Talk.gateWords.union(Talk.ownWords).union(knownWords).contains($0.dotted) }
        guard origin.chatType == "private" || isCommand == true, try await settings.mayAnswer(stranger: user, event.id)
        else {
            return []
        }
        let text = texts.text(
            "denied", event.actor?.language, ["id": .text("\(user)"), "command": .text(".bless \(user)")])
        return [.derived(TelegramCommand(.reply(TextMessage(text))))]
    }
}
