import JSON
import Payloads

/// Describes the call to the Bot API that carries out a command.
struct BotCall: Sendable {
    let method: String
    private(set) var parameters: JSONObject
    /// The local file to upload with the call.
    private(set) var upload: (field: String, path: String, file: FileMessage)?

    /// - Parameter origin: the message that the request came from; it stands for a chat or message that the command
    ///   does not name.
    init(_ command: TelegramCommand, origin: EventOrigin?) {
        parameters = ["chat_id": (command.chat ?? origin?.chat)?.json]
        let thread = command.chat == nil ? origin?.threadID : nil
        switch command.body {
        case .send(let message):
            method = "sendMessage"
            addText(message.text, message.parseMode)
            parameters.addReply(
                to: message.replyTo, thread: message.threadID ?? thread, isSilent: message.isSilent)
        case .reply(let message):
            method = "sendMessage"
            addText(message.text, message.parseMode)
            parameters.addReply(
                to: message.replyTo ?? origin?.messageID, thread: message.threadID ?? thread, isSilent: message.isSilent
            )
        case .edit(let messageID, let text, let parseMode):
            method = "editMessageText"
            parameters["message_id"] = .integer(messageID)
            addText(text, parseMode)
        case .delete(let messageID):
            method = "deleteMessage"
            parameters["message_id"] = .integer(messageID)
        case .react(let emoji, let messageID, _):
            method = "setMessageReaction"
            parameters["message_id"] = (messageID ?? origin?.messageID).map { .integer($0) }
            parameters["reaction"] = emoji.isEmpty ? [] : [["type": "emoji", "emoji": .string(emoji)]]
        case .file(let file):
            method = "send\(file.kind.rawValue.capitalizedFirst)"
            addFile(file)
            let replyTo = file.replyTo ?? (command.chat == nil ? origin?.messageID : nil)
            parameters.addReply(to: replyTo, thread: file.threadID ?? thread, isSilent: file.isSilent)
        }
    }

    private mutating func addText(_ text: String, _ parseMode: String?) {
        parameters["text"] = .string(BotCall.limited(text, 4096, parseMode))
        if let parseMode { parameters["parse_mode"] = .string(parseMode) }
        parameters["link_preview_options"] = ["is_disabled": true]
    }

    private mutating func addFile(_ file: FileMessage) {
        let field = file.kind.rawValue
        switch file.source {
        case .fileID(let text), .url(let text): parameters[field] = .string(text)
        case .path(let path): upload = (field, path, file)
        }
        if let caption = file.caption, !caption.isEmpty {
            parameters["caption"] = .string(BotCall.limited(caption, 1024, file.parseMode))
        }
        if let parseMode = file.parseMode { parameters["parse_mode"] = .string(parseMode) }
        parameters.add(file.description, method: method)
    }

    /// Returns a plain text cut to Telegram's limit. A formatted text stays whole: Telegram counts it without the
    /// formatting, and refuses a text with an incomplete tag.
    private static func limited(_ text: String, _ limit: Int, _ parseMode: String?) -> String {
        parseMode == nil ? text.limited(toUTF16: limit) : text
    }
}

extension JSONObject {
    /// Adds the parameters that every new message has: the message that it replies to, the topic, and whether it is
    /// silent.
    ///
    /// Telegram sends the message also when the message that it replies to has been deleted.
    mutating func addReply(to message: Int64?, thread: Int64?, isSilent: Bool = false) {
        if let message {
            self["reply_parameters"] = ["message_id": .integer(message), "allow_sending_without_reply": true]
        }
        if let thread { self["message_thread_id"] = .integer(thread) }
        if isSilent { self["disable_notification"] = true }
    }

    /// Adds the details of a file that a method has parameters for.
    mutating func add(_ description: MediaDescription, method: String) {
        let duration = JSONObject.possible(description.durationSeconds?.rounded)
        switch method {
        case "sendVideo", "sendAnimation":
            self["duration"] = duration
            self["width"] = JSONObject.possible(description.width)
            self["height"] = JSONObject.possible(description.height)
            if method == "sendVideo" { self["supports_streaming"] = true }
        case "sendAudio":
            self["duration"] = duration
            self["title"] = description.title.map { .string($0.limited(toUTF16: 64)) }
            self["performer"] = description.performer.map { .string($0.limited(toUTF16: 64)) }
        default: break
        }
    }

    /// Returns nil for a number that Telegram does not accept.
    private static func possible(_ number: Int64?) -> JSON? {
        number.flatMap { (0..<1_000_000_000).contains($0) ? .integer($0) : nil }
    }
}
