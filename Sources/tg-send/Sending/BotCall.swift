import Envelope
import JSON

/// Describes a call to the Bot API that a command's payload asks for.
struct BotCall: Sendable {
    let method: String
    var parameters: JSONObject
    /// The local file to upload with the call.
    var upload: (field: String, path: String, fileName: String?)?

    /// - Parameter action: the event type's part after `commands.telegram.`.
    /// - Throws: `MalformedInput` that names the missing key.
    init(_ action: String, _ event: Envelope) throws(MalformedInput) {
        let payload = event.payload
        guard let chat = payload["chat_id"] ?? event.meta["origin"]?["chat_id"] else {
            throw MalformedInput(.invalidPayload, "\(event.type): no chat_id, and no meta.origin to take it from")
        }
        parameters = ["chat_id": chat]
        switch action {
        case "send", "reply":
            method = "sendMessage"
            parameters["text"] = .string(try BotCall.text(event))
            BotCall.addFormatting(&parameters, payload)
            BotCall.addReply(&parameters, event, byDefault: action == "reply")
        case "edit":
            method = "editMessageText"
            parameters["message_id"] = try BotCall.messageID(event, orOrigin: false)
            parameters["text"] = .string(try BotCall.text(event))
            BotCall.addFormatting(&parameters, payload)
        case "delete":
            method = "deleteMessage"
            parameters["message_id"] = try BotCall.messageID(event, orOrigin: false)
        case "react":
            method = "setMessageReaction"
            parameters["message_id"] = try BotCall.messageID(event, orOrigin: true)
            let emoji = payload["emoji"]?.string ?? ""
            parameters["reaction"] = emoji.isEmpty ? [] : [["type": "emoji", "emoji": .string(emoji)]]
        default:
            method = BotCall.mediaMethods[action] ?? "sendDocument"
            try addMedia(String(action.dropFirst("send_".count)), event)
            BotCall.addReply(&parameters, event, byDefault: payload["chat_id"] == nil)
        }
    }

    private static let mediaMethods = [
        "send_video": "sendVideo", "send_audio": "sendAudio", "send_document": "sendDocument",
    ]

    private mutating func addMedia(_ field: String, _ event: Envelope) throws(MalformedInput) {
        let payload = event.payload
        if let media = payload["file_id"] ?? payload["url"] {
            parameters[field] = media
        } else if let path = payload["path"]?.string {
            upload = (field, path, payload["file_name"]?.string)
        } else {
            throw MalformedInput(.invalidPayload, "\(event.type): one of path, url and file_id is needed")
        }
        if let caption = payload["caption"]?.string, !caption.isEmpty {
            parameters["caption"] = .string(BotCall.limited(caption, 1024, payload: payload))
        }
        if let mode = payload["parse_mode"] { parameters["parse_mode"] = mode }
        MediaDetails(payload).add(to: &parameters, method: method)
    }

    private static func text(_ event: Envelope) throws(MalformedInput) -> String {
        guard let text = event.payload["text"]?.string, !text.isEmpty else {
            throw MalformedInput(.invalidPayload, "\(event.type): no text")
        }
        return limited(text, 4096, payload: event.payload)
    }

    /// Returns a plain text cut to Telegram's limit. A formatted text stays whole: Telegram counts it without the formatting, and refuses a
    /// text with an incomplete tag.
    private static func limited(_ text: String, _ limit: Int, payload: JSONObject) -> String {
        payload["parse_mode"] == nil ? text.limited(toUTF16: limit) : text
    }

    private static func messageID(_ event: Envelope, orOrigin: Bool) throws(MalformedInput) -> JSON {
        let origin = orOrigin ? event.meta["origin"]?["message_id"] : nil
        guard let id = event.payload["message_id"] ?? origin else {
            throw MalformedInput(.invalidPayload, "\(event.type): no message_id")
        }
        return id
    }

    private static func addFormatting(_ parameters: inout JSONObject, _ payload: JSONObject) {
        if let mode = payload["parse_mode"] { parameters["parse_mode"] = mode }
        parameters["link_preview_options"] = ["is_disabled": true]
    }

    /// Adds the parameters that every new message has: the message that it replies to, the topic, and whether it is silent.
    ///
    /// Telegram sends the message also when the message that it replies to has been deleted.
    ///
    /// - Parameter byDefault: whether it replies to the origin's message if the payload names none.
    static func addReply(_ parameters: inout JSONObject, _ event: Envelope, byDefault: Bool) {
        let origin = event.meta["origin"]
        if let id = event.payload["reply_to"] ?? (byDefault ? origin?["message_id"] : nil) {
            parameters["reply_parameters"] = ["message_id": id, "allow_sending_without_reply": true]
        }
        if event.payload["chat_id"] == nil, let thread = origin?["thread_id"] {
            parameters["message_thread_id"] = thread
        }
        if event.payload["silent"] == true { parameters["disable_notification"] = true }
    }
}

/// Translates the media details of a payload into parameters of the Bot API.
struct MediaDetails: Sendable {
    private let payload: JSONObject

    init(_ payload: JSONObject) { self.payload = payload }

    func add(to parameters: inout JSONObject, method: String) {
        switch method {
        case "sendVideo", "sendAnimation":
            parameters["duration"] = rounded("duration_seconds")
            parameters["width"] = rounded("width")
            parameters["height"] = rounded("height")
            if method == "sendVideo" { parameters["supports_streaming"] = true }
        case "sendAudio":
            parameters["duration"] = rounded("duration_seconds")
            parameters["title"] = limited("title")
            parameters["performer"] = limited("performer")
        default: break
        }
    }

    private func rounded(_ key: String) -> JSON? {
        guard let value = payload[key]?.double, value >= 0, value < 1e9 else { return nil }
        return .integer(Int64(value.rounded()))
    }

    private func limited(_ key: String) -> JSON? { payload[key]?.string.map { .string($0.limited(toUTF16: 64)) } }
}
