import JSON
import Payloads

/// Stores what events besides messages tell, within the transaction of their batch.
struct NoteWriter {
    let database: any ArchiveDatabase
    private let settings: ArchiveWriter.Settings
    private var dialect: SQLDialect { database.dialect }

    init(_ database: any ArchiveDatabase, _ settings: ArchiveWriter.Settings) {
        (self.database, self.settings) = (database, settings)
    }

    /// - Parameter inserted: the messages that this transaction has inserted, as far as ranges may concern them.
    func write(_ notes: [ArchiveNote], inserted: [MessageKey]) throws {
        var new: [ChatKey: [Int64]] = [:]
        for key in inserted { new[ChatKey(key.chatID, ownerID: key.ownerID), default: []].append(key.messageID) }
        var claims: [ChatKey: [RangeClaim]] = [:]
        var media: [MediaNote] = []
        for note in notes {
            switch note {
            case .range(let range, let time, let ids):
                let chat = ChatKey(range.chat["id"]?.int ?? 0, ownerID: range.ownerID)
                claims[chat, default: []].append(
                    RangeClaim(
                        from: range.fromID, to: range.toID, found: range.found, toldAt: time, ids: ids,
                        newestID: range.newestID, pts: range.pts))
            case .hole(let hole, let time):
                // What was proven before it came is forgotten, what is proven later counts.
                try take(&claims, &new)
                try open(hole, at: time)
            case .deletion(let ownerID, let ids, let time): try delete(ids, of: ownerID, at: time)
            case .reactions(let key, let reactions, let time):
                try database.run(
                    "UPDATE messages SET reactions = \(dialect.json("$1")), counted_at = \(dialect.time("$2")) "
                        + "WHERE chat_id = $3 AND message_id = $4 AND owner_id = $5 "
                        + "AND (counted_at IS NULL OR counted_at < \(dialect.time("$2")))",
                    [
                        .text(reactions.storable.text), .integer(time), .integer(key.chatID),
                        .integer(key.messageID), .integer(key.ownerID),
                    ])
                if settings.keepsCounters { try CounterWriter(database).keepStored(key, at: time) }
            case .topic(let chat, let topicID, let name, let isClosed, let time):
                try write(topic: topicID, of: chat, name, isClosed, at: time)
            case .media(let note): media.append(note)
            }
        }
        try take(&claims, &new)
        try MediaWriter(database).write(media)
    }

    private func take(_ claims: inout [ChatKey: [RangeClaim]], _ inserted: inout [ChatKey: [Int64]]) throws {
        // Sorted, so that two processes do not wait for each other in turn.
        let chats = Set(claims.keys).union(inserted.keys)
        try lockAccounts(Set(chats.map(\.ownerID)))
        for chat in chats.sorted(by: { ($0.chatID, $0.ownerID) < ($1.chatID, $1.ownerID) }) {
            try RangeKeeper(database: database, chat: chat).take(claims[chat] ?? [], inserted: inserted[chat] ?? [])
        }
        (claims, inserted) = ([:], [:])
    }

    /// Lets nobody tell meanwhile that updates of all private chats and basic groups of these accounts were lost.
    private func lockAccounts(_ ownerIDs: Set<Int64>) throws {
        for ownerID in ownerIDs.sorted() where ownerID != 0 {
            try database.lockRanges(of: LostUpdates.everyChat(ofAccount: ownerID))
        }
    }

