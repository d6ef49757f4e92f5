import Accounts
package import JSON

/// An update of TL as an `Update` of the Bot API, without its `update_id`.
package struct BotShape: Sendable {
    /// The Bot API's name for it: `message`, `edited_message`, `channel_post`, …; `deleted_messages` is tgpipe's own.
    package let kind: String
    package let body: JSON
    /// Whether the account itself wrote it.
    package let isOutgoing: Bool

    /// A message elsewhere that has to be looked up before one can be shown.
    package struct Reference: Sendable, Hashable {
        package let chatID: Int64
        package let messageID: Int64
    }

    /// What an update mentions: people and chats by the ids of the Bot API, and the message that it answers.
    package static func mentioned(in update: JSON) -> (peers: [Int64], message: Reference?) {
        guard let message = update["message"] else {
            return ([update["peer"].flatMap { PeerID(tl: $0)?.botAPI }].compactMap { $0 }, nil)
        }
        let shown = BotMessage(message, own: 0, peers: Peers())
        let reference = shown?.repliedID.map { Reference(chatID: shown?.chat.botAPI ?? 0, messageID: $0) }
        return (ShortForm.mentioned(in: message), reference)
    }

    /// - Parameters:
    ///   - replied: a `Message` of TL that is answered, with those whom it mentions among `peers`.
    /// - Returns: nil for what the Bot API has no form for.
    package init?(_ update: JSON, own: Int64, peers: Peers, replied: JSON? = nil) {
        switch update["_"]?.string {
        case "updateNewMessage", "updateNewChannelMessage":
            self.init(message: update["message"], isEdit: false, own, peers, replied)
        case "updateEditMessage", "updateEditChannelMessage":
            self.init(message: update["message"], isEdit: true, own, peers, replied)
        case "updateMessageReactions": self.init(reactions: update, own, peers)
        case "updateDeleteMessages", "updateDeleteChannelMessages": self.init(deleted: update, own, peers)
        default: return nil
        }
    }

    private init?(message: JSON?, isEdit: Bool, _ own: Int64, _ peers: Peers, _ replied: JSON?) {
        guard let shown = message.flatMap({ BotMessage($0, own: own, peers: peers) }), !isEdit || shown.isEdited
        else { return nil }
        let answered = replied.flatMap { BotMessage($0, own: own, peers: peers) }
        // As in the Bot API, an answered message does not tell what it answers itself.
        var answer = answered?.body(replied: nil)
        answer?["reply_to_message"] = nil
        let name = shown.isPost ? "channel_post" : "message"
        kind = isEdit ? "edited_\(name)" : name
        body = .object(shown.body(replied: answer.map { .object($0) }))
        isOutgoing = shown.isOutgoing
    }

    /// Accounts are told how many, not always who.
    private init?(reactions update: JSON, _ own: Int64, _ peers: Peers) {
        guard let chat = update["peer"].flatMap({ PeerID(tl: $0) }), let id = update["msg_id"] else { return nil }
        let counts = (update["reactions"]?["results"]?.array ?? []).compactMap { result -> JSON? in
            guard let reaction = result["reaction"].flatMap(BotShape.reaction) else { return nil }
            return .object(["type": reaction, "total_count": result["count"]])
        }
        kind = "message_reaction_count"
        body = .object([
            "chat": BotPeers(own: own, peers: peers).chat(chat), "message_id": id,
            "date": .integer(Timestamp.now.microseconds / 1_000_000), "reactions": .array(counts),
        ])
        isOutgoing = false
    }

    private static func reaction(_ reaction: JSON) -> JSON? {
        switch reaction["_"]?.string {
        case "reactionEmoji": .object(["type": "emoji", "emoji": reaction["emoticon"]])
        case "reactionCustomEmoji":
            reaction["document_id"]?.long.map {
                .object(["type": "custom_emoji", "custom_emoji_id": .string("\($0)")])
            }
        case "reactionPaid": .object(["type": "paid"])
        default: nil
        }
    }

    /// In private chats and basic groups Telegram does not say which chat it was.
    private init?(deleted update: JSON, _ own: Int64, _ peers: Peers) {
        guard let ids = update["messages"] else { return nil }
        let chat = update["channel_id"]?.long.map { BotPeers(own: own, peers: peers).chat(.channel($0)) }
        kind = "deleted_messages"
        body = .object(["chat": chat, "message_ids": ids])
        isOutgoing = false
    }
}
