import Accounts
import JSON

/// Shows service messages, which tell of changes of a chat, in the form of the Bot API.
enum BotService {
    /// Returns the members that a `MessageAction` adds to a message; none for an action that the Bot API does not show.
    static func content(_ action: JSON, in chat: PeerID, from sender: JSON?, names: BotPeers) -> JSONObject {
        switch action["_"]?.string {
        case "messageActionChatAddUser":
            ["new_chat_members": .array((action["users"]?.array ?? []).compactMap(\.long).map(names.user))]
        case "messageActionChatJoinedByLink", "messageActionChatJoinedByRequest":
            ["new_chat_members": sender.map { .array([$0]) }]
        case "messageActionChatDeleteUser": ["left_chat_member": action["user_id"]?.long.map(names.user)]
        case "messageActionChatEditTitle": ["new_chat_title": action["title"]]
        case "messageActionChatDeletePhoto": ["delete_chat_photo": true]
        case "messageActionChatCreate": ["group_chat_created": true]
        case "messageActionChannelCreate":
            [names.isBroadcast(chat) ? "channel_chat_created" : "supergroup_chat_created": true]
        case "messageActionChatMigrateTo":
            ["migrate_to_chat_id": action["channel_id"]?.long.map { .integer(PeerID.channel($0).botAPI) }]
        case "messageActionChannelMigrateFrom":
            ["migrate_from_chat_id": action["chat_id"]?.long.map { .integer(PeerID.chat($0).botAPI) }]
        case "messageActionSetMessagesTTL":
            ["message_auto_delete_timer_changed": .object(["message_auto_delete_time": action["period"]])]
        case "messageActionTopicCreate":
            ["forum_topic_created": .object(["name": action["title"], "icon_color": action["icon_color"]])]
        case "messageActionTopicEdit": topic(action)
        default: [:]
        }
    }

    private static func topic(_ action: JSON) -> JSONObject {
        if let isClosed = action["closed"]?.bool {
            return [isClosed ? "forum_topic_closed" : "forum_topic_reopened": .object([:])]
        }
        return ["forum_topic_edited": .object(["name": action["title"]])]
    }
}
