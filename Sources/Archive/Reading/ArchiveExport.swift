import JSON

/// Writes messages of an archive as text, while they are read.
package struct ArchiveExport: Sendable {
    package enum Format: String, Sendable, CaseIterable {
        case ndjson
        case csv
    }

    /// The table that is written.
    package enum Contents: Sendable {
        case messages
        /// The figures of messages over time.
        case counters
    }

    package let format: Format
    private let contents: Contents
    private let columns: [String]
    /// Times of messages, in seconds since 1970: the first that is wanted, and the first that is not.
    package var since: Int64?
    package var until: Int64?
    /// Words that the texts must have; the full-text index must exist.
    package var search: String?
    package var includesDeleted = true

    package init(format: Format, contents: Contents = .messages) {
        (self.format, self.contents) = (format, contents)
        columns = contents == .messages ? ArchiveExport.messageColumns : ArchiveExport.counterColumns
    }

    private static let messageColumns = [
        "chat_id", "message_id", "owner_id", "date", "edit_date", "deleted_at", "sender_id", "reply_to_id", "topic_id",
        "album_id", "forward_from_id", "forward_message_id", "forward_date", "forward_name", "service", "media",
        "file_unique_id", "views", "forwards", "replies", "reactions", "text",
    ]
    private static let counterColumns = [
        "chat_id", "message_id", "owner_id", "counted_at", "views", "forwards", "replies", "reactions",
    ]
    /// Times in seconds, and in microseconds.
    private static let times = ["date", "edit_date", "forward_date"]
    private static let exactTimes = ["deleted_at", "counted_at"]
    private static let texts = ["forward_name", "service", "media", "file_unique_id", "reactions", "text"]

    /// Writes the messages of chats, one chat after the other, each in the order of its ids.
    ///
    /// - Parameter write: takes whole lines.
    package func run(
        _ reader: ArchiveReader, _ chats: [ArchiveReader.KnownChat], write: ([UInt8]) throws -> Void
    ) throws {
        if search != nil { try reader.requireSearchIndex() }
        if format == .csv { try write(Array(columns.joined(separator: ",").utf8) + [13, 10]) }
        let database = reader.database
        let hasRaw = contents == .messages && format == .ndjson && database.rawForm != .none
        for chat in chats {
            let (sql, values) = query(chat, database, hasRaw: hasRaw)
            try database.stream(sql, values) { row in
                try write(format == .csv ? csv(row) : json(row, database, hasRaw: hasRaw))
                return true
            }
        }
    }

    private func query(
        _ chat: ArchiveReader.KnownChat, _ database: any ArchiveDatabase, hasRaw: Bool
    ) -> (String, [ArchiveValue]) {
        let dialect = database.dialect
        var columns = columns.map { column in
            if Self.times.contains(column) { return dialect.seconds("m.\(column)") }
            return Self.exactTimes.contains(column) ? dialect.microseconds("m.\(column)") : "m.\(column)"
        }
        if hasRaw { columns.append("m.raw") }
        var conditions = ["m.chat_id = $1", "m.owner_id = $2"]
        var values: [ArchiveValue] = [.integer(chat.key.chatID), .integer(chat.key.ownerID)]
        func add(_ condition: (String) -> String, _ value: ArchiveValue) {
            values.append(value)
            conditions.append(condition("$\(values.count)"))
        }
        let time = { (seconds: String) in
            contents == .messages
                ? dialect.messageTime(seconds) : dialect.time("(CAST(\(seconds) AS BIGINT) * 1000000)")
        }
        let date = contents == .messages ? "m.date" : "m.counted_at"
        if let since { add({ "\(date) >= \(time($0))" }, .integer(since)) }
        if let until { add({ "\(date) < \(time($0))" }, .integer(until)) }
        if let search { add({ SearchIndex(dialect: dialect).condition($0) }, .text(search)) }
        if !includesDeleted { conditions.append("m.deleted_at IS NULL") }
        let (table, order) = contents == .messages ? ("messages", "") : ("counters", ", m.counted_at")
        let sql =
            "SELECT \(columns.joined(separator: ", ")) FROM \(table) AS m WHERE \(conditions.joined(separator: " AND ")) "
            + "ORDER BY m.message_id\(order)"
        return (sql, values)
    }

    // MARK: Forms

    private func time(_ row: any ArchiveRow, _ column: Int) -> String? {
        guard let number = row.optionalInteger(column) else { return nil }
        return
            (Self.exactTimes.contains(columns[column])
            ? Timestamp(microseconds: number) : Timestamp(milliseconds: number.multipliedClamping(by: 1000)))
            .description
    }

    private func json(_ row: any ArchiveRow, _ database: any ArchiveDatabase, hasRaw: Bool) throws -> [UInt8] {
        var members: [JSONObject.Member] = []
        for (index, column) in columns.enumerated() where !row.isNull(index) {
            let value: JSON =
                if Self.times.contains(column) || Self.exactTimes.contains(column) {
                    .string(time(row, index) ?? "")
                } else if column == "reactions" {
                    (try? JSON(parsing: row.text(index))) ?? .null
                } else if Self.texts.contains(column) {
                    .string(row.text(index))
                } else {
                    .integer(row.integer(index))
                }
            members.append(JSONObject.Member(key: column, value: value))
        }
        var line = JSON.object(JSONObject(members)).bytes
        if hasRaw, let raw = try database.rawText(row, columns.count) {
            line.removeLast()
            line += Array(",\"message\":".utf8) + raw + [UInt8(ascii: "}")]
        }
        return line + [UInt8(ascii: "\n")]
    }

    private func csv(_ row: any ArchiveRow) -> [UInt8] {
        let fields = columns.enumerated().map { index, column -> String in
            if row.isNull(index) { return "" }
            if Self.times.contains(column) || Self.exactTimes.contains(column) { return time(row, index) ?? "" }
            return Self.field(row.text(index))
        }
        return Array(fields.joined(separator: ",").utf8) + [13, 10]
    }

    /// Quotes a field as RFC 4180 says.
    static func field(_ text: String) -> String {
        let isPlain = !text.utf8.contains { $0 == 0x22 || $0 == 0x2C || $0 == 0x0A || $0 == 0x0D }
        // An empty text is no absent value.
        return isPlain && !text.isEmpty ? text : "\"\(text.replacing("\"", with: "\"\""))\""
    }
}

extension Int64 {
    fileprivate func multipliedClamping(by factor: Int64) -> Int64 {
        let (product, isOver) = multipliedReportingOverflow(by: factor)
        return isOver ? (self < 0 ? .min : .max) : product
    }
}
