import JSON

/// Lists the parts of an event that the archive reads, and where they are in it.
enum MessageField: Int, CaseIterable {
    // The envelope, and what is beside the message.
    case timestamp, account, bot, pts, counters, views, forwards, replies, reactions
    // The kinds of updates that have a message.
    case message, editedMessage, channelPost, editedChannelPost
    // Other payloads.
    case deleted, reactionCount
    // The message.
    case messageID, date, editDate, chat, chatID, chatType, from, fromID, senderChatID, text, caption, replyToID
    case threadID, isTopicMessage, albumID, forwardDate, forwardUserID, forwardUserName, forwardSenderID, forwardChatID
    case forwardMessageID
    // Files; a message has one of them at most, but an animation is a document too.
    case animation, video, audio, voice, videoNote, sticker, photo, document
    // Other contents.
    case firstOther

    /// The names of the other contents, as keys of a message.
    static let others: [StaticString] = [
        "contact", "location", "venue", "poll", "dice", "game", "story", "paid_media", "invoice", "giveaway",
        "checklist",
    ]

    /// The names of the service messages, as keys of a message.
    static let services: [StaticString] = [
        "new_chat_members", "left_chat_member", "new_chat_title", "new_chat_photo", "delete_chat_photo",
        "group_chat_created", "supergroup_chat_created", "channel_chat_created", "message_auto_delete_timer_changed",
        "migrate_to_chat_id", "migrate_from_chat_id", "pinned_message", "successful_payment", "refunded_payment",
        "users_shared", "chat_shared", "connected_website", "write_access_allowed", "passport_data",
        "proximity_alert_triggered", "boost_added", "chat_background_set", "forum_topic_created", "forum_topic_edited",
        "forum_topic_closed", "forum_topic_reopened", "general_forum_topic_hidden", "general_forum_topic_unhidden",
        "giveaway_created", "giveaway_winners", "giveaway_completed", "video_chat_scheduled", "video_chat_started",
        "video_chat_ended", "video_chat_participants_invited", "web_app_data", "gift", "unique_gift",
        "paid_message_price_changed", "checklist_tasks_done", "checklist_tasks_added", "direct_message_price_changed",
    ]

    static let files: [(field: MessageField, name: StaticString)] = [
        (.animation, "animation"), (.video, "video"), (.audio, "audio"), (.voice, "voice"), (.videoNote, "video_note"),
        (.sticker, "sticker"), (.photo, "photo"), (.document, "document"),
    ]

    static let bodies: [(field: MessageField, key: String)] = [
        (.message, "message"), (.editedMessage, "edited_message"), (.channelPost, "channel_post"),
        (.editedChannelPost, "edited_channel_post"),
    ]

    static let bodyFields = bodies.map(\.field)

    static var firstService: Int { MessageField.firstOther.rawValue + others.count }

    /// The paths of all places, in order.
    static var paths: [[String]] {
        let fields = allCases.dropLast().map(\.paths)
        let names = (others + services).map { name in bodies.map { "payload.\($0.key).\(name)" } }
        return fields + names
    }

    private var paths: [String] {
        switch self {
        case .timestamp: ["timestamp"]
        case .account: ["meta.account.id"]
        case .bot: ["meta.bot.id"]
        case .pts: ["payload.pts"]
        case .counters: ["payload.counters"]
        case .views: ["payload.counters.views"]
        case .forwards: ["payload.counters.forwards"]
        case .replies: ["payload.counters.replies"]
        case .reactions: ["payload.counters.reactions"]
        case .deleted: ["payload.deleted_messages"]
        case .reactionCount: ["payload.message_reaction_count"]
        case .message, .editedMessage, .channelPost, .editedChannelPost:
            MessageField.bodies.filter { $0.field == self }.map { "payload.\($0.key)" }
        default: MessageField.bodies.map { "payload.\($0.key).\(pathInMessage)" }
        }
    }

    private var pathInMessage: String {
        switch self {
        case .messageID: "message_id"
        case .date: "date"
        case .editDate: "edit_date"
        case .chat: "chat"
        case .chatID: "chat.id"
        case .chatType: "chat.type"
        case .from: "from"
        case .fromID: "from.id"
        case .senderChatID: "sender_chat.id"
        case .text: "text"
        case .caption: "caption"
        case .replyToID: "reply_to_message.message_id"
        case .threadID: "message_thread_id"
        case .isTopicMessage: "is_topic_message"
        case .albumID: "media_group_id"
        case .forwardDate: "forward_origin.date"
        case .forwardUserID: "forward_origin.sender_user.id"
        case .forwardUserName: "forward_origin.sender_user_name"
        case .forwardSenderID: "forward_origin.sender_chat.id"
        case .forwardChatID: "forward_origin.chat.id"
        case .forwardMessageID: "forward_origin.message_id"
        case .photo: "photo.*.file_unique_id"
        default: "\(MessageField.files.first { $0.field == self }?.name ?? "").file_unique_id"
        }
    }
}

extension FieldFinder {
    subscript(field: MessageField) -> JSONSource { self[field.rawValue] }

    /// Returns the first of some names whose place, from `first` on, has a value.
    func firstPresent(_ names: [StaticString], from first: Int) -> StaticString? {
        for (index, name) in names.enumerated() where !self[first + index].bytes.isEmpty { return name }
        return nil
    }
}
