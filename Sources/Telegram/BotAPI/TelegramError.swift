import HTTP
import JSON
package import System

/// Reports why a call to Telegram failed. Telegram's error texts are parsed only here, and for accounts in
/// `TelegramError+Account`.
package struct TelegramError: ReportableError, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// The call has to wait for exactly `retryAfter`.
        case floodWait = "flood_wait"
        /// Another process polls for the same bot, or a webhook is set.
        case conflict
        case unauthorized
        case forbidden
        case badRequest = "bad_request"
        /// The chat, or this message, does not take the reaction.
        case reactionRefused = "reaction_refused"
        /// The topic is closed or deleted.
        case topicGone = "topic_gone"
        /// The message has the requested text already.
        case notModified = "not_modified"
        /// The message to edit, delete, react to or reply to no longer exists, or is too old.
        case messageNotFound = "message_not_found"
        /// The file_id belongs to another bot, has another type, or is no longer accepted.
        case fileRefused = "file_refused"
        case tooLarge = "too_large"
        /// Telegram failed; another attempt may succeed.
        case server
        case network
        /// The file to send cannot be read from its store now.
        case storage
        case localIO = "local_io"
        case protocolBroken = "protocol_broken"
        /// Something else has answered in Telegram's place: a proxy, or another server at this address.
        case foreignAnswer = "foreign_answer"
        /// This process has not made the call, since it is another one's by now.
        case notMade = "not_made"
    }

    package let code: Code
    /// Telegram's error code (400, 403, 429, …); 0 when there was no answer.
    package let number: Int
    /// One line, without the token.
    package let message: String
    package let retryAfter: Duration?
    /// The call of an account that has to wait: its method, and the text of Telegram's error.
    package var waitingCall: (method: String, reason: String)?
    /// The id of the supergroup that the called group has become.
    let migratedTo: Int64?
    /// Is true if the call may have sent a message: it reached Telegram, and its answer was lost.
    package private(set) var isOutcomeUnknown = false
    /// The id of the sent message, if the beginning of a lost answer shows it.
    package private(set) var sentMessageID: Int64?
    /// Is true if nothing of the call reached Telegram.
    private var isUnsent = false

    package init(_ code: Code, number: Int = 0, _ message: String, retryAfter: Duration? = nil) {
        self.init(code, number: number, message, retryAfter: retryAfter, migratedTo: nil)
    }

    private init(_ code: Code, number: Int, _ message: String, retryAfter: Duration?, migratedTo: Int64?) {
        self.code = code
        self.number = number
        self.message = message
        self.retryAfter = retryAfter
        self.migratedTo = migratedTo
    }

    package var isTransient: Bool {
        switch code {
        case .floodWait, .server, .network, .storage, .conflict, .foreignAnswer: true
        default: false
        }
    }

    package var exitStatus: ExitStatus {
        switch code {
        case .floodWait, .conflict: .tryAgain
        case .unauthorized, .forbidden: .authenticationRefused
        case .server, .network, .storage: .unavailable
        case .protocolBroken, .foreignAnswer: .protocolBroken
        case .localIO: .localIO
        default: .no
        }
    }

    package var description: String { message }
}

extension TelegramError: OutageSign {
    package var suspectedOutage: SuspectedOutage? {
        switch code {
        case .network, .server, .foreignAnswer: SuspectedOutage(.telegram, isCertain: isUnsent)
        default: nil
        }
    }

    package var outageReason: String { message }
}

extension TelegramError {
    /// The same failure of a call that can be repeated without harm.
    package var repeatable: TelegramError {
        var error = self
        (error.isOutcomeUnknown, error.sentMessageID) = (false, nil)
        return error
    }

    /// The failure of a call whose answer ends early.
    static func cutAnswer(_ body: [UInt8]) -> TelegramError {
        var error = TelegramError(.network, "Telegram's answer was cut off")
        error.isOutcomeUnknown = true
        error.sentMessageID = messageID(in: body)
        return error
    }

    /// The failure of a call that something else has answered in Telegram's place, such as a proxy with a page of its own.
    static func foreignAnswer(_ status: Int) -> TelegramError {
        var error = TelegramError(
            .foreignAnswer, number: status, "the answer is not a Bot API server's (HTTP status \(status))")
        // What answers with an error has not passed the call on.
        error.isOutcomeUnknown = status < 400
        return error
    }

