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
    init?(_ message: JSON, own: Int64, peers: Peers, stickerSets: [Int64: String] = [:]) {
        guard message["_"] != "messageEmpty", let id = message["id"]?.int,
            let chat = message["peer_id"].flatMap({ PeerID(tl: $0) })
        else { return nil }
        (self.message, self.id, self.chat) = (message, id, chat)
        names = BotPeers(own: own, peers: peers, stickerSets: stickerSets)
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
        body["sender_boost_count"] = message["from_boosts_applied"]
        body["sender_business_bot"] = message["via_business_bot_id"]?.long.map(names.user)
        body["forward_origin"] = message["fwd_from"].map(forwardOrigin)
        if message["fwd_from"]?["saved_from_peer"] != nil, body["sender_chat"] != nil {
            body["is_automatic_forward"] = true
        }
        addThread(to: &body)
        addReply(replied, to: &body)
        body["via_bot"] = message["via_bot_id"]?.long.map(names.user)
        body["media_group_id"] = message["grouped_id"]?.long.map { .string("\($0)") }
        body["has_protected_content"] = flag("noforwards")
        body["is_from_offline"] = flag("offline")
        body["is_paid_post"] = flag("paid_suggested_post_stars") ?? flag("paid_suggested_post_ton")
        body["paid_star_count"] = message["paid_message_stars"]?.long.map { .integer($0) }
        body["effect_id"] = message["effect"]?.long.map { .string("\($0)") }
        addContent(to: &body, replied)
        body["reply_markup"] = BotKeyboard.inline(message["reply_markup"])
        return body
    }

    /// Returns true if a flag of the message is set, else nil: the Bot API leaves such members out.
    private func flag(_ name: String) -> JSON? { message[name]?.bool == true ? true : nil }

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

    private func forwardOrigin(_ header: JSON) -> JSON {
        var origin: JSONObject = ["date": header["date"]]
        guard let from = header["from_id"].flatMap({ PeerID(tl: $0) }) else {
            origin["type"] = "hidden_user"
            origin["sender_user_name"] = header["from_name"] ?? ""
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
        guard let reply = message["reply_to"], message["action"] == nil else { return }
        if reply["_"] == "messageReplyStoryHeader" {
            body["reply_to_story"] = BotAttachments.story(reply["peer"], reply["story_id"], names)
            return
        }
        if let id = repliedID {
            body["reply_to_message"] = replied ?? missing(id)
        } else {
            body["external_reply"] = externalReply(reply)
        }
        body["reply_to_checklist_task_id"] = reply["todo_item_id"]
        guard let quote = reply["quote_text"] else { return }
        body["quote"] = .object([
            "text": quote, "entities": BotEntities.list(reply["quote_entities"], names),
            "position": reply["quote_offset"] ?? 0, "is_manual": reply["quote"]?.bool == true ? true : nil,
        ])
    }

    /// Returns an `ExternalReplyInfo` for an answer to a message of another chat; nil if it answers none.
    private func externalReply(_ reply: JSON) -> JSON? {
        guard let origin = reply["reply_from"].map(forwardOrigin) else { return nil }
        var info: JSONObject = ["origin": origin]
        if let place = reply["reply_to_peer_id"].flatMap({ PeerID(tl: $0) }), case .channel = place {
            info["chat"] = names.chat(place)
            info["message_id"] = reply["reply_to_msg_id"]
        }
        let file = MessageOrigin(
            chatID: reply["reply_to_peer_id"].flatMap { PeerID(tl: $0)?.botAPI } ?? chat.botAPI,
            messageID: reply["reply_to_msg_id"]?.int ?? 0)
        for member in reply["reply_media"].map({ BotMedia.content($0, origin: file, names: names).members }) ?? [] {
            info[member.key] = member.value
        }
        return .object(info)
    }

    /// Returns the form in which the Bot API shows a message that is not accessible.
    private func missing(_ id: Int64) -> JSON {
        .object(["message_id": .integer(id), "chat": names.chat(chat), "date": 0])
    }

    private func addContent(to body: inout JSONObject, _ replied: JSON?) {
        let origin = MessageOrigin(chatID: chat.botAPI, messageID: id)
        if let action = message["action"] {
            let service = BotService(
                chat: chat, sender: body["from"], names: names, origin: origin,
                referenced: repliedID.map { replied ?? missing($0) })
            for member in service.content(action).members { body[member.key] = member.value }
            return
        }
        let media = message["media"]
        for member in media.map({ BotMedia.content($0, origin: origin, names: names).members }) ?? [] {
            body[member.key] = member.value
        }
        let isCaption = BotMedia.hasCaption(media)
        if isCaption { body["show_caption_above_media"] = flag("invert_media") }
        if media?["_"] == "messageMediaWebPage" { body["link_preview_options"] = media.flatMap(previewOptions) }
        guard let text = message["message"]?.string, !text.isEmpty else { return }
        body[isCaption ? "caption" : "text"] = .string(text)
        body[isCaption ? "caption_entities" : "entities"] = BotEntities.list(message["entities"], names)
    }

    /// Returns the `LinkPreviewOptions` of a preview that its author has changed; nil for an ordinary one.
    private func previewOptions(_ media: JSON) -> JSON? {
        func flag(_ name: String) -> JSON? { media[name]?.bool == true ? true : nil }
        let options: JSONObject = [
            "prefer_small_media": flag("force_small_media"), "prefer_large_media": flag("force_large_media"),
            "show_above_text": self.flag("invert_media"),
        ]
        guard !options.isEmpty || media["manual"]?.bool == true else { return nil }
        return .object(JSONObject([.init(key: "url", value: media["webpage"]?["url"] ?? "")] + options.members))
    }
}
