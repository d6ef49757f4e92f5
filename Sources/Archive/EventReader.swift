import Envelope
import Glibc
package import JSON
import Payloads

/// Reads events, and puts what they tell into a batch. It is not for two threads at once.
///
/// Messages are read without building a tree; the rarer events are parsed as a whole.
package final class EventReader {
    package enum Outcome {
        case taken
        /// The event tells of stored media, and is of use to the stages behind this one, too.
        case noted
        /// The event is of no concern to the archive.
        case other
        case refused(MalformedInput)
    }

    private let finder = FieldFinder(MessageField.paths)
    private let parser = JSONParser()
    private var clock = EventClock()
    private var recent = RecentIDs()
    /// The hash of what was told last about each user and chat, so that it is not stored again with each message.
    private var knownUsers: [Int64: Int] = [:]
    private var knownChats: [ChatKey: Int] = [:]
    /// The chat of the last message, as it was written.
    private var lastChat: (key: ChatKey, text: [UInt8])?
    /// The users and chats that are remembered at most.
    private static let mostKnown = 50_000

    package init() {}

    /// Forgets what has been told about users and chats, because it may not have been stored.
    package func forgetKnown() {
        knownUsers = [:]
        knownChats = [:]
        lastChat = nil
    }

    /// - Parameter line: `JSONParser.paddingBytes` more bytes must be readable after it.
    package func read(_ line: UnsafeRawBufferPointer, into batch: RowBatch) -> Outcome {
        let scanned = finder.find(in: line)
        if let fault = scanned.fault { return .refused(fault) }
        do throws(MalformedInput) {
            if scanned.type.isText("events.telegram.message") {
                return try readMessage(line, into: batch, isHistory: true)
            } else if scanned.type.isText("events.telegram.raw") {
                return try readUpdate(line, into: batch)
            } else if scanned.type.isText("events.telegram.history_range") {
                try readRange(line, into: batch)
            } else if scanned.type.isText("events.telegram.history_hole") {
                try readHole(line, into: batch)
            } else if scanned.type.isText("events.telegram.history_comments") {
                try readComments(line, into: batch)
            } else if scanned.type.isText("events.dl.video.ready") || scanned.type.isText("events.dl.audio.ready")
                || scanned.type.isText("events.dl.image.ready") || scanned.type.isText("events.blob.stored")
                || scanned.type.isText("events.blob.removed")
            {
                return try readMedia(line, into: batch)
            } else {
                return .other
            }
            return .taken
        } catch {
            return .refused(error)
        }
    }

    private func readUpdate(_ line: UnsafeRawBufferPointer, into batch: RowBatch) throws(MalformedInput) -> Outcome {
        if !finder[.deleted].isAbsent {
            try readDeletion(into: batch)
        } else if !finder[.reactionCount].isAbsent {
            try readReactions(into: batch)
        } else {
            return try readMessage(line, into: batch, isHistory: false)
        }
        return .taken
    }

    // MARK: Messages

    private func readMessage(
        _ line: UnsafeRawBufferPointer, into batch: RowBatch, isHistory: Bool
    ) throws(MalformedInput) -> Outcome {
        var body: MessageField?
        var bodies = 0
        for field in MessageField.bodyFields where finder[field].isObject { (body, bodies) = (field, bodies + 1) }
        guard let body else {
            if isHistory { throw MalformedInput(.invalidPayload, "the payload has no message") }
            return .other
        }
        guard bodies == 1, let chatID = finder[.chatID].int, let messageID = finder[.messageID].int,
            let date = finder[.date].int, MessageKey.ids.contains(messageID)
        else {
            throw MalformedInput(.invalidPayload, "the message lacks a valid chat.id, message_id or date")
        }
        let seenAt = clock.microseconds(of: finder[.timestamp])
        let account = finder[.account].int ?? finder[.bot].int
        let chat = ChatKey(
            chatID, ownerID: try owner(chatID, finder[.chatType].quoted, account))
        let source = Source(line, batch.arena.append(line), batch.arena)
        var row = MessageRow(
            key: MessageKey(chatID: chatID, messageID: messageID, ownerID: chat.ownerID), line: source.span)
        row.content = content(
            date: date, seenAt: seenAt, account: account, raw: source.part(finder[body].bytes), source)
        if finder[.counters].isObject { row.counters = counters(at: seenAt, source) }
        batch.add(row)
        noteChat(chat, seenAt, batch)
        noteUser(seenAt, batch)
        if isHistory { recent.add(messageID, to: chat) }
        if !finder[MessageField.firstService].bytes.isEmpty || row.content?.service != nil {
            noteService(chat, row, batch)
        }
        return .taken
    }

    /// Returns whose ids the messages of a chat have.
    private func owner(
        _ chatID: Int64, _ type: UnsafeRawBufferPointer?, _ account: Int64?
    ) throws(MalformedInput) -> Int64 {
        if let type {
            if type.isText("channel") || type.isText("supergroup") { return 0 }
        } else if chatID < -1_000_000_000_000 {
            return 0
        }
        guard let account else {
            throw MalformedInput(
                .invalidPayload, "meta.account is missing: in private chats and basic groups, ids count per account")
        }
        return account
    }

    private func content(
        date: Int64, seenAt: Int64, account: Int64?, raw: ByteArena.Span, _ source: Source
    ) -> MessageRow.Content {
        var content = MessageRow.Content(
            date: date, pts: finder[.pts].int, seenAt: seenAt, accountID: account, raw: raw)
        content.editDate = finder[.editDate].int
        content.senderID = finder[.fromID].int ?? finder[.senderChatID].int
        content.replyToID = finder[.replyToID].int
        if finder[.isTopicMessage].isTrue { content.topicID = finder[.threadID].int }
        content.albumID = finder[.albumID].quotedInt
        if let forwardDate = finder[.forwardDate].int {
            content.forwardDate = forwardDate
            content.forwardFromID =
                finder[.forwardUserID].int ?? finder[.forwardChatID].int ?? finder[.forwardSenderID].int
            content.forwardMessageID = finder[.forwardMessageID].int
            content.forwardName = source.string(finder[.forwardUserName])
        }
        content.text = source.string(finder[finder[.text].isAbsent ? .caption : .text])
        for (field, name) in MessageField.files where !finder[field].bytes.isEmpty {
            (content.media, content.fileUniqueID) = (name, source.string(finder[field]))
            break
        }
        if content.media == nil {
            content.media = finder.firstPresent(MessageField.others, from: MessageField.firstOther.rawValue)
            if content.media == nil, content.text.isAbsent {
                content.service = finder.firstPresent(MessageField.services, from: MessageField.firstService)
            }
        }
        return content
    }

    private func counters(
        at time: Int64, _ source: Source
    ) -> MessageRow.Counters {
        var counters = MessageRow.Counters(
            countedAt: time, views: finder[.views].int, forwards: finder[.forwards].int, replies: finder[.replies].int)
        let reactions = finder[.reactions]
        if reactions.isArray { counters.reactions = source.part(reactions.bytes) }
        return counters
    }

    // MARK: Chats and users

    private func noteChat(_ chat: ChatKey, _ seenAt: Int64, _ batch: RowBatch) {
        let source = finder[.chat].bytes
        if let lastChat, lastChat.key == chat, lastChat.text.withUnsafeBytes({ $0.isEqual(to: source) }) { return }
        lastChat = (chat, Array(source))
        let hash = EventReader.hash(of: source)
        guard knownChats[chat] != hash else { return }
        if knownChats.count >= EventReader.mostKnown { knownChats = [:] }
        knownChats[chat] = hash
        guard let json = try? parser.parse(source) else { return }
        batch.note(ChatRow(json, seenAt: seenAt), of: chat)
    }

    private func noteUser(_ seenAt: Int64, _ batch: RowBatch) {
        guard let id = finder[.fromID].int else { return }
        let source = finder[.from].bytes
        let hash = EventReader.hash(of: source)
        guard knownUsers[id] != hash else { return }
        if knownUsers.count >= EventReader.mostKnown { knownUsers = [:] }
        knownUsers[id] = hash
        guard let json = try? parser.parse(source) else { return }
        let user = UserRow(
            firstName: json.name("first_name"), lastName: json.name("last_name"), username: json.name("username"),
            isBot: json["is_bot"]?.bool ?? false, seenAt: seenAt)
        if seenAt >= batch.users[id]?.seenAt ?? .min { batch.users[id] = user }
    }

    /// A sender who made two names with the same hash would only hide the second one.
    private static func hash(of bytes: UnsafeRawBufferPointer) -> Int {
        var hash = UInt64(bytes.count)
        var rest = bytes
        while rest.count >= 8 {
            hash = mixed(hash, rest.loadUnaligned(as: UInt64.self))
            rest = UnsafeRawBufferPointer(rebasing: rest[8...])
        }
        for byte in rest { hash = mixed(hash, UInt64(byte)) }
        return Int(truncatingIfNeeded: hash)
    }

    private static func mixed(_ hash: UInt64, _ value: UInt64) -> UInt64 {
        let product = (hash ^ value).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return product.high ^ product.low
    }

    /// Notes what a service message tells beyond itself: topics, and the other half of a group that migrated.
    private func noteService(_ chat: ChatKey, _ row: MessageRow, _ batch: RowBatch) {
        guard let service = row.content?.service, let raw = row.content?.raw, let bytes = batch.arena.bytes(raw),
            let time = row.content?.seenAt
        else { return }
        let topics: Set = ["forum_topic_created", "forum_topic_edited", "forum_topic_closed", "forum_topic_reopened"]
        let name = "\(service)"
        guard topics.contains(name) || name == "migrate_from_chat_id", let json = try? parser.parse(bytes) else {
            return
        }
        if name == "migrate_from_chat_id" {
            var known = ChatRow(json["chat"] ?? .null, seenAt: time)
            known.migratedFromChatID = json[name]?.int
            return batch.note(known, of: chat)
        }
        let topic =
            name == "forum_topic_created" ? row.key.messageID : row.content?.topicID ?? json["message_thread_id"]?.int
        guard let topic else { return }
        let closed: Bool? = name == "forum_topic_closed" ? true : name == "forum_topic_reopened" ? false : nil
        batch.notes.append(
            .topic(chat, topicID: topic, name: json[name]?.name("name"), isClosed: closed, at: time))
    }

    // MARK: Other events

    private func readRange(_ line: UnsafeRawBufferPointer, into batch: RowBatch) throws(MalformedInput) {
        let range = try HistoryRange(try Envelope(try parser.parse(line, padded: true)))
        guard MessageKey.ids.contains(range.toID), MessageKey.ids.contains(range.newestID ?? range.toID) else {
            throw MalformedInput(.invalidPayload, "to_id or newest_id is no id of a message")
        }
        let time = clock.microseconds(of: finder[.timestamp])
        let chat = ChatKey(range.chat["id"]?.int ?? 0, ownerID: range.ownerID)
        batch.note(ChatRow(range, seenAt: time), of: chat)
        let ids = recent.take(from: range.fromID, to: range.toID, of: chat)
        let areAll = MessageIDDigest(each: ids) == range.found
        batch.notes.append(.range(range, toldAt: time, ids: areAll ? ids : nil))
    }

    private func readHole(_ line: UnsafeRawBufferPointer, into batch: RowBatch) throws(MalformedInput) {
        let hole = try HistoryHole(try Envelope(try parser.parse(line, padded: true)))
        guard MessageKey.ids.contains(hole.toID ?? hole.fromID) else {
            throw MalformedInput(.invalidPayload, "to_id is no id of a message")
        }
        batch.notes.append(.hole(hole, toldAt: clock.microseconds(of: finder[.timestamp])))
    }

    private func readComments(_ line: UnsafeRawBufferPointer, into batch: RowBatch) throws(MalformedInput) {
        let comments = try HistoryComments(try Envelope(try parser.parse(line, padded: true)))
        var group = ChatRow(comments.chat, seenAt: clock.microseconds(of: finder[.timestamp]))
        group.commentsOfID = comments.channelID
        batch.note(group, of: ChatKey(comments.chat["id"]?.int ?? 0, ownerID: 0))
    }

    private func readMedia(_ line: UnsafeRawBufferPointer, into batch: RowBatch) throws(MalformedInput) -> Outcome {
        let event = try Envelope(try parser.parse(line, padded: true))
        let time = clock.microseconds(of: finder[.timestamp])
        if event.type == BlobRemoved.type {
            guard let removed = try? BlobRemoved(event), (try? StoredMedia.check(removed.store, removed.key)) != nil
            else { return .other }
            batch.notes.append(.media(MediaNote(store: removed.store, key: removed.key, media: nil, time: time)))
        } else {
            guard let media = StoredMedia(event) else { return .other }
            batch.notes.append(.media(MediaNote(store: media.store, key: media.key, media: media, time: time)))
        }
        return .noted
    }

    private func readDeletion(into batch: RowBatch) throws(MalformedInput) {
        let json = try parser.parse(finder[.deleted].bytes)
        let ids = (json["message_ids"]?.array ?? []).compactMap(\.int).filter { MessageKey.ids.contains($0) }
        let time = clock.microseconds(of: finder[.timestamp])
        let account = finder[.account].int ?? finder[.bot].int
        guard let chat = json["chat"] else {
            guard let account else { throw MalformedInput(.invalidPayload, "meta.account and the chat are missing") }
            batch.notes.append(.deletion(ownerID: account, messageIDs: ids, at: time))
            return
        }
        guard let chatID = chat["id"]?.int else { throw MalformedInput(.invalidPayload, "the chat has no id") }
        let isShared = ["channel", "supergroup"].contains(chat["type"]?.string ?? "") || chatID < -1_000_000_000_000
        guard let ownerID = isShared ? 0 : account else {
            throw MalformedInput(.invalidPayload, "meta.account is missing")
        }
        for id in ids {
            batch.add(
                MessageRow(key: MessageKey(chatID: chatID, messageID: id, ownerID: ownerID), deletedAt: time))
        }
    }

    private func readReactions(into batch: RowBatch) throws(MalformedInput) {
        let json = try parser.parse(finder[.reactionCount].bytes)
        guard let chatID = json["chat"]?["id"]?.int, let messageID = json["message_id"]?.int,
            let reactions = json["reactions"], reactions.array != nil
        else { throw MalformedInput(.invalidPayload, "the reactions lack a chat, a message_id or a list") }
        let ownerID = try owner(
            chatID, nil, chatID < -1_000_000_000_000 ? 0 : finder[.account].int ?? finder[.bot].int)
        batch.notes.append(
            .reactions(
                MessageKey(chatID: chatID, messageID: messageID, ownerID: ownerID), reactions,
                at: clock.microseconds(of: finder[.timestamp])))
    }
}

