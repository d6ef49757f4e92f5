import Accounts
package import JSON

/// Writes the messages of an answer of Telegram as the text of their Bot API forms, exactly as `PageShape` shows them.
///
/// Most messages are written straight from the parsed document. One with rarer parts is shown by `PageShape`, which builds trees of values
/// and takes several times as long.
package final class PageWriter {
    /// The text that was written.
    package let output: TextBuffer
    let own: Int64
    let scratch: TextBuffer
    private let answer: JSONView
    /// The users and chats of the answer, by their Bot API ids.
    private var peers: [Int64: JSONView] = [:]
    /// The forms of users and chats that were written before, and their places in it.
    private let forms: TextBuffer
    private var users: [Int64: Range<Int>] = [:]
    private var chats: [Int64: ChatForm] = [:]
    private var lastChat: ChatForm?
    /// Shows the messages that are not written directly; made at its first use.
    private var shape: PageShape?

    private struct ChatForm {
        let peer: PeerID
        let place: Range<Int>
        let isBroadcast: Bool
    }

    /// - Parameters:
    ///   - own: the account's id.
    ///   - answer: an answer with `messages`, `users` and `chats`. It must stay valid while the writer is used.
    ///   - memory: is cleared, and then used by this writer alone.
    package init(own: Int64, answer: JSONView, _ memory: PageMemory = PageMemory()) {
        memory.clear()
        (self.own, self.answer) = (own, answer)
        (output, forms, scratch) = (memory.output, memory.forms, memory.scratch)
        for list in [answer["users"], answer["chats"]] {
            for peer in list?.elements ?? answer.none { note(peer) }
        }
    }

    /// Notes a peer as `Peers` does.
    private func note(_ peer: JSONView) {
        var (id, kind): (Int64?, JSONView?) = (nil, nil)
        for (key, value) in peer.members {
            if key.matches("_") { kind = value } else if key.matches("id") { id = value.long }
            if id != nil, kind != nil { break }
        }
        guard let id, let kind = kind?.text else { return }
        if kind.matches("user") {
            peers[id] = peer
        } else if kind.matches("channel") || kind.matches("channelForbidden") {
            peers[PeerID.channel(id).botAPI] = peer
        } else if kind.matches("chat") || kind.matches("chatForbidden") {
            peers[PeerID.chat(id).botAPI] = peer
        }
    }

    /// The result of writing a message.
    package struct Written {
        package let isOutgoing: Bool
        /// Is true if the message was written directly.
        package let isDirect: Bool
    }

    /// Appends the members of an event's payload that show a message: `"message":{…},"counters":{…}`.
    ///
    /// - Returns: nil, with nothing appended, for the place of a deleted message, and for one without id or chat.
    package func write(_ message: JSONView) -> Written? {
        let start = output.count
        let parts = MessageParts(message)
        if !parts.isRare, let chat = parts.chat, MessageWriter(self, parts, chat).write() {
            writeCounters(parts)
            return Written(isOutgoing: parts.isOutgoing, isDirect: true)
        }
        output.truncate(to: start)
        return writeTree(message.json)
    }

    /// Returns the form of a message as a tree.
    package func tree(of message: JSONView) -> JSON? { shown(message.json)?.body }

    private func shown(_ message: JSON) -> PageShape.Shown? {
        let shape = shape ?? PageShape(own: own, peers: Peers(of: trees))
        self.shape = shape
        return shape.message(message)
    }

    private func writeTree(_ message: JSON) -> Written? {
        guard let shown = shown(message) else { return nil }
        output.put("\"")
        output.put(Array(shown.kind.utf8))
        output.put("\":")
        output.put(tree: shown.body)
        if let counters = PageShape.counters(of: message) {
            output.put(",\"counters\":")
            output.put(tree: counters)
        }
        return Written(isOutgoing: shown.isOutgoing, isDirect: false)
    }

    private var trees: JSON { .object(["users": answer["users"]?.json, "chats": answer["chats"]?.json]) }

    // MARK: Counters

    private func writeCounters(_ parts: MessageParts) {
        var isFirst = true
        func begin(_ key: StaticString) {
            output.put(isFirst ? ",\"counters\":{" : ",")
            output.put(key)
            isFirst = false
        }
        func write(_ key: StaticString, _ value: JSONView?) {
            guard let value else { return }
            begin(key)
            output.put(value)
        }
        write("\"views\":", parts.views)
        write("\"forwards\":", parts.forwards)
        write("\"replies\":", parts.replies?["replies"])
        if let reactions = parts.reactions {
            begin("\"reactions\":")
            let start = output.count
            if !writeCounts(reactions) {
                output.truncate(to: start)
                output.put(tree: BotShape.counts(reactions.json))
            }
        }
        if !isFirst { output.put("}") }
    }

    /// Returns false if a reaction is not written directly.
    private func writeCounts(_ reactions: JSONView) -> Bool {
        guard let results = reactions["results"] else { return false }
        output.put("[")
        var isFirst = true
        for result in results.elements {
            guard let reaction = result["reaction"], let kind = reaction["_"]?.text, let count = result["count"] else {
                return false
            }
            output.put(isFirst ? #"{"type":{"type":""# : #",{"type":{"type":""#)
            isFirst = false
            if kind.matches("reactionEmoji"), let emoji = reaction["emoticon"] {
                output.put(#"emoji","emoji":"#)
                output.put(emoji)
            } else if kind.matches("reactionCustomEmoji"), let id = reaction["document_id"]?.long {
                output.put(#"custom_emoji","custom_emoji_id":""#, id)
                output.put("\"")
            } else if kind.matches("reactionPaid") {
                output.put("paid\"")
            } else {
                return false
            }
            output.put(#"},"total_count":"#)
            output.put(count)
            output.put("}")
        }
        output.put("]")
        return true
    }

    // MARK: Peers

    private func form(of peer: PeerID) -> ChatForm {
        if let lastChat, lastChat.peer == peer { return lastChat }
        let id = peer.botAPI
        let form = chats[id] ?? made(peer, peers[id].map(PeerParts.init) ?? PeerParts())
        chats[id] = form
        lastChat = form
        return form
    }

    func isBroadcast(_ peer: PeerID) -> Bool {
        if case .channel = peer { form(of: peer).isBroadcast } else { false }
    }

    /// Writes a `User`.
    func writeUser(_ id: Int64) {
        if let known = users[id] { return put(known) }
        let start = forms.count
        make(id, peers[id].map(PeerParts.init) ?? PeerParts())
        users[id] = start..<forms.count
        put(start..<forms.count)
    }

    /// Writes a `Chat`.
    func writeChat(_ peer: PeerID) { put(form(of: peer).place) }

    /// Writes the sender of a message as a `User`; in the place of a group or channel, the one that the Bot API shows.
    func writeSender(_ sender: PeerID, in chat: PeerID) {
        if case .user(let id) = sender { return writeUser(id) }
        output.put(
            sender == chat
                ? #"{"id":1087968824,"is_bot":true,"first_name":"Group","username":"GroupAnonymousBot"}"#
                : #"{"id":136817688,"is_bot":true,"first_name":"Channel","username":"Channel_Bot"}"#)
    }

    /// Writes the form in which the Bot API shows a message that is not accessible.
    func writeMissing(_ id: Int64, in chat: PeerID) {
        output.put(#"{"message_id":"#, id)
        output.put(#","chat":"#)
        writeChat(chat)
        output.put(#","date":0}"#)
    }

    private func put(_ place: Range<Int>) { output.put(UnsafeRawBufferPointer(rebasing: forms.bytes[place])) }

    private func make(_ id: Int64, _ user: PeerParts) {
        forms.put(#"{"id":"#, id)
        forms.put(user.isBot ? #","is_bot":true"# : #","is_bot":false"#)
        writeNames(user)
        forms.put(#","language_code":"#, user.language)
        if user.isPremium { forms.put(#","is_premium":true"#) }
        if user.isInAttachmentMenu { forms.put(#","added_to_attachment_menu":true"#) }
        forms.put("}")
    }

    private func writeNames(_ user: PeerParts) {
        forms.put(#","first_name":"#)
        if let name = user.firstName { forms.put(name) } else { forms.put("\"\"") }
        forms.put(#","last_name":"#, user.lastName)
        forms.put(#","username":"#, user.username)
    }

    private func made(_ peer: PeerID, _ chat: PeerParts) -> ChatForm {
        let start = forms.count
        forms.put(#"{"id":"#, peer.botAPI)
        switch peer {
        case .user:
            writeNames(chat)
            forms.put(#","type":"private"}"#)
        case .chat:
            writeTitle(chat)
            forms.put(#","type":"group"}"#)
        case .channel:
            writeTitle(chat)
            forms.put(#","username":"#, chat.username)
            forms.put(chat.isBroadcast ? #","type":"channel""# : #","type":"supergroup""#)
            if chat.isForum { forms.put(#","is_forum":true"#) }
            if chat.isMonoforum { forms.put(#","is_direct_messages":true"#) }
            forms.put("}")
        }
        return ChatForm(peer: peer, place: start..<forms.count, isBroadcast: chat.isBroadcast)
    }

    private func writeTitle(_ chat: PeerParts) {
        forms.put(#","title":"#)
        if let title = chat.title { forms.put(title) } else { forms.put("\"\"") }
    }
}

/// The parts of a user or chat of TL that its form in the Bot API depends on.
private struct PeerParts {
    var firstName: JSONView?
    var lastName: JSONView?
    var title: JSONView?
    var language: JSONView?
    var isBot = false
    var isPremium = false
    var isInAttachmentMenu = false
    var isBroadcast = false
    var isForum = false
    var isMonoforum = false
    private var name: JSONView?
    private var names: JSONView?

    init() {}

    init(_ peer: JSONView) {
        for (key, value) in peer.members where !value.isNull {
            switch key.count {
            case 3: if key.matches("bot") { isBot = value.isTrue }
            case 5:
                if key.matches("title") { title = value } else if key.matches("forum") { isForum = value.isTrue }
            case 7: if key.matches("premium") { isPremium = value.isTrue }
            case 8: if key.matches("username") { name = value }
            case 9: take(nine: key, value)
            case 10: if key.matches("first_name") { firstName = value }
            case 19: if key.matches("attach_menu_enabled") { isInAttachmentMenu = value.isTrue }
            default: break
            }
        }
    }

    private mutating func take(nine key: UnsafeRawBufferPointer, _ value: JSONView) {
        if key.matches("last_name") {
            lastName = value
        } else if key.matches("lang_code") {
            language = value
        } else if key.matches("broadcast") {
            isBroadcast = value.isTrue
        } else if key.matches("usernames") {
            names = value
        } else if key.matches("monoforum") {
            isMonoforum = value.isTrue
        }
    }

    var username: JSONView? {
        if let name { return name }
        guard let names else { return nil }
        for other in names.elements where other["active"]?.isTrue == true { return other["username"] }
        return nil
    }
}

extension PeerID {
    /// Reads a `Peer` of TL.
    package init?(_ peer: JSONView) {
        for (key, value) in peer.members {
            guard let id = value.long else { continue }
            if key.matches("user_id") {
                self = .user(id)
                return
            } else if key.matches("chat_id") {
                self = .chat(id)
                return
            } else if key.matches("channel_id") {
                self = .channel(id)
                return
            }
        }
        return nil
    }
}
