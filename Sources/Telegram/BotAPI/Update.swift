package import JSON
import Payloads

/// Reads the parts of a Bot API `Update` that stages need.
///
/// Source: https://core.telegram.org/bots/api#update
package struct Update: Sendable {
    /// The key beside `update_id`: `message`, `edited_message`, `callback_query`, …
    package let kind: String
    package let body: JSON

    package init(kind: String, body: JSON) {
        self.kind = kind
        self.body = body
    }

    /// The update's message, if it has one.
    package var message: Message? {
        switch kind {
        case "message", "edited_message", "channel_post", "edited_channel_post", "business_message",
            "edited_business_message":
            Message(body)
        case "callback_query": body["message"].flatMap { Message($0) }
        default: nil
        }
    }

    /// Is true if the message is new, and not an edit. Commands in edited messages do not count.
    package var isNewMessage: Bool { kind == "message" || kind == "channel_post" }

    /// The user who caused the update, or the chat in whose name an anonymous administrator or a channel acted.
    package var actor: Party? { Party(authorOf: body) }

    /// The language of the user's app, such as `pt-BR`, if Telegram names it.
    package var languageCode: String? { body["from"]?["language_code"]?.string }

    /// All ids under which the actor appears in the update.
    package var actorIDs: [Int64] { MessageIdentity.allIDs(of: body) }

    /// Is true if a bot, and not a person or a chat, caused the update.
    package var isFromBot: Bool {
        if case .person(let user) = MessageIdentity(of: body) { user["is_bot"] == true } else { false }
    }

    package var chat: JSON? { body["chat"] ?? body["message"]?["chat"] }

    package var chatID: Int64? { chat?["id"]?.int }

    /// The users that the update describes, each once. They tell which user an `@name` means.
    package var describedUsers: [Party] {
        let message = message?.json
        let users =
            [
                body["from"], body["user"], message?["from"], message?["reply_to_message"]?["from"],
                message?["forward_origin"]?["sender_user"],
            ]
            + (message?["new_chat_members"]?.array ?? []).map { Optional($0) }
            + (message?["entities"]?.array ?? []).map { $0["user"] }
        var ids: Set<Int64> = []
        return users.compactMap { $0.flatMap { Party(user: $0) } }
            .filter { !MessageIdentity.standIns.contains($0.id) && ids.insert($0.id).inserted }
    }
}

/// Identifies a user, or a chat that acts as a user.
package struct Party: Sendable, Equatable {
    package let id: Int64
    package let username: String?
    package let name: String

    package init(id: Int64, username: String?, name: String) {
        self.id = id
        self.username = username
        self.name = name
    }

    /// Reads the author of a message, or of another object of an update.
    package init?(authorOf body: JSON) {
        switch MessageIdentity(of: body) {
        case .person(let user): self.init(user: user)
        case .chat(let chat): self.init(chat: chat)
        case nil: return nil
        }
    }

    package init?(user: JSON) {
        guard let id = user["id"]?.int else { return nil }
        self.init(
            id: id, username: user["username"]?.string, first: user["first_name"]?.string,
            last: user["last_name"]?.string)
    }

    /// Makes a user of the parts of the name.
    package init(id: Int64, username: String?, first: String?, last: String?) {
        let name = if let first, let last { "\(first) \(last)" } else { first ?? last ?? "" }
        self.init(id: id, username: username, name: name)
    }

    package init?(chat: JSON) {
        guard let id = chat["id"]?.int else { return nil }
        self.init(id: id, username: chat["username"]?.string, name: chat["title"]?.string ?? "")
    }
}

