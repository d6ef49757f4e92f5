import BotAPI
import ChatCommands
import JSON
import Payloads

/// Represents an access command of an admin. A user name in it is not yet resolved to an id.
struct AccessCommand: Sendable {
    enum Subject: Sendable, Equatable {
        case chat
        case user(Int64)
        case name(String)
    }

    let rule: AccessRule
    /// Is true if the rule is set; false removes it.
    let sets: Bool
    let subject: Subject
    /// The time for which the rule holds; nil for ever.
    let lasting: Duration?

    private struct Form {
        let rule: AccessRule
        let sets: Bool
        /// Is true if the command concerns a user; otherwise it concerns the chat.
        let isAboutUser: Bool
        let usage: String
        /// The command in a reply to a message of the user; nil if it concerns the chat.
        var reply: String?
        let defaultTerm: Duration?
    }

    private static let forms: [String: Form] = [
        ".grace": Form(rule: .grace, sets: true, isAboutUser: false, usage: ".grace [30d]", defaultTerm: nil),
        ".ungrace": Form(rule: .grace, sets: false, isAboutUser: false, usage: ".ungrace", defaultTerm: nil),
        ".smite": Form(rule: .smite, sets: true, isAboutUser: false, usage: ".smite", defaultTerm: nil),
        ".unsmite": Form(rule: .smite, sets: false, isAboutUser: false, usage: ".unsmite", defaultTerm: nil),
        ".bless": Form(
            rule: .bless, sets: true, isAboutUser: true, usage: ".bless @user [30d]", reply: ".bless [30d]",
            defaultTerm: .seconds(30 * 86_400)),
        ".unbless": Form(
            rule: .bless, sets: false, isAboutUser: true, usage: ".unbless @user", reply: ".unbless", defaultTerm: nil),
        ".hammer": Form(
            rule: .hammer, sets: true, isAboutUser: true, usage: ".hammer @user [1h]", reply: ".hammer [1h]",
            defaultTerm: .seconds(3600)),
        ".unhammer": Form(
            rule: .hammer, sets: false, isAboutUser: true, usage: ".unhammer @user", reply: ".unhammer",
            defaultTerm: nil),
    ]

    /// Returns whether a word is an access command.
    static func isOne(_ word: String) -> Bool { forms[word] != nil }

    /// Tells how a mistyped command is written.
    struct UsageError: Error, Sendable {
        let command: String
        /// The command in a reply to a message of the user; nil if it concerns the chat.
        let reply: String?
    }

    /// - Throws: `UsageError` with the forms of the command.
    init(_ written: WrittenCommand, in message: Message) throws(UsageError) {
        guard let form = AccessCommand.forms[written.dotted] else {
            throw UsageError(command: written.dotted, reply: nil)
        }
        let usage = UsageError(command: form.usage, reply: form.reply)
        var words = written.arguments[...]
        rule = form.rule
        sets = form.sets
        subject = form.isAboutUser ? try AccessCommand.user(&words, message, usage) : .chat
        lasting = form.sets ? try AccessCommand.term(&words, form, usage) : nil
        guard words.isEmpty else { throw usage }
    }

    private static func user(
        _ words: inout ArraySlice<String>, _ message: Message, _ usage: UsageError
    ) throws(UsageError) -> Subject {
        // A mention of somebody without a user name has the id in its entity, and any words as its text.
        if let mention = message.entities.first(where: { $0.entity["type"] == "text_mention" }),
            let id = mention.entity["user"]?["id"]?.int
        {
            let count = mention.text.split(whereSeparator: \.isWhitespace).count
            words = words.dropFirst(count)
            return .user(id)
        }
        if let first = words.first, first.hasPrefix("@") {
            words = words.dropFirst()
            guard (2...33).contains(first.count) else { throw usage }
            return .name(String(first.dropFirst()))
        }
        // In a reply, a bare number is a duration without its unit, not an id.
        if let author = message.repliedTo?.author { return .user(author.id) }
        guard let first = words.first, let id = Int64(first), id > 0 else { throw usage }
        words = words.dropFirst()
        return .user(id)
    }

    private static func term(
        _ words: inout ArraySlice<String>, _ form: Form, _ usage: UsageError
    ) throws(UsageError) -> Duration? {
        guard let word = words.first else { return form.defaultTerm }
        // A chat is smitten until it is unsmitten.
        guard form.rule != .smite, let term = Duration(spanText: word) else { throw usage }
        words = words.dropFirst()
        return term
    }
}
