import Accounts
import JSON

/// Writes a message in the form of the Bot API, as `BotMessage` shows it.
struct MessageWriter {
    private let page: PageWriter
    private let output: TextBuffer
    private let parts: MessageParts
    private let chat: PeerID

    init(_ page: PageWriter, _ parts: MessageParts, _ chat: PeerID) {
        (self.page, output, self.parts, self.chat) = (page, page.output, parts, chat)
    }

    /// Appends the message with its key.
    ///
    /// - Returns: false if the message has a part that is not written directly. What was appended is then of no use.
    func write() -> Bool {
        let isPost = page.isBroadcast(chat)
        output.put(isPost ? #""channel_post":{"message_id":"# : #""message":{"message_id":"#, parts.id)
        let sender = sender(isPost: isPost)
        writeSender(sender)
        output.put(#","chat":"#)
        page.writeChat(chat)
        output.put(#","date":"#)
        if let date = parts.date { output.put(date) } else { output.put("0") }
        if !parts.isEditHidden { output.put(#","edit_date":"#, parts.editDate) }
        output.put(#","author_signature":"#, parts.author)
        let hasSenderChat = if case .user? = sender { false } else { true }
        guard writeForward(hasSenderChat: hasSenderChat), let reply = ReplyParts(parts.reply) else { return false }
        writeThread(reply)
        if parts.action == nil, !writeReply(reply) { return false }
        if let bot = parts.viaBot {
            output.put(#","via_bot":"#)
            page.writeUser(bot)
        }
        if let album = parts.album {
            output.put(#","media_group_id":""#, album)
            output.put("\"")
        }
        if parts.isProtected { output.put(#","has_protected_content":true"#) }
        let isWritten = if let action = parts.action { writeAction(action, sender, reply) } else { writeContent() }
        guard isWritten, writeMarkup() else { return false }
        output.put("}")
        return true
    }

    private func writeMarkup() -> Bool {
        guard let markup = parts.markup else { return true }
        return KeyboardWriter(output: output, scratch: page.scratch).write(markup)
    }

    private func writeAction(_ action: JSONView, _ sender: PeerID?, _ reply: ReplyParts) -> Bool {
        ServiceWriter(page: page, chat: chat, messageID: parts.id?.int ?? 0, sender: sender, reply: reply).write(action)
    }

    // MARK: Senders

    private func writeSender(_ sender: PeerID?) {
        guard let sender else {
            output.put(#","sender_chat":"#)
            return page.writeChat(chat)
        }
        output.put(#","from":"#)
        page.writeSender(sender, in: chat)
        if case .user = sender { return }
        output.put(#","sender_chat":"#)
        page.writeChat(sender)
    }

    /// Returns nil for a channel itself.
    private func sender(isPost: Bool) -> PeerID? {
        if let from = parts.from { return from }
        if isPost { return nil }
        if case .user = chat { return parts.isOutgoing ? .user(page.own) : chat }
        return chat
    }

    private func writeForward(hasSenderChat: Bool) -> Bool {
        guard let header = parts.forward else { return true }
        let from = header["from_id"].flatMap { PeerID($0) }
        guard from != nil || header["from_name"] != nil else { return false }
        // A date is always there; without it, the members have another order.
        guard let date = header["date"] else { return false }
        output.put(#","forward_origin":{"date":"#, date)
        switch from {
        case nil: output.put(#","type":"hidden_user","sender_user_name":"#, header["from_name"])
        case .user(let id):
            output.put(#","type":"user","sender_user":"#)
            page.writeUser(id)
        case let from?:
            guard let post = header["channel_post"] else {
                output.put(#","type":"chat","sender_chat":"#)
                page.writeChat(from)
                break
            }
            output.put(#","type":"channel","chat":"#)
            page.writeChat(from)
            output.put(#","message_id":"#, post)
            output.put(#","author_signature":"#, header["post_author"])
        }
        output.put("}")
        if header["saved_from_peer"] != nil, hasSenderChat { output.put(#","is_automatic_forward":true"#) }
        return true
    }

    // MARK: Replies

    private func writeThread(_ reply: ReplyParts) {
        output.put(#","message_thread_id":"#, reply.thread)
        if reply.isTopic { output.put(#","is_topic_message":true"#) }
    }

    private func writeReply(_ reply: ReplyParts) -> Bool {
        if reply.referencesMessage, reply.answered != nil {
            guard let id = reply.referenced else { return false }
            output.put(#","reply_to_message":"#)
            page.writeMissing(id, in: chat)
        }
        guard let quote = reply.quote else { return true }
        output.put(#","quote":{"text":"#, quote)
        output.put(#","position":"#)
        if let offset = reply.quoteOffset { output.put(offset) } else { output.put("0") }
        output.put(reply.isManualQuote ? #","is_manual":true}"# : "}")
        return true
    }

    // MARK: Contents

    private func writeContent() -> Bool {
        var isCaption = false
        if let media = parts.media {
            guard let kind = media["_"]?.text else { return false }
            if kind.matches("messageMediaPhoto") || kind.matches("messageMediaDocument") {
                isCaption = true
                guard MediaWriter(page, chat, messageID: parts.id?.int ?? 0).write(media) else { return false }
            } else if kind.matches("messageMediaWebPage") {
                let isChanged =
                    media["force_small_media"] != nil || media["force_large_media"] != nil || media["manual"] != nil
                if isChanged { return false }
            } else if !kind.matches("messageMediaEmpty"), !kind.matches("messageMediaUnsupported") {
                guard AttachmentWriter(output: output).write(media, kind) else { return false }
            }
        }
        guard let text = parts.text?.text, !text.isEmpty else { return parts.text == nil || parts.text?.text != nil }
        output.put(isCaption ? #","caption":"# : #","text":"#)
        output.put(jsonString: text)
        return writeEntities(isCaption ? #","caption_entities":["# : #","entities":["#)
    }

    private func writeEntities(_ key: StaticString) -> Bool {
        guard let entities = parts.entities else { return true }
        var isFirst = true
        for entity in entities.elements {
            output.put(isFirst ? key : ",")
            isFirst = false
            guard write(EntityParts(entity)) else { return false }
        }
        if !isFirst { output.put("]") }
        return true
    }

    private func write(_ entity: EntityParts) -> Bool {
        guard let offset = entity.offset, let length = entity.length, let kind = entity.kind?.text,
            let type = EntityNames.type(of: kind)
        else { return false }
        output.put(#"{"offset":"#, offset)
        output.put(#","length":"#, length)
        let isCollapsed = entity.isCollapsed && kind.matches("messageEntityBlockquote")
        output.put(isCollapsed ? #","type":"expandable_"# : #","type":""#)
        output.put(type)
        output.put("\"")
        if kind.matches("messageEntityMentionName") {
            guard let user = entity.user?.long else { return false }
            output.put(#","user":"#)
            page.writeUser(user)
        } else if kind.matches("messageEntityCustomEmoji") {
            guard let emoji = entity.document?.long else { return false }
            output.put(#","custom_emoji_id":""#, emoji)
            output.put("\"")
        } else if kind.matches("messageEntityTextUrl") {
            output.put(#","url":"#, entity.url)
        } else if kind.matches("messageEntityPre"), let language = entity.language {
            guard let text = language.text else { return false }
            if !text.isEmpty { output.put(#","language":"#, language) }
        }
        output.put("}")
        return true
    }
}

/// The parts of a message's `MessageReplyHeader`.
struct ReplyParts {
    private(set) var answered: JSONView?
    private(set) var isTopic = false
    private(set) var quote: JSONView?
    private(set) var quoteOffset: JSONView?
    private(set) var isManualQuote = false
    private var top: JSONView?
    private var isElsewhere = false

    /// - Parameter header: nil for a message that answers none.
    /// - Returns: nil for an answer with a part that is not written directly.
    init?(_ header: JSONView?) {
        guard let header else { return }
        for (key, value) in header.members where !value.isNull {
            if key.matches("_") {
                if !value.matches("messageReplyHeader") { return nil }
            } else if key.matches("reply_to_msg_id") {
                answered = value
            } else if key.matches("reply_to_top_id") {
                top = value
            } else if key.matches("forum_topic") {
                isTopic = value.isTrue
            } else if key.matches("reply_to_peer_id") {
                isElsewhere = true
            } else if key.matches("quote_text") {
                quote = value
            } else if key.matches("quote_offset") {
                quoteOffset = value
            } else if key.matches("quote") {
                isManualQuote = value.isTrue
            } else if key.matches("reply_from") || key.matches("quote_entities") || key.matches("todo_item_id") {
                return nil
            }
        }
    }

    var thread: JSONView? { top ?? (isTopic ? answered : nil) }

    /// Is true for an answer to a message of the same chat. In a topic, every message formally answers the one that opened it.
    var referencesMessage: Bool { !isElsewhere && (!isTopic || top != nil) }

    /// The id of the answered message of the same chat.
    var referenced: Int64? { referencesMessage ? answered?.int : nil }
}

/// The parts of a `MessageEntity`.
private struct EntityParts {
    var kind: JSONView?
    var offset: JSONView?
    var length: JSONView?
    var url: JSONView?
    var user: JSONView?
    var document: JSONView?
    var language: JSONView?
    var isCollapsed = false

    init(_ entity: JSONView) {
        for (key, value) in entity.members where !value.isNull {
            switch key.count {
            case 1: kind = value
            case 3: if key.matches("url") { url = value }
            case 6: if key.matches("offset") { offset = value } else if key.matches("length") { length = value }
            case 7: if key.matches("user_id") { user = value }
            case 8: if key.matches("language") { language = value }
            case 9: if key.matches("collapsed") { isCollapsed = value.isTrue }
            case 11: if key.matches("document_id") { document = value }
            default: break
            }
        }
    }
}

/// The Bot API's names of entities.
private enum EntityNames {
    /// Returns nil for an entity that is rare, or unknown.
    static func type(of kind: UnsafeRawBufferPointer) -> StaticString? {
        switch kind.count {
        case 16: kind.matches("messageEntityUrl") ? "url" : kind.matches("messageEntityPre") ? "pre" : nil
        case 17: kind.matches("messageEntityBold") ? "bold" : kind.matches("messageEntityCode") ? "code" : nil
        case 18:
            kind.matches("messageEntityEmail") ? "email" : kind.matches("messageEntityPhone") ? "phone_number" : nil
        case 19:
            kind.matches("messageEntityItalic")
                ? "italic" : kind.matches("messageEntityStrike") ? "strikethrough" : nil
        case 20: long(kind)
        case 22: kind.matches("messageEntityUnderline") ? "underline" : nil
        case 23:
            kind.matches("messageEntityBotCommand")
                ? "bot_command" : kind.matches("messageEntityBlockquote") ? "blockquote" : nil
        case 24:
            kind.matches("messageEntityMentionName")
                ? "text_mention" : kind.matches("messageEntityCustomEmoji") ? "custom_emoji" : nil
        default: nil
        }
    }

    private static func long(_ kind: UnsafeRawBufferPointer) -> StaticString? {
        if kind.matches("messageEntityTextUrl") { return "text_link" }
        if kind.matches("messageEntityMention") { return "mention" }
        if kind.matches("messageEntityHashtag") { return "hashtag" }
        if kind.matches("messageEntitySpoiler") { return "spoiler" }
        return kind.matches("messageEntityCashtag") ? "cashtag" : nil
    }
}