/// Reads the parts of a Bot API `Message` that stages need.
package struct Message: Sendable {
    package let json: JSON
    package let id: Int64
    package let chatID: Int64

    package init?(_ json: JSON) {
        guard let id = json["message_id"]?.int, let chatID = json["chat"]?["id"]?.int else { return nil }
        self.json = json
        self.id = id
        self.chatID = chatID
    }

    /// The text, or the caption of media.
    package var text: String? { json["text"]?.string ?? json["caption"]?.string }
    package var threadID: Int64? { json["is_topic_message"] == true ? json["message_thread_id"]?.int : nil }
    package var chatType: String? { json["chat"]?["type"]?.string }
    /// The user who wrote the message, or the chat in whose name an anonymous administrator or a channel wrote it.
    package var author: Party? { Party(authorOf: json) }

    /// The old and the new id of a group that has become a supergroup, if the message reports that. Both chats get such
    /// a message.
    package var migration: (from: Int64, to: Int64)? {
        if let new = json["migrate_to_chat_id"]?.int { return (chatID, new) }
        return json["migrate_from_chat_id"]?.int.map { ($0, chatID) }
    }

    /// Is true if its sender did not write the message: it was forwarded, made by an inline bot, or sent by a bot that acts for a
    /// business account.
    package var isOfAnother: Bool {
        ["forward_origin", "via_bot", "sender_business_bot"].contains { json[$0] != nil }
    }

    package var repliedTo: Message? {
        guard let reply = json["reply_to_message"] else { return nil }
        // In a topic, every message formally replies to the message that opened the topic.
        if reply["forum_topic_created"] != nil { return nil }
        return Message(reply)
    }

    /// The entities of the text or caption, each with the text that it covers.
    package var entities: [(entity: JSON, text: String)] {
        let list = (json["entities"] ?? json["caption_entities"])?.array ?? []
        let text = text ?? ""
        return list.compactMap { entity in
            guard let offset = entity["offset"]?.int, let length = entity["length"]?.int,
                let part = text.part(atUTF16: offset, length: length)
            else { return nil }
            return (entity, part)
        }
    }

    /// The message's file: its `type` and the keys of the Bot API that describe it; nil when it has none.
    package var file: JSONObject? { Message.file(in: json) }

    /// Returns the file of a message, or of a description of one, such as `external_reply`.
    package static func file(in json: JSON) -> JSONObject? {
        for type in ["video", "audio", "document", "voice", "video_note", "animation"] {
            if let file = json[type], let described = Message.describe(file, type) { return described }
        }
        // Photos come in sizes, the largest last.
        return json["photo"]?.array?.last.flatMap { Message.describe($0, "photo") }
    }

    private static func describe(_ file: JSON, _ type: String) -> JSONObject? {
        guard let id = file["file_id"], let unique = file["file_unique_id"] else { return nil }
        return [
            "file_id": id, "file_unique_id": unique, "type": .string(type), "file_name": file["file_name"],
            "mime_type": file["mime_type"], "file_size": file["file_size"], "duration": file["duration"],
            "width": file["width"], "height": file["height"], "title": file["title"], "performer": file["performer"],
        ]
    }
}

extension String {
    /// Returns whether a place, in UTF-16 units as Telegram counts, is within the text and not empty.
    package func hasPart(atUTF16 offset: Int64, length: Int64) -> Bool {
        let count = Int64(utf16.count)
        return offset >= 0 && length > 0 && offset <= count && length <= count - offset
    }

    /// Returns the part at a place in UTF-16 units; nil if it has none there. A half of a character becomes U+FFFD.
    package func part(atUTF16 offset: Int64, length: Int64) -> String? {
        guard hasPart(atUTF16: offset, length: length) else { return nil }
        // Only a text of ASCII characters has as many bytes as UTF-16 units.
        if utf8.count == utf16.count {
            let start = utf8.index(startIndex, offsetBy: Int(offset))
            return String(self[start..<utf8.index(start, offsetBy: Int(length))])
        }
        let start = utf16.index(startIndex, offsetBy: Int(offset))
        return String(decoding: utf16[start..<utf16.index(start, offsetBy: Int(length))], as: UTF16.self)
    }
}
