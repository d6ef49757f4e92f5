package import JSON

/// A Bot API `Update`, read as far as stages need it.
///
/// Source: https://core.telegram.org/bots/api#update
package struct Update: Sendable {
    /// The key beside `update_id`: `message`, `edited_message`, `callback_query`, …
    package let kind: String
    package let body: JSON

    /// nil when it holds no update.
    package init?(_ payload: JSONObject) {
        guard let member = payload.members.first(where: { $0.key != "update_id" && $0.value.object != nil }) else {
            return nil
        }
        kind = member.key
        body = member.value
    }

    /// The message that this update is about, when it is about one.
    package var message: Message? {
        switch kind {
        case "message", "edited_message", "channel_post", "edited_channel_post", "business_message",
            "edited_business_message":
            Message(body)
        case "callback_query": body["message"].flatMap { Message($0) }
        default: nil
        }
    }

    /// Whether this is the first time that the message is seen: commands count once.
    package var isNewMessage: Bool { kind == "message" || kind == "channel_post" }

    /// Who caused it: a person, or the chat that an anonymous admin or a channel speaks as.
    package var actor: Party? {
        if let chat = body["sender_chat"] ?? body["actor_chat"] ?? body["voter_chat"] { return Party(chat: chat) }
        return (body["from"] ?? body["user"]).flatMap { Party(user: $0) }
    }

    package var chat: JSON? { body["chat"] ?? body["message"]?["chat"] }

    package var chatID: Int64? { chat?["id"]?.int }

    /// Everybody whom it shows with a user name: what `@name` can later mean.
    package var seen: [Party] {
        let message = message?.json
        let users =
            [
                body["from"], body["user"], message?["from"], message?["reply_to_message"]?["from"],
                message?["forward_origin"]?["sender_user"],
            ]
            + (message?["new_chat_members"]?.array ?? []).map { Optional($0) }
            + (message?["entities"]?.array ?? []).map { $0["user"] }
        var ids: Set<Int64> = []
        return users.compactMap { $0.flatMap { Party(user: $0) } }.filter { ids.insert($0.id).inserted }
    }
}

/// A user, or a chat that acts like one.
package struct Party: Sendable, Equatable {
    package let id: Int64
    package let username: String?
    package let name: String

    package init(id: Int64, username: String?, name: String) {
        self.id = id
        self.username = username
        self.name = name
    }

    package init?(user: JSON) {
        guard let id = user["id"]?.int else { return nil }
        let names = [user["first_name"]?.string, user["last_name"]?.string].compactMap { $0 }
        self.init(id: id, username: user["username"]?.string, name: names.joined(separator: " "))
    }

    package init?(chat: JSON) {
        guard let id = chat["id"]?.int else { return nil }
        self.init(id: id, username: chat["username"]?.string, name: chat["title"]?.string ?? "")
    }

    package var json: JSON {
        .object(["id": .integer(id), "username": username.map { .string($0) }, "name": .string(name)])
    }
}

/// A Bot API `Message`, read as far as stages need it.
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
    /// Who wrote it: a person, or the chat that an anonymous admin or a channel speaks as.
    package var author: Party? {
        if let chat = json["sender_chat"] { return Party(chat: chat) }
        return json["from"].flatMap { Party(user: $0) }
    }

    /// Set when the message tells, in the old chat or in the new one, that a group has become a supergroup.
    package var migration: (from: Int64, to: Int64)? {
        if let new = json["migrate_to_chat_id"]?.int { return (chatID, new) }
        return json["migrate_from_chat_id"]?.int.map { ($0, chatID) }
    }

    /// Whether these are somebody else's words, passed on.
    package var isForwarded: Bool { json["forward_origin"] != nil || json["via_bot"] != nil }

    package var repliedTo: Message? {
        guard let reply = json["reply_to_message"] else { return nil }
        // In a topic every message formally answers the one that opened it.
        if reply["forum_topic_created"] != nil { return nil }
        return Message(reply)
    }

    /// Where an answer goes: `meta.origin`.
    package var origin: JSON {
        .object([
            "chat_id": .integer(chatID), "message_id": .integer(id), "thread_id": threadID.map { .integer($0) },
            "chat_type": chatType.map { .string($0) },
        ])
    }

    /// Entities of the text or caption, with the piece of text that each covers.
    package var entities: [(entity: JSON, text: String)] {
        let list = (json["entities"] ?? json["caption_entities"])?.array ?? []
        let units = Array((text ?? "").utf16)
        return list.compactMap { entity in
            guard let offset = entity["offset"]?.int, let length = entity["length"]?.int, offset >= 0, length > 0,
                offset <= units.count, length <= units.count - Int(offset)
            else { return nil }
            return (entity, String(decoding: units[Int(offset)..<Int(offset + length)], as: UTF16.self))
        }
    }

    /// The file that the message carries: `type`, and what the Bot API tells of it.
    package var file: JSONObject? {
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