/// A line that was appended to an arena, in which its values have a place already.
private struct Source {
    let line: UnsafeRawBufferPointer
    let span: ByteArena.Span
    let arena: ByteArena

    init(_ line: UnsafeRawBufferPointer, _ span: ByteArena.Span, _ arena: ByteArena) {
        (self.line, self.span, self.arena) = (line, span, arena)
    }

    /// Returns the place of a part of the line.
    func part(_ bytes: UnsafeRawBufferPointer) -> ByteArena.Span {
        guard let start = bytes.baseAddress, let begin = line.baseAddress else { return .absent }
        return ByteArena.Span(offset: span.offset + (start - begin), count: bytes.count)
    }

    /// Returns the place of a string without its escapes.
    func string(_ string: JSONSource) -> ByteArena.Span {
        guard let quoted = string.quoted else { return .absent }
        guard JSONSource.hasEscape(quoted) else { return part(quoted) }
        return arena.append { JSONSource.unescape(quoted, $0) }
    }
}

extension RowBatch {
    func note(_ chat: ChatRow, of key: ChatKey) {
        chats[key] = chats[key].map { $0.merged(with: chat) } ?? chat
    }
}

extension JSON {
    /// Returns a name without NUL characters, which databases refuse.
    fileprivate func name(_ key: String) -> String? { self[key]?.string?.storable }
}