    private func open(_ hole: HistoryHole, at time: Int64) throws {
        try lockAccounts([hole.ownerID])
        var chats: [ChatKey] = []
        if let chatID = hole.chatID {
            chats = [ChatKey(chatID, ownerID: hole.ownerID)]
        } else {
            try database.run(
                "SELECT chat_id FROM chats WHERE owner_id = $1 ORDER BY chat_id", [.integer(hole.ownerID)]
            ) { chats.append(ChatKey($0.integer(0), ownerID: hole.ownerID)) }
        }
        let account = hole.chatID == nil ? try lowestToReadAgain(ofAccount: hole.ownerID) : nil
        if hole.chatID == nil {
            try LostUpdates(from: max(hole.fromID, account ?? hole.fromID), toldAt: time)
                .save(of: LostUpdates.everyChat(ofAccount: hole.ownerID), in: database)
        }
        for chat in chats {
            // What another process is storing now must be seen, or must see the hole.
            try database.lockRanges(of: chat)
            // New messages are missed anyway. Edits and deletions can concern any message, of which the newest are read again.
            let lowest = try hole.chatID == nil ? account : lowestToReadAgain(of: chat, upTo: hole.toID)
            let from = max(hole.fromID, lowest ?? hole.fromID)
            if hole.chatID != nil {
                try LostUpdates(from: from, toldAt: time, pts: hole.pts).save(of: chat, in: database)
            }
            let to = try hole.toID.map { max($0, try newest(of: chat, after: $0, toldBefore: time) ?? $0) }
            guard from <= to ?? .max else { continue }
            try RangeKeeper(database: database, chat: chat).forget(from: from, to: to ?? .max)
            try database.run(
                "DELETE FROM holes WHERE chat_id = $1 AND owner_id = $2 AND from_id > $3 "
                    + "AND \(dialect.integer("$4")) IS NULL",
                [.integer(chat.chatID), .integer(chat.ownerID), .integer(from), ArchiveValue(to)])
            try database.run(
                """
                INSERT INTO holes AS h (chat_id, owner_id, from_id, to_id, reason, told_at) \
                VALUES ($1, $2, $3, \(dialect.integer("$4")), $5, \(dialect.time("$6"))) \
                ON CONFLICT (chat_id, owner_id, from_id) DO UPDATE SET to_id = CASE WHEN h.to_id IS NULL THEN NULL \
                WHEN EXCLUDED.to_id IS NULL OR EXCLUDED.to_id > h.to_id THEN EXCLUDED.to_id ELSE h.to_id END, \
                told_at = CASE WHEN EXCLUDED.told_at > h.told_at THEN EXCLUDED.told_at ELSE h.told_at END
                """,
                [
                    .integer(chat.chatID), .integer(chat.ownerID), .integer(from), ArchiveValue(to),
                    .text(hole.reason.storable), .integer(time),
                ])
        }
    }

    /// Returns the newest message that was known before a time: a listener's updates can be lost while another tool reads the
    /// history, and then they concern what that has read, too.
    ///
    /// Ranges count as well: the listener reads on after a loss, and may already have told of these messages again.
    private func newest(of chat: ChatKey, after id: Int64, toldBefore time: Int64) throws -> Int64? {
        try database.first(
            "SELECT max(id) FROM (SELECT max(message_id) AS id FROM messages WHERE chat_id = $1 AND owner_id = $2 "
                + "AND message_id > $3 AND seen_at <= \(dialect.time("$4")) UNION ALL SELECT max(to_id) FROM ranges "
                + "WHERE chat_id = $1 AND owner_id = $2 AND to_id > $3) AS known",
            [.integer(chat.chatID), .integer(chat.ownerID), .integer(id), .integer(time)]
        ) { $0.optionalInteger(0) } ?? nil
    }

    /// Returns the lowest id of the messages of a chat that are read again after updates were lost; nil for all.
    private func lowestToReadAgain(of chat: ChatKey, upTo last: Int64?) throws -> Int64? {
        try lowestToReadAgain(
            "chat_id = $1 AND owner_id = $2 AND message_id <= $3",
            [.integer(chat.chatID), .integer(chat.ownerID), .integer(last ?? .max)])
    }

    /// Returns the same for the private chats and basic groups of an account, whose messages it counts together.
    private func lowestToReadAgain(ofAccount ownerID: Int64) throws -> Int64? {
        // The second condition is that of the index.
        try lowestToReadAgain("owner_id = $1 AND owner_id <> 0", [.integer(ownerID)])
    }

    private func lowestToReadAgain(_ condition: String, _ values: [ArchiveValue]) throws -> Int64? {
        let count = max(0, settings.refreshedMessages)
        let found = try database.first(
            "SELECT message_id FROM messages WHERE \(condition) ORDER BY message_id DESC LIMIT 1 "
                + "OFFSET $\(values.count + 1)", values + [.integer(max(0, count - 1))]
        ) { $0.integer(0) }
        return count > 0 ? found : found.map { $0 + 1 }
    }

    /// Marks messages of private chats and basic groups, and remembers the deletion for rows that come later.
    private func delete(_ ids: [Int64], of ownerID: Int64, at time: Int64) throws {
        for id in ids {
            try database.run(
                """
                INSERT INTO deletions AS d (owner_id, message_id, deleted_at) VALUES ($1, $2, \(dialect.time("$3"))) \
                ON CONFLICT (owner_id, message_id) DO UPDATE SET deleted_at = EXCLUDED.deleted_at \
                WHERE EXCLUDED.deleted_at < d.deleted_at
                """, [.integer(ownerID), .integer(id), .integer(time)])
            // Channels and supergroups have the owner 0.
            try database.run(
                """
                UPDATE messages SET deleted_at = \(dialect.time("$1")) WHERE owner_id = $2 AND owner_id <> 0 \
                AND message_id = $3 AND (deleted_at IS NULL OR deleted_at > \(dialect.time("$1")))
                """, [.integer(time), .integer(ownerID), .integer(id)])
        }
    }

