package import Accounts
package import JSON

/// Writes the messages of an answer of Telegram as the text of their Bot API forms, exactly as `PageShape` shows them.
///
/// Most messages are written straight from the parsed document. One with rarer parts is shown by `PageShape`, which builds trees of values
/// and takes several times as long.
package final class PageWriter {
    /// The text that was written.
    package var output: [UInt8] = []
    let own: Int64
    private let answer: JSONView
    /// The users and chats of the answer, by their Bot API ids.
    private var peers: [Int64: JSONView] = [:]
    /// The forms of users and chats that were written before.
    private var users: [Int64: [UInt8]] = [:]
    private var chats: [PeerID: [UInt8]] = [:]
    /// Shows the messages that are not written directly; made at its first use.
    private var shape: PageShape?

    /// - Parameters:
    ///   - own: the account's id.
    ///   - answer: an answer with `messages`, `users` and `chats`. It must stay valid while the writer is used.
    package init(own: Int64, answer: JSONView) {
        (self.own, self.answer) = (own, answer)
        for list in [answer["users"], answer["chats"]] {
            for peer in list?.elements ?? answer.none { note(peer) }
        }
    }

    /// Notes a peer as `Peers` does.
    private func note(_ peer: JSONView) {
        guard let id = peer["id"]?.long, let kind = peer["_"] else { return }
        if kind.isText("user") {
            peers[id] = peer
        } else if kind.isText("channel") || kind.isText("channelForbidden") {
            peers[PeerID.channel(id).botAPI] = peer
        } else if kind.isText("chat") || kind.isText("chatForbidden") {
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
        if !parts.isRare, let chat = parts.chat, MessageWriter(page: self, parts: parts, chat: chat).write() {
            writeCounters(parts)
            return Written(isOutgoing: parts.isOutgoing, isDirect: true)
        }
        output.removeSubrange(start...)
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
        output.append(literal: "\"")
        output += shown.kind.utf8
        output.append(literal: "\":")
        shown.body.write(to: &output)
        if let counters = PageShape.counters(of: message) {
            output.append(literal: ",\"counters\":")
            counters.write(to: &output)
        }
        return Written(isOutgoing: shown.isOutgoing, isDirect: false)
    }

    private var trees: JSON { .object(["users": answer["users"]?.json, "chats": answer["chats"]?.json]) }

    private func writeCounters(_ parts: MessageParts) {
        var isFirst = true
        func begin(_ key: StaticString) {
            output.append(literal: isFirst ? ",\"counters\":{\"" : ",\"")
            output.append(literal: key)
            output.append(literal: "\":")
            isFirst = false
        }
        for (key, value) in [
            ("views", parts.views), ("forwards", parts.forwards), ("replies", parts.replies?["replies"]),
        ] as [(StaticString, JSONView?)] {
            guard let value else { continue }
            begin(key)
            output.append(value)
        }
        if let reactions = parts.reactions {
            begin("reactions")
            writeCounts(reactions)
        }
        if !isFirst { output.append(literal: "}") }
    }

    private func writeCounts(_ reactions: JSONView) {
        // Most reactions are emoji.
        let results = reactions["results"]
        let arePlain = results?.elements.allSatisfy {
            $0["reaction"]?["_"]?.isText("reactionEmoji") == true && $0["reaction"]?["emoticon"] != nil
                && $0["count"] != nil
        }
        guard let results, arePlain == true else { return BotShape.counts(reactions.json).write(to: &output) }
        output.append(literal: "[")
        for (index, result) in results.elements.enumerated() {
            guard let emoji = result["reaction"]?["emoticon"], let count = result["count"] else { continue }
            output.append(
                literal: index == 0 ? #"{"type":{"type":"emoji","emoji":"# : #",{"type":{"type":"emoji","emoji":"#)
            output.append(emoji)
            output.append(literal: #"},"total_count":"#)
            output.append(count)
            output.append(literal: "}")
        }
        output.append(literal: "]")
    }

    // MARK: Peers

    func isBroadcast(_ peer: PeerID) -> Bool {
        if case .channel = peer { peers[peer.botAPI]?["broadcast"]?.isTrue ?? false } else { false }
    }

    /// Writes a `User`.
    func writeUser(_ id: Int64) {
        if let known = users[id] { return output += known }
        let start = output.count
        makeUser(id, peers[id])
        users[id] = Array(output[start...])
    }

    private func makeUser(_ id: Int64, _ user: JSONView?) {
        output.append(literal: #"{"id":"#)
        output.append(integer: id)
        output.append(literal: user?["bot"]?.isTrue == true ? #","is_bot":true"# : #","is_bot":false"#)
        writeNames(user)
        if let language = user?["lang_code"] { output.append(#","language_code":"#, language) }
        if user?["premium"]?.isTrue == true { output.append(literal: #","is_premium":true"#) }
        if user?["attach_menu_enabled"]?.isTrue == true { output.append(literal: #","added_to_attachment_menu":true"#) }
        output.append(literal: "}")
    }

    private func writeNames(_ user: JSONView?) {
        output.append(literal: #","first_name":"#)
        if let name = user?["first_name"] { output.append(name) } else { output.append(literal: "\"\"") }
        if let name = user?["last_name"] { output.append(#","last_name":"#, name) }
        if let name = user.flatMap(username) { output.append(#","username":"#, name) }
    }

    private func username(_ peer: JSONView) -> JSONView? {
        if let name = peer["username"] { return name }
        for other in peer["usernames"]?.elements ?? peer.none where other["active"]?.isTrue == true {
            return other["username"]
        }
        return nil
    }

    /// Writes a `Chat`.
    func writeChat(_ peer: PeerID) {
        if let known = chats[peer] { return output += known }
        let start = output.count
        makeChat(peer, peers[peer.botAPI])
        chats[peer] = Array(output[start...])
    }

    private func makeChat(_ peer: PeerID, _ chat: JSONView?) {
        output.append(literal: #"{"id":"#)
        output.append(integer: peer.botAPI)
        if case .user = peer {
            writeNames(chat)
            return output.append(literal: #","type":"private"}"#)
        }
        output.append(literal: #","title":"#)
        if let title = chat?["title"] { output.append(title) } else { output.append(literal: "\"\"") }
        guard case .channel = peer else { return output.append(literal: #","type":"group"}"#) }
        if let name = chat.flatMap(username) { output.append(#","username":"#, name) }
        output.append(literal: isBroadcast(peer) ? #","type":"channel""# : #","type":"supergroup""#)
        if chat?["forum"]?.isTrue == true { output.append(literal: #","is_forum":true"#) }
        if chat?["monoforum"]?.isTrue == true { output.append(literal: #","is_direct_messages":true"#) }
        output.append(literal: "}")
    }
}

extension PeerID {
    /// Reads a `Peer` of TL.
    package init?(_ peer: JSONView) {
        for (key, value) in peer.members {
            guard let id = value.long else { continue }
            if key.isEqual(to: "user_id") {
                self = .user(id)
                return
            } else if key.isEqual(to: "chat_id") {
                self = .chat(id)
                return
            } else if key.isEqual(to: "channel_id") {
                self = .channel(id)
                return
            }
        }
        return nil
    }
}

extension [UInt8] {
    /// Appends a key with its separators, and a value.
    mutating func append(_ key: StaticString, _ value: JSONView) {
        append(literal: key)
        append(value)
    }
}