extension ChatRow {
    /// Reads a `Chat` of the Bot API.
    init(_ json: JSON, seenAt: Int64) {
        let names = [json.name("first_name"), json.name("last_name")].compactMap { $0 }
        self.init(
            type: json.name("type"), title: json.name("title") ?? (names.isEmpty ? nil : names.joined(separator: " ")),
            username: json.name("username"), linkedChatID: json["linked_chat_id"]?.int,
            migratedFromChatID: json["migrated_from_chat_id"]?.int,
            migratedFromMaxID: json["migrated_from_max_id"]?.int, seenAt: seenAt)
    }

    init(_ range: HistoryRange, seenAt: Int64) {
        self.init(range.chat, seenAt: seenAt)
        (newestID, total) = (range.newestID, range.total)
    }

    /// Returns this knowledge together with some that came later in the stream.
    func merged(with other: ChatRow) -> ChatRow {
        let (new, old) = other.seenAt >= seenAt ? (other, self) : (self, other)
        var merged = new
        merged.linkedChatID = new.linkedChatID ?? old.linkedChatID
        merged.migratedFromChatID = new.migratedFromChatID ?? old.migratedFromChatID
        merged.migratedFromMaxID = new.migratedFromMaxID ?? old.migratedFromMaxID
        merged.commentsOfID = new.commentsOfID ?? old.commentsOfID
        merged.newestID = [new.newestID, old.newestID].compactMap { $0 }.max()
        merged.total = new.total ?? old.total
        return merged
    }
}
