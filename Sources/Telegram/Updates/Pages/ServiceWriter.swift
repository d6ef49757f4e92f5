import Accounts
import JSON

/// Writes the members that the more frequent actions of service messages add to a message, as `BotService` shows them.
struct ServiceWriter {
    let page: PageWriter
    let chat: PeerID
    let messageID: Int64
    /// The sender; nil for a channel itself.
    let sender: PeerID?
    let reply: ReplyParts

    private var output: TextBuffer { page.output }

    /// - Returns: false if the action is not written directly.
    func write(_ action: JSONView) -> Bool {
        guard let kind = action["_"]?.text else { return false }
        if kind.matches("messageActionPinMessage") {
            guard let id = reply.referenced else { return true }
            output.put(#","pinned_message":"#)
            page.writeMissing(id, in: chat)
            return true
        }
        return writeMembers(action, kind) || writeChat(action, kind)
    }

    // MARK: Members

    private func writeMembers(_ action: JSONView, _ kind: UnsafeRawBufferPointer) -> Bool {
        if kind.matches("messageActionChatAddUser") {
            writeUsers(action["users"])
        } else if kind.matches("messageActionChatJoinedByLink") || kind.matches("messageActionChatJoinedByRequest")
            || kind.matches("messageActionChatJoinedViaCommunity")
        {
            guard let sender else { return true }
            output.put(#","new_chat_members":["#)
            page.writeSender(sender, in: chat)
            output.put("]")
        } else if kind.matches("messageActionChatDeleteUser") {
            guard let user = action["user_id"]?.long else { return true }
            output.put(#","left_chat_member":"#)
            page.writeUser(user)
        } else {
            return false
        }
        return true
    }

    private func writeUsers(_ users: JSONView?) {
        output.put(#","new_chat_members":["#)
        var isFirst = true
        users?.elements.forEach { user in
            guard let id = user.long else { return }
            if !isFirst { output.put(",") }
            isFirst = false
            page.writeUser(id)
        }
        output.put("]")
    }

    // MARK: The chat itself

    private func writeChat(_ action: JSONView, _ kind: UnsafeRawBufferPointer) -> Bool {
        if kind.matches("messageActionChatEditTitle") {
            output.put(#","new_chat_title":"#, action["title"])
        } else if kind.matches("messageActionChatEditPhoto") {
            guard let photo = action["photo"] else { return true }
            return MediaWriter(page, chat, messageID: messageID).writePhoto(photo, #","new_chat_photo":["#)
        } else if kind.matches("messageActionChatDeletePhoto") {
            output.put(#","delete_chat_photo":true"#)
        } else if kind.matches("messageActionChatCreate") {
            output.put(#","group_chat_created":true"#)
        } else if kind.matches("messageActionChannelCreate") {
            output.put(
                page.isBroadcast(chat) ? #","channel_chat_created":true"# : #","supergroup_chat_created":true"#)
        } else if kind.matches("messageActionChatMigrateTo") {
            guard let id = action["channel_id"]?.long else { return true }
            output.put(#","migrate_to_chat_id":"#, PeerID.channel(id).botAPI)
        } else if kind.matches("messageActionChannelMigrateFrom") {
            guard let id = action["chat_id"]?.long else { return true }
            output.put(#","migrate_from_chat_id":"#, PeerID.chat(id).botAPI)
        } else if kind.matches("messageActionTopicCreate") {
            return writeTopic(action)
        } else {
            return false
        }
        return true
    }

    private func writeTopic(_ action: JSONView) -> Bool {
        guard let title = action["title"] else { return false }
        output.put(#","forum_topic_created":{"name":"#, title)
        output.put(#","icon_color":"#, action["icon_color"])
        if let icon = action["icon_emoji_id"]?.long, icon != 0 {
            output.put(#","icon_custom_emoji_id":""#, icon)
            output.put("\"")
        }
        output.put(action["title_missing"]?.isTrue == true ? #","is_name_implicit":true}"# : "}")
        return true
    }
}
