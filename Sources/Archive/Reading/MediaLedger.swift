package import JSON
import Payloads

/// Selects stored objects of an archive, and reads what is known of them.
package struct MediaLedger: Sendable {
    /// Only objects that messages of these chats use; empty for all.
    package var chats: Set<Int64> = []
    /// Only objects of this store.
    package var store: String?
    /// Times in microseconds since 1970 between which an object was stored first.
    package var since: Int64?
    package var until: Int64?
    /// Only objects that no message has used since this time, in microseconds since 1970. With `chats`, an object that a message
    /// of another chat uses is left out, whatever its age.
    package var unusedSince: Int64?
    package var includesRemoved = false

    package init() {}

    private static let texts = ["kind", "sha256", "content_type", "file_name", "title", "source_url"]
    private static let times = ["stored_at", "seen_at", "removed_at"]
    /// An object that was stored again after it was removed exists.
    private static let exists = "m.seen_at IS NOT NULL AND (m.removed_at IS NULL OR m.seen_at > m.removed_at)"

    /// Hands over the objects in the order of their stores and keys.
    ///
    /// - Parameter body: takes an object with `store`, `key`, and all that is known.
    package func run(_ reader: ArchiveReader, _ body: (JSONObject) throws -> Void) throws {
        let database = reader.database
        let dialect = database.dialect
        var values: [ArchiveValue] = []
        func parameter(_ value: ArchiveValue) -> String {
            values.append(value)
            return "$\(values.count)"
        }
        var conditions = includesRemoved ? [] : [MediaLedger.exists]
        let uses = "SELECT 1 FROM media_uses AS u WHERE u.store = m.store AND u.key = m.key"
        let list = chats.sorted().map { parameter(.integer($0)) }.joined(separator: ", ")
        if !chats.isEmpty { conditions.append("EXISTS (\(uses) AND u.chat_id IN (\(list)))") }
        if let store { conditions.append("m.store = \(parameter(.text(store)))") }
        if let since { conditions.append("m.stored_at >= \(dialect.time(parameter(.integer(since))))") }
        if let until { conditions.append("m.stored_at < \(dialect.time(parameter(.integer(until))))") }
        if let unusedSince {
            let limit = dialect.time(parameter(.integer(unusedSince)))
            let isOther = chats.isEmpty ? "" : " OR u.chat_id NOT IN (\(list))"
            conditions.append("m.seen_at < \(limit) AND NOT EXISTS (\(uses) AND (u.used_at >= \(limit)\(isOther)))")
        }
        let newest = { (column: String) in
            "(SELECT u.\(column) FROM media_uses AS u WHERE u.store = m.store AND u.key = m.key "
                + "ORDER BY u.used_at DESC, u.chat_id, u.message_id LIMIT 1)"
        }
        let columns =
            ["m.store", "m.key", "m.size_bytes"] + MediaLedger.texts.map { "m.\($0)" }
            + MediaLedger.times.map { dialect.microseconds("m.\($0)") }
            + ["(SELECT count(*) FROM media_uses AS u WHERE u.store = m.store AND u.key = m.key)"]
            + ["chat_id", "message_id", "user_id"].map(newest)
        let condition = conditions.isEmpty ? "" : "WHERE \(conditions.joined(separator: " AND ")) "
        try database.stream(
            "SELECT \(columns.joined(separator: ", ")) FROM media AS m \(condition)ORDER BY m.store, m.key", values
        ) { row in
            try body(MediaLedger.object(row))
            return true
        }
    }

    private static func object(_ row: any ArchiveRow) -> JSONObject {
        var object: JSONObject = [
            "store": .string(row.text(0)), "key": .string(row.text(1)),
            "size_bytes": row.optionalInteger(2).map { .integer($0) },
        ]
        var column = 3
        for name in texts {
            object[name] = row.optionalText(column).map { .string($0) }
            column += 1
        }
        for name in times {
            object[name] = row.optionalInteger(column).map { .string(Timestamp(microseconds: $0).description) }
            column += 1
        }
        object["uses"] = .integer(row.integer(column))
        for (offset, name) in ["chat_id", "message_id", "user_id"].enumerated() {
            // 0 stands for an object that was stored from the command line.
            object[name] = row.optionalInteger(column + 1 + offset).flatMap { $0 == 0 ? nil : .integer($0) }
        }
        return object
    }
}
