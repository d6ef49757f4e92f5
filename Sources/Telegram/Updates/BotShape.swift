import Accounts
package import JSON

/// Shows an update of TL as an `Update` of the Bot API, without its `update_id`.
package struct BotShape: Sendable {
    private enum Content: Sendable {
        case message(BotMessage, replied: BotMessage?)
        case reactions(JSON, of: PeerID)
        case deleted(ids: JSON, channel: Int64?)
    }

    /// The Bot API's name for the update: `message`, `edited_message`, `channel_post`, …; `deleted_messages` is tgpipe's own.
    package let kind: String
    /// Is true if the account itself wrote the message.
    package let isOutgoing: Bool
    private let content: Content
    private let names: BotPeers

    /// A message that another one answers.
    package struct Reference: Sendable, Hashable {
        package let chatID: Int64
        package let messageID: Int64
    }

    /// Returns the peers that an update mentions, by their Bot API ids, and the message that it answers.
    package static func mentioned(in update: JSON) -> (peers: [Int64], message: Reference?) {
        guard let message = update["message"] else {
            let channel = update["channel_id"]?.long.map { PeerID.channel($0).botAPI }
            return ([update["peer"].flatMap { PeerID(tl: $0)?.botAPI }, channel].compactMap { $0 }, nil)
        }
        let shown = BotMessage(message, own: 0, peers: Peers())
        let reference = shown?.repliedID.map { Reference(chatID: shown?.chat.botAPI ?? 0, messageID: $0) }
        return (ShortForm.mentioned(in: message), reference)
    }

    /// Returns nil for an update that the Bot API has no form for.
    ///
    /// - Parameters:
    ///   - own: the account's id.
    ///   - peers: the peers that the update and `replied` mention, as far as they are known.
    ///   - replied: the `Message` of TL that the update answers.
    ///   - stickerSets: the names of sticker sets, by their ids.
    package init?(
        _ update: JSON, own: Int64, peers: Peers, replied: JSON? = nil, stickerSets: [Int64: String] = [:]
    ) {
        names = BotPeers(own: own, peers: peers, stickerSets: stickerSets)
        switch update["_"]?.string {
        case "updateNewMessage", "updateNewChannelMessage", "updateEditMessage", "updateEditChannelMessage":
            let isEdit = update["_"]?.string?.hasPrefix("updateEdit") == true
            guard
                let shown = update["message"].flatMap({
                    BotMessage($0, own: own, peers: peers, stickerSets: stickerSets)
                }),
                !isEdit || shown.isEdited
            else { return nil }
            let name = shown.isPost ? "channel_post" : "message"
            kind = isEdit ? "edited_\(name)" : name
            isOutgoing = shown.isOutgoing
            let answered = replied.flatMap { BotMessage($0, own: own, peers: peers, stickerSets: stickerSets) }
            content = .message(shown, replied: answered)
        case "updateMessageReactions":
            guard let chat = update["peer"].flatMap({ PeerID(tl: $0) }), update["msg_id"] != nil else { return nil }
            (kind, isOutgoing) = ("message_reaction_count", false)
            content = .reactions(update, of: chat)
        case "updateDeleteMessages", "updateDeleteChannelMessages":
            guard let ids = update["messages"] else { return nil }
            (kind, isOutgoing) = ("deleted_messages", false)
            content = .deleted(ids: ids, channel: update["channel_id"]?.long)
        default: return nil
        }
    }

    /// The member that `kind` names. It is made at each use.
    package var body: JSON {
        switch content {
        case .message(let message, let replied):
            // As in the Bot API, an answered message does not show the one that it answers itself.
            var answered = replied?.body(replied: nil)
            answered?["reply_to_message"] = nil
            return .object(message.body(replied: answered.map { .object($0) }))
        case .reactions(let update, let chat): return reactions(update, chat)
        case .deleted(let ids, let channel):
            // In private chats and basic groups, Telegram does not name the chat.
            return .object(["chat": channel.map { names.chat(.channel($0)) }, "message_ids": ids])
        }
    }

    /// Accounts always receive the counts, and only sometimes who reacted.
    private func reactions(_ update: JSON, _ chat: PeerID) -> JSON {
        return .object([
            "chat": names.chat(chat), "message_id": update["msg_id"],
            "date": .integer(Timestamp.now.microseconds / 1_000_000),
            "reactions": update["reactions"].map(BotShape.counts) ?? [],
        ])
    }

    /// Returns the counts of a `MessageReactions`: `ReactionCount`s of the Bot API.
    static func counts(_ reactions: JSON) -> JSON {
        .array(
            (reactions["results"]?.array ?? []).compactMap { result -> JSON? in
                guard let reaction = result["reaction"].flatMap(BotShape.reaction) else { return nil }
                return .object(["type": reaction, "total_count": result["count"]])
            })
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
}
