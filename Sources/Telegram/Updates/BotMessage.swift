import Accounts
import JSON

/// Shows a message of TL in the form of the Bot API.
///
/// Source: https://core.telegram.org/bots/api#message
struct BotMessage {
    let names: BotPeers
    private let message: JSON
    let chat: PeerID
    let id: Int64

    /// Returns nil for `messageEmpty`, and for a message without id or chat.
    init?(_ message: JSON, own: Int64, peers: Peers) {
        guard message["_"] != "messageEmpty", let id = message["id"]?.int,
            let chat = message["peer_id"].flatMap({ PeerID(tl: $0) })
        else { return nil }
        (self.message, self.id, self.chat) = (message, id, chat)
        names = BotPeers(own: own, peers: peers)
    }

    var isPost: Bool { names.isBroadcast(chat) }
    var isOutgoing: Bool { message["out"]?.bool == true }
    /// Is true if the content was changed, and not only reactions or buttons.
    var isEdited: Bool { message["edit_date"] != nil && message["edit_hide"]?.bool != true }

    /// Returns the members of the Bot API's `Message`.
    ///
    /// - Parameter replied: the answered message, in the form of the Bot API.
    func body(replied: JSON?) -> JSONObject {
        var body: JSONObject = ["message_id": .integer(id)]
        addSender(to: &body)
        body["chat"] = names.chat(chat)
        body["date"] = message["date"] ?? 0
        if isEdited { body["edit_date"] = message["edit_date"] }
        body["author_signature"] = message["post_author"]
        body["forward_origin"] = message["fwd_from"].flatMap(forwardOrigin)
        if message["fwd_from"]?["saved_from_peer"] != nil, body["sender_chat"] != nil {
            body["is_automatic_forward"] = true
        }
        addThread(to: &body)
        addReply(replied, to: &body)
        body["via_bot"] = message["via_bot_id"]?.long.map(names.user)
        body["media_group_id"] = message["grouped_id"]?.long.map { .string("\($0)") }
        body["has_protected_content"] = message["noforwards"]?.bool == true ? true : nil
        addContent(to: &body, replied)
        return body
    }

    /// The ids of the users that the Bot API shows when a group or a channel is the sender.
    private static let anonymousAdmin: Int64 = 1_087_968_824
    private static let channelBot: Int64 = 136_817_688

    private var sender: PeerID? {
        if let from = message["from_id"].flatMap({ PeerID(tl: $0) }) { return from }
        if isPost { return nil }
        if case .user = chat { return isOutgoing ? .user(names.own) : chat }
        return chat
    }

    private func addSender(to body: inout JSONObject) {
        guard let sender else {
            body["sender_chat"] = names.chat(chat)
            return
        }
        if case .user(let id) = sender {
            body["from"] = names.user(id)
            return
        }
        let isAdmin = sender == chat
        body["from"] = .object([
            "id": .integer(isAdmin ? BotMessage.anonymousAdmin : BotMessage.channelBot), "is_bot": true,
            "first_name": isAdmin ? "Group" : "Channel", "username": isAdmin ? "GroupAnonymousBot" : "Channel_Bot",
        ])
        body["sender_chat"] = names.chat(sender)
    }

    private func forwardOrigin(_ header: JSON) -> JSON? {
        var origin: JSONObject = ["date": header["date"]]
        guard let from = header["from_id"].flatMap({ PeerID(tl: $0) }) else {
            guard let name = header["from_name"] else { return nil }
            origin["type"] = "hidden_user"
            origin["sender_user_name"] = name
            return .object(origin)
        }
        if case .user(let id) = from {
            origin["type"] = "user"
            origin["sender_user"] = names.user(id)
        } else if let post = header["channel_post"] {
            origin["type"] = "channel"
            origin["chat"] = names.chat(from)
            origin["message_id"] = post
            origin["author_signature"] = header["post_author"]
        } else {
            origin["type"] = "chat"
            origin["sender_chat"] = names.chat(from)
        }
        return .object(origin)
    }

    private func addThread(to body: inout JSONObject) {
        guard let reply = message["reply_to"] else { return }
        let isTopic = reply["forum_topic"]?.bool == true
        body["message_thread_id"] = reply["reply_to_top_id"] ?? (isTopic ? reply["reply_to_msg_id"] : nil)
        if isTopic { body["is_topic_message"] = true }
    }

    /// The id of the message that this one answers, in the same chat. In a topic, every message formally answers the one that opened it; that one
    /// does not count.
    var repliedID: Int64? {
        guard let reply = message["reply_to"], reply["reply_to_peer_id"] == nil,
            reply["forum_topic"]?.bool != true || reply["reply_to_top_id"] != nil
        else { return nil }
        return reply["reply_to_msg_id"]?.int
    }

    private func addReply(_ replied: JSON?, to body: inout JSONObject) {
        guard let id = repliedID, !isPin else { return }
        body["reply_to_message"] = replied ?? missing(id)
        guard let reply = message["reply_to"], let quote = reply["quote_text"] else { return }
        body["quote"] = .object([
            "text": quote, "entities": BotEntities.list(reply["quote_entities"], names),
            "position": reply["quote_offset"] ?? 0, "is_manual": reply["quote"]?.bool == true ? true : nil,
        ])
    }

    /// Returns the form in which the Bot API shows a message that is not accessible.
    private func missing(_ id: Int64) -> JSON {
        .object(["message_id": .integer(id), "chat": names.chat(chat), "date": 0])
    }

    private var isPin: Bool { message["action"]?["_"] == "messageActionPinMessage" }

    private func addContent(to body: inout JSONObject, _ replied: JSON?) {
        let origin = MessageOrigin(chatID: chat.botAPI, messageID: id)
        if let action = message["action"] {
            let content = BotService.content(action, in: chat, from: body["from"], names: names)
            for member in content.members { body[member.key] = member.value }
            if isPin { body["pinned_message"] = repliedID.map { replied ?? missing($0) } }
            if let photo = action["photo"] { body["new_chat_photo"] = BotMedia.sizes(of: photo, origin) }
            return
        }
        let media = message["media"]
        for member in media.map({ BotMedia.content($0, origin: origin).members }) ?? [] {
            body[member.key] = member.value
        }
        guard let text = message["message"]?.string, !text.isEmpty else { return }
        let isCaption = BotMedia.hasCaption(media)
        body[isCaption ? "caption" : "text"] = .string(text)
        body[isCaption ? "caption_entities" : "entities"] = BotEntities.list(message["entities"], names)
    }
}
