import Payloads
import System

/// Reads an archive. Its calls block; one thread at a time may use it.
package final class ArchiveReader: @unchecked Sendable {
    let database: any ArchiveDatabase
    private var dialect: SQLDialect { database.dialect }

    /// - Parameter name: is shown in the database's list of connections.
    /// - Throws: `ArchiveError` (78) if there is no archive, or it does not fit; `PostgresError`, `SQLiteError`.
    package init(_ address: ArchiveAddress, name: String) throws {
        database = try address.open(name: name)
    }

    /// Opens an archive; returns nil if there is none yet.
    package static func ifExists(_ address: ArchiveAddress, name: String) throws -> ArchiveReader? {
        do { return try ArchiveReader(address, name: name) } catch let error as ArchiveError where error.isMissing {
            return nil
        }
    }

    package var rawForm: RawForm { database.rawForm }

    /// Runs `body` so that all of its calls see one state of the archive.
    package func snapshot<Value>(_ body: () throws -> Value) throws -> Value { try database.snapshot(body) }

    // MARK: Chats

    /// A chat that the archive knows.
    package struct KnownChat: Sendable {
        package let key: ChatKey
        package var type: String?
        package var title: String?
        package var username: String?
        package var migratedFrom: Int64?
        package var newestID: Int64?
        /// The channel whose comments are all that was read of this group.
        package var commentsOf: Int64?
    }

    /// Returns all chats of which there are messages, ranges or other news.
    package func chats() throws -> [KnownChat] {
        var chats: [KnownChat] = []
        try database.run(
            """
            SELECT k.chat_id, k.owner_id, c.type, c.title, c.username, c.migrated_from_chat_id, c.newest_id, \
            CASE WHEN EXISTS (SELECT 1 FROM ranges AS r WHERE r.chat_id = k.chat_id AND r.owner_id = k.owner_id) \
            THEN NULL ELSE c.comments_of_id END FROM \
            (SELECT chat_id, owner_id FROM chats UNION SELECT chat_id, owner_id FROM ranges \
            UNION SELECT chat_id, owner_id FROM holes UNION SELECT chat_id, owner_id FROM failures) AS k \
            LEFT JOIN chats AS c ON c.chat_id = k.chat_id AND c.owner_id = k.owner_id ORDER BY k.chat_id, k.owner_id
            """, []
        ) { row in
            chats.append(
                KnownChat(
                    key: ChatKey(row.integer(0), ownerID: row.integer(1)), type: row.optionalText(2),
                    title: row.optionalText(3), username: row.optionalText(4), migratedFrom: row.optionalInteger(5),
                    newestID: row.optionalInteger(6), commentsOf: row.optionalInteger(7)))
        }
        return chats
    }

    // MARK: Inspecting

    /// Compares the rows of a chat with what its ranges say.
    package func inspect(_ chat: KnownChat) throws -> ChatInspection {
        let key: [ArchiveValue] = [.integer(chat.key.chatID), .integer(chat.key.ownerID)]
        var ranges: [StoredRange] = []
        try database.run(
            "SELECT from_id, to_id, count, checksum FROM ranges WHERE chat_id = $1 AND owner_id = $2 "
                + "AND \(StoredRange.isPossible) ORDER BY to_id", key
        ) { ranges.append(StoredRange($0)) }
        var scan = CoverageScan(ranges)
        try database.streamIDs(of: chat.key) { if MessageKey.ids.contains($0) { scan.take($0) } }
        var inspection = ChatInspection(chat: chat.key, title: chat.title, username: chat.username, type: chat.type)
        let told = try holes(told: key)
        // Beyond these ids there are none, whoever has written them into the tables.
        scan.finish(
            newest: min(max(chat.newestID ?? 0, told.compactMap(\.to).max() ?? 0), MessageKey.ids.upperBound))
        inspection.openFrom = told.filter { $0.to == nil }.map(\.from).min()
        (inspection.messages, inspection.top) = (scan.messages, scan.top)
        var spans = scan.holes
        for (range, rows) in scan.faulty {
            inspection.faults.append(
                RangeFault(
                    span: IDSpan(from: range.from, to: range.to),
                    expected: range.rows.count == .max ? nil : range.rows.count, stored: rows.count))
            spans += try lost(of: range, chat.key)
        }
        // Which ids are comments, nobody can tell.
        inspection.commentsOf = chat.commentsOf
        inspection.holes = chat.commentsOf == nil ? .joined(spans) : []
        let list = RangeList(ranges)
        inspection.outdated = .joined(
            try told.flatMap { hole in hole.to.map { list.uncovered(hole.from, $0) } ?? [] }
                + unproven(chat.key, outside: list))
        try database.run(
            "SELECT DISTINCT message_id FROM failures WHERE chat_id = $1 AND owner_id = $2 ORDER BY message_id", key
        ) { inspection.failures.append($0.integer(0)) }
        return inspection
    }

    /// Returns where messages are that were read before updates were lost, and that no range has proven since.
    ///
    /// A message proves itself as long as all updates come. One that another tool has read, and that the listener did not know of
    /// when its updates were lost, is in no hole.
    private func unproven(_ chat: ChatKey, outside ranges: RangeList) throws -> [IDSpan] {
        var spans: [IDSpan] = []
        for loss in try LostUpdates.concerning(chat, in: database) {
            for part in ranges.uncovered(loss.from, .max) {
                for id in try loss.outdated(from: part.from, to: part.to, of: chat, in: database) {
                    if let last = spans.last, last.from >= part.from, id - last.to <= ArchiveReader.nearby {
                        spans[spans.count - 1].to = id
                    } else {
                        spans.append(IDSpan(from: id, to: id))
                    }
                }
            }
        }
        return spans
    }

    /// Outdated messages that are nearer to each other than this are read again together.
    private static let nearby: Int64 = 100

    private func holes(told key: [ArchiveValue]) throws -> [(from: Int64, to: Int64?)] {
        var holes: [(from: Int64, to: Int64?)] = []
        try database.run("SELECT from_id, to_id FROM holes WHERE chat_id = $1 AND owner_id = $2", key) {
            holes.append(($0.integer(0), $0.optionalInteger(1)))
        }
        return holes
    }

    /// Returns the lost rows of a range; all of its ids if they cannot be told.
    private func lost(of range: StoredRange, _ chat: ChatKey) throws -> [IDSpan] {
        var stored: [Int64] = []
        try database.run(
            "SELECT message_id FROM messages WHERE chat_id = $1 AND message_id >= $2 AND message_id <= $3 "
                + "AND owner_id = $4 ORDER BY message_id",
            [.integer(chat.chatID), .integer(range.from), .integer(range.to), .integer(chat.ownerID)]
        ) { stored.append($0.integer(0)) }
        return LostRows.find(in: range, stored: stored)
    }

    // MARK: Positions

    /// Returns the id of the newest message before a time; nil if there is none.
    package func newestID(of chat: ChatKey, before time: Int64) throws -> Int64? {
        try database.first(
            "SELECT max(message_id) FROM messages WHERE chat_id = $1 AND owner_id = $2 "
                + "AND date < \(dialect.messageTime("$3"))",
            [.integer(chat.chatID), .integer(chat.ownerID), .integer(time)]
        ) { $0.optionalInteger(0) } ?? nil
    }

    /// Returns the id of the `count`th newest message; nil if there are fewer.
    package func id(ofNewest count: Int64, _ chat: ChatKey) throws -> Int64? {
        try database.first(
            "SELECT message_id FROM messages WHERE chat_id = $1 AND owner_id = $2 ORDER BY message_id DESC "
                + "LIMIT 1 OFFSET $3",
            [.integer(chat.chatID), .integer(chat.ownerID), .integer(count - 1)]
        ) { $0.integer(0) }
    }

    /// Returns the time of the newest message, in seconds since 1970.
    package func newestDate(of chat: ChatKey) throws -> Int64? {
        try database.first(
            "SELECT \(dialect.seconds("date")) FROM messages WHERE chat_id = $1 AND owner_id = $2 "
                + "AND date IS NOT NULL ORDER BY message_id DESC LIMIT 1",
            [.integer(chat.chatID), .integer(chat.ownerID)]
        ) { $0.integer(0) }
    }

    /// Returns the number of rows of the table `counters` for each chat.
    package func counterRows() throws -> [ChatKey: Int64] {
        var rows: [ChatKey: Int64] = [:]
        try database.run("SELECT chat_id, owner_id, count(*) FROM counters GROUP BY chat_id, owner_id", []) {
            rows[ChatKey($0.integer(0), ownerID: $0.integer(1))] = $0.integer(2)
        }
        return rows
    }

    /// Returns the number of messages that ranges prove, for each chat; it is read quickly.
    package func provenCounts() throws -> [ChatKey: Int64] {
        var counts: [ChatKey: Int64] = [:]
        try database.run(
            "SELECT chat_id, owner_id, CAST(SUM(count) AS BIGINT) FROM ranges GROUP BY chat_id, owner_id", []
        ) { counts[ChatKey($0.integer(0), ownerID: $0.integer(1))] = $0.integer(2) }
        return counts
    }
}