    /// Reads the id of a sent message from the beginning of an answer, which Telegram writes first.
    private static func messageID(in body: [UInt8]) -> Int64? {
        let start = Array(#"{"ok":true,"result":{"message_id":"#.utf8)
        guard body.starts(with: start) else { return nil }
        let digits = body[start.count...].prefix { (0x30...0x39).contains($0) }
        // Digits at the very end may not be all.
        guard start.count + digits.count < body.count, digits.count < 19 else { return nil }
        return Int64(String(decoding: digits, as: UTF8.self))
    }

    /// Reads a response of the Bot API that is not `ok`.
    ///
    /// Source: https://core.telegram.org/bots/api#making-requests, and error texts that the server has been seen to
    /// send.
    ///
    /// - Parameter parameters: a `ResponseParameters` object.
    init(number: Int, description: String, parameters: JSON? = nil) {
        let code: Code =
            switch number {
            case 429: .floodWait
            case 409: .conflict
            // The server answers "Not Found" to a malformed token.
            case 401: .unauthorized
            case 404: description.lowercased().contains("method not found") ? .badRequest : .unauthorized
            case 403: .forbidden
            case 413: .tooLarge
            case 500...: .server
            default: TelegramError.code(ofBadRequest: description.lowercased())
            }
        self.init(
            code, number: number, KnownSecrets.removed(from: TelegramError.text(code, description)),
            retryAfter: code == .floodWait
                ? .requestedPause(seconds: max(1, parameters?["retry_after"]?.int ?? 1)) : nil,
            migratedTo: parameters?["migrate_to_chat_id"]?.int)
        // A gateway gave up waiting for Telegram, which may still carry out the call.
        isOutcomeUnknown = number == 504
    }

    private static func code(ofBadRequest text: String) -> Code {
        let table: [(fragment: String, code: Code)] = [
            ("message is not modified", .notModified), ("message to edit not found", .messageNotFound),
            ("message to delete not found", .messageNotFound), ("message to react not found", .messageNotFound),
            ("message to be replied not found", .messageNotFound), ("message_id_invalid", .messageNotFound),
            ("message can't be edited", .messageNotFound), ("message can't be deleted", .messageNotFound),
            ("type of file mismatch", .fileRefused), ("file identifier", .fileRefused),
            ("file_id", .fileRefused), ("media_empty", .fileRefused), ("media_invalid", .fileRefused),
            ("file_reference", .fileRefused), ("file reference", .fileRefused),
            ("can't use file of type", .fileRefused), ("can't unserialize it", .fileRefused),
            ("reaction", .reactionRefused), ("topic_closed", .topicGone), ("topic_deleted", .topicGone),
            ("topic_id_invalid", .topicGone), ("message thread not found", .topicGone),
            ("file is temporarily unavailable", .server), ("file is too big", .tooLarge), ("file_too_big", .tooLarge),
            ("file is too large", .tooLarge),
        ]
        return table.first { text.contains($0.fragment) }?.code ?? .badRequest
    }

    private static func text(_ code: Code, _ description: String) -> String {
        let words = description.split(separator: ": ", maxSplits: 1).last.map(String.init) ?? description
        return switch code {
        case .unauthorized: "Telegram refuses the bot token"
        case .conflict: "another process polls for this bot, or a webhook is set (\(words))"
        default: "Telegram: \(words)\(advice(on: words.lowercased()))"
        }
    }

    /// Returns the end of a message that says what can be done; empty if there is nothing to say.
    private static func advice(on words: String) -> String {
        guard words.contains("chat not found") || words.contains("can't initiate conversation") else { return "" }
        return " (a person must have started the bot; of a group or channel, the bot must be a member)"
    }

    init(_ error: HTTPError) {
        switch error.code {
        case .localIO: self.init(.localIO, error.message)
        case .invalidURL: self.init(.badRequest, error.message)
        default:
            self.init(.network, "unable to reach Telegram: \(error.message)")
            isOutcomeUnknown = error.mayHaveArrived
            sentMessageID = TelegramError.messageID(in: error.partialBody)
            isUnsent = !error.mayHaveArrived && [.unreachable, .tls, .timedOut].contains(error.code)
        }
    }
}
