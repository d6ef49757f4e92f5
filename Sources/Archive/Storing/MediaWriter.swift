/// Stores what events tell of stored objects, within the transaction of their batch.
struct MediaWriter {
    private let database: any ArchiveDatabase
    private var dialect: SQLDialect { database.dialect }

    init(_ database: any ArchiveDatabase) { self.database = database }

    /// Stores notes in the order of the objects, so that two processes do not wait for each other in turn.
    func write(_ notes: [MediaNote]) throws {
        for note in notes.sorted(by: { ($0.store, $0.key, $0.time) < ($1.store, $1.key, $1.time) }) {
            if let media = note.media {
                try write(media, at: note.time)
            } else {
                try remove(note.store, note.key, at: note.time)
            }
        }
    }

    /// Notes that a store has an object, and which message uses it.
    private func write(_ media: StoredMedia, at time: Int64) throws {
        let isNewer = "(m.seen_at IS NULL OR EXCLUDED.seen_at >= m.seen_at)"
        let facts = ["kind", "size_bytes", "sha256", "content_type", "file_name", "title", "source_url"]
        let updates = facts.map {
            "\($0) = CASE WHEN \(isNewer) THEN coalesce(EXCLUDED.\($0), m.\($0)) ELSE m.\($0) END"
        }
        try database.run(
            """
            INSERT INTO media AS m (store, key, kind, size_bytes, sha256, content_type, file_name, title, source_url, \
            stored_at, seen_at) VALUES ($1, $2, $3, \(dialect.integer("$4")), $5, $6, $7, $8, $9, \
            \(dialect.time("$10")), \(dialect.time("$10"))) ON CONFLICT (store, key) DO UPDATE SET \
            \(updates.joined(separator: ", ")), \
            stored_at = CASE WHEN m.stored_at < EXCLUDED.stored_at THEN m.stored_at ELSE EXCLUDED.stored_at END, \
            seen_at = CASE WHEN \(isNewer) THEN EXCLUDED.seen_at ELSE m.seen_at END \
            WHERE EXCLUDED.seen_at IS DISTINCT FROM m.seen_at
            """,
            [
                .text(media.store), .text(media.key), ArchiveValue(media.kind), ArchiveValue(media.sizeBytes),
                ArchiveValue(media.sha256), ArchiveValue(media.contentType), ArchiveValue(media.fileName),
                ArchiveValue(media.title), ArchiveValue(media.sourceURL), .integer(time),
            ])
        try database.run(
            """
            INSERT INTO media_uses AS u (store, key, chat_id, message_id, user_id, used_at) \
            VALUES ($1, $2, $3, $4, \(dialect.integer("$5")), \(dialect.time("$6"))) \
            ON CONFLICT (store, key, chat_id, message_id) DO UPDATE SET used_at = EXCLUDED.used_at, \
            user_id = coalesce(EXCLUDED.user_id, u.user_id) WHERE EXCLUDED.used_at > u.used_at
            """,
            [
                .text(media.store), .text(media.key), .integer(media.chatID), .integer(media.messageID),
                ArchiveValue(media.userID), .integer(time),
            ])
    }

    /// Notes that a store does not have an object any more. An event that tells of a later use may come before this one.
    private func remove(_ store: String, _ key: String, at time: Int64) throws {
        try database.run(
            """
            INSERT INTO media AS m (store, key, removed_at) VALUES ($1, $2, \(dialect.time("$3"))) \
            ON CONFLICT (store, key) DO UPDATE SET removed_at = EXCLUDED.removed_at \
            WHERE m.removed_at IS NULL OR EXCLUDED.removed_at > m.removed_at
            """, [.text(store), .text(key), .integer(time)])
    }
}
