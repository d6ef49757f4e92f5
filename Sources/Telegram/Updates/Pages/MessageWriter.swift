import Accounts
import JSON

/// Writes an ordinary message in the form of the Bot API, as `BotMessage` shows it.
struct MessageWriter {
    let page: PageWriter
    let parts: MessageParts
    let chat: PeerID

    /// Appends the message with its key.
    ///
    /// - Returns: false if the message has a part that is not written directly. What was appended is then of no use.
    func write() -> Bool {
        let isPost = page.isBroadcast(chat)
        put(isPost ? #""channel_post":{"message_id":"# : #""message":{"message_id":"#, parts.id)
        let hasSenderChat = writeSender(isPost: isPost)
        put(#","chat":"#)
        page.writeChat(chat)
        put(#","date":"#)
        if let date = parts.date { page.output.append(date) } else { put("0") }
        if let date = parts.editDate, !parts.isEditHidden { put(#","edit_date":"#, date) }
        if let author = parts.author { put(#","author_signature":"#, author) }
        guard writeForward(hasSenderChat: hasSenderChat), writeReply() else { return false }
        if let bot = parts.viaBot {
            put(#","via_bot":"#)
            page.writeUser(bot)
        }
        if let album = parts.album { put(#","media_group_id":""#, number: album, "\"") }
        if parts.isProtected { put(#","has_protected_content":true"#) }
        guard writeContent() else { return false }
        put("}")
        return true
    }

    private func put(_ text: StaticString) { page.output.append(literal: text) }

    private func put(_ text: StaticString, _ value: JSONView?) {
        put(text)
        if let value { page.output.append(value) }
    }

    private func put(_ text: StaticString, number: Int64, _ end: StaticString) {
        put(text)
        page.output.append(integer: number)
        put(end)
    }

    // MARK: Senders

    /// Returns whether the message has a `sender_chat`.
    private func writeSender(isPost: Bool) -> Bool {
        guard let sender = sender(isPost: isPost) else {
            put(#","sender_chat":"#)
            page.writeChat(chat)
            return true
        }
        if case .user(let id) = sender {
            put(#","from":"#)
            page.writeUser(id)
            return false
        }
        put(
            sender == chat
                ? #","from":{"id":1087968824,"is_bot":true,"first_name":"Group","username":"GroupAnonymousBot"},"sender_chat":"#
                : #","from":{"id":136817688,"is_bot":true,"first_name":"Channel","username":"Channel_Bot"},"sender_chat":"#
        )
        page.writeChat(sender)
        return true
    }

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
        put(#","forward_origin":{"date":"#, date)
        switch from {
        case nil: put(#","type":"hidden_user","sender_user_name":"#, header["from_name"])
        case .user(let id):
            put(#","type":"user","sender_user":"#)
            page.writeUser(id)
        case let from?:
            guard let post = header["channel_post"] else {
                put(#","type":"chat","sender_chat":"#)
                page.writeChat(from)
                break
            }
            put(#","type":"channel","chat":"#)
            page.writeChat(from)
            put(#","message_id":"#, post)
            if let author = header["post_author"] { put(#","author_signature":"#, author) }
        }
        put("}")
        if header["saved_from_peer"] != nil, hasSenderChat { put(#","is_automatic_forward":true"#) }
        return true
    }

    // MARK: Replies

    private func writeReply() -> Bool {
        guard let reply = parts.reply else { return true }
        guard reply["_"]?.isText("messageReplyHeader") == true else { return false }
        var (answered, top): (JSONView?, JSONView?)
        var (isTopic, isElsewhere) = (false, false)
        var quote: JSONView?
        for (key, value) in reply.members where !value.isNull {
            if key.isEqual(to: "reply_to_msg_id") {
                answered = value
            } else if key.isEqual(to: "reply_to_top_id") {
                top = value
            } else if key.isEqual(to: "forum_topic") {
                isTopic = value.isTrue
            } else if key.isEqual(to: "reply_to_peer_id") {
                isElsewhere = true
            } else if key.isEqual(to: "quote_text") {
                quote = value
            } else if key.isEqual(to: "reply_from") || key.isEqual(to: "quote_entities")
                || key.isEqual(to: "todo_item_id")
            {
                return false
            }
        }
        if let thread = top ?? (isTopic ? answered : nil) { put(#","message_thread_id":"#, thread) }
        if isTopic { put(#","is_topic_message":true"#) }
        if !isElsewhere, !isTopic || top != nil, let id = answered {
            guard let number = id.int else { return false }
            put(#","reply_to_message":{"message_id":"#, number: number, #","chat":"#)
            page.writeChat(chat)
            put(#","date":0}"#)
        }
        if let quote { write(quote, of: reply) }
        return true
    }

    private func write(_ quote: JSONView, of reply: JSONView) {
        put(#","quote":{"text":"#, quote)
        put(#","position":"#)
        if let position = reply["quote_offset"] { page.output.append(position) } else { put("0") }
        put(reply["quote"]?.isTrue == true ? #","is_manual":true}"# : "}")
    }

    // MARK: Contents

    private func writeContent() -> Bool {
        var isCaption = false
        if let media = parts.media {
            guard let kind = media["_"] else { return false }
            if kind.isText("messageMediaPhoto") || kind.isText("messageMediaDocument") {
                isCaption = true
                guard MediaWriter(page: page, chat: chat, messageID: parts.id?.int ?? 0).write(media) else {
                    return false
                }
            } else if kind.isText("messageMediaWebPage") {
                let isPlain = ["force_small_media", "force_large_media", "manual"].allSatisfy { media.lacks($0) }
                guard isPlain else { return false }
            } else if !kind.isText("messageMediaEmpty"), !kind.isText("messageMediaUnsupported") {
                return false
            }
        }
        guard let text = parts.text?.text, !text.isEmpty else { return parts.text == nil || parts.text?.text != nil }
        put(isCaption ? #","caption":"# : #","text":"#)
        page.output.append(jsonString: text)
        return writeEntities(isCaption ? #","caption_entities":["# : #","entities":["#)
    }

    private func writeEntities(_ key: StaticString) -> Bool {
        guard let entities = parts.entities else { return true }
        var isFirst = true
        for entity in entities.elements {
            guard let offset = entity["offset"], let length = entity["length"], let kind = entity["_"]?.text,
                let type = EntityNames.type(of: kind)
            else { return false }
            put(isFirst ? key : ",")
            isFirst = false
            put(#"{"offset":"#, offset)
            put(#","length":"#, length)
            put(#","type":""#)
            if kind.isEqual(to: "messageEntityBlockquote"), entity["collapsed"]?.isTrue == true { put("expandable_") }
            put(type)
            put("\"")
            if kind.isEqual(to: "messageEntityMentionName") {
                guard let user = entity["user_id"]?.long else { return false }
                put(#","user":"#)
                page.writeUser(user)
            } else if kind.isEqual(to: "messageEntityCustomEmoji") {
                guard let emoji = entity["document_id"]?.long else { return false }
                put(#","custom_emoji_id":""#, number: emoji, "\"")
            }
            if kind.isEqual(to: "messageEntityTextUrl"), let url = entity["url"] { put(#","url":"#, url) }
            if kind.isEqual(to: "messageEntityPre"), let language = entity["language"], language.text?.isEmpty == false
            {
                put(#","language":"#, language)
            }
            put("}")
        }
        if !isFirst { put("]") }
        return true
    }
}

/// The Bot API's names of entities.
enum EntityNames {
    /// Returns nil for an entity that is rare, or unknown.
    static func type(of kind: UnsafeRawBufferPointer) -> StaticString? {
        for (name, type) in names where kind.isEqual(to: name) { return type }
        return nil
    }

    private static let names: [(StaticString, StaticString)] = [
        ("messageEntityBold", "bold"), ("messageEntityUrl", "url"), ("messageEntityTextUrl", "text_link"),
        ("messageEntityMention", "mention"), ("messageEntityHashtag", "hashtag"), ("messageEntityItalic", "italic"),
        ("messageEntityCode", "code"), ("messageEntityPre", "pre"), ("messageEntityBotCommand", "bot_command"),
        ("messageEntityUnderline", "underline"), ("messageEntityStrike", "strikethrough"),
        ("messageEntitySpoiler", "spoiler"), ("messageEntityEmail", "email"), ("messageEntityPhone", "phone_number"),
        ("messageEntityCashtag", "cashtag"), ("messageEntityMentionName", "text_mention"),
        ("messageEntityCustomEmoji", "custom_emoji"), ("messageEntityBlockquote", "blockquote"),
    ]
}

extension JSONView {
    func lacks(_ key: StaticString) -> Bool { self[key] == nil }
}