    private func write(topic: Int64, of chat: ChatKey, _ name: String?, _ isClosed: Bool?, at time: Int64) throws {
        let key: [ArchiveValue] = [.integer(chat.chatID), .integer(chat.ownerID), .integer(topic)]
        try database.run(
            "INSERT INTO topics (chat_id, owner_id, topic_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", key)
        let place = "chat_id = $3 AND owner_id = $4 AND topic_id = $5"
        if let name {
            try database.run(
                "UPDATE topics SET name = $1, named_at = \(dialect.time("$2")) WHERE \(place) "
                    + "AND (named_at IS NULL OR named_at < \(dialect.time("$2")))", [.text(name), .integer(time)] + key)
        }
        if let isClosed {
            let value = dialect == .postgres ? "($1 = 'true')" : "($1 = 'true')"
            try database.run(
                "UPDATE topics SET is_closed = \(value), closed_at = \(dialect.time("$2")) WHERE \(place) "
                    + "AND (closed_at IS NULL OR closed_at < \(dialect.time("$2")))",
                [.text(isClosed ? "true" : "false"), .integer(time)] + key)
        }
    }

    // MARK: Chats

    func write(_ chats: [ChatKey: ChatRow]) throws {
        for (key, chat) in chats.sorted(by: { ($0.key.chatID, $0.key.ownerID) < ($1.key.chatID, $1.key.ownerID) }) {
            try write(chat, key)
        }
    }

    private func write(_ chat: ChatRow, _ key: ChatKey) throws {
        if let username = chat.username {
            // A name that another chat had before is this one's now.
            try database.run(
                "UPDATE chats SET username = NULL WHERE lower(username) = lower($1) AND chat_id <> $2 "
                    + "AND seen_at < \(dialect.time("$3"))",
                [.text(username), .integer(key.chatID), .integer(chat.seenAt)])
        }
        let names = ["type", "title", "username"]
        let kept = ["linked_chat_id", "migrated_from_chat_id", "migrated_from_max_id", "comments_of_id", "total"]
        let isLater = "EXCLUDED.seen_at > c.seen_at"
        let isNamed = names.map { "EXCLUDED.\($0) IS DISTINCT FROM c.\($0)" }.joined(separator: " OR ")
        let isNews = kept.map {
            "(EXCLUDED.\($0) IS NOT NULL AND (c.\($0) IS NULL OR \(isLater)) AND EXCLUDED.\($0) IS DISTINCT FROM c.\($0))"
        }
        let isNewest = "(EXCLUDED.newest_id IS NOT NULL AND (c.newest_id IS NULL OR EXCLUDED.newest_id > c.newest_id))"
        let assignments =
            names.map { "\($0) = CASE WHEN \(isLater) THEN EXCLUDED.\($0) ELSE c.\($0) END" }
            + zip(kept, isNews).map { "\($0) = CASE WHEN \($1) THEN EXCLUDED.\($0) ELSE c.\($0) END" }
            + [
                "newest_id = CASE WHEN \(isNewest) THEN EXCLUDED.newest_id ELSE c.newest_id END",
                "seen_at = CASE WHEN \(isLater) THEN EXCLUDED.seen_at ELSE c.seen_at END",
            ]
        let conditions = ["(\(isLater) AND (\(isNamed)))", isNewest] + isNews
        try database.run(
            """
            INSERT INTO chats AS c (chat_id, owner_id, type, title, username, linked_chat_id, migrated_from_chat_id, \
            migrated_from_max_id, comments_of_id, newest_id, total, seen_at) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, \(dialect.time("$12"))) \
            ON CONFLICT (chat_id, owner_id) DO UPDATE SET \(assignments.joined(separator: ", ")) \
            WHERE \(conditions.joined(separator: " OR "))
            """,
            [
                .integer(key.chatID), .integer(key.ownerID), ArchiveValue(chat.type), ArchiveValue(chat.title),
                ArchiveValue(chat.username), ArchiveValue(chat.linkedChatID), ArchiveValue(chat.migratedFromChatID),
                ArchiveValue(chat.migratedFromMaxID), ArchiveValue(chat.commentsOfID), ArchiveValue(chat.newestID),
                ArchiveValue(chat.total),
                .integer(chat.seenAt),
            ])
    }
}
