/// The changes of the tables since the first version.
extension Schema {
    /// The version that this program makes and understands.
    static let version: Int64 = 4

    /// Returns the statements that bring an archive of a version to the present one.
    func upgrades(from version: Int64) -> [String] {
        guard version < Schema.version else { return [] }
        return (version + 1...Schema.version).flatMap { upgrade(to: $0) }
    }

    /// Returns what an archive of the version before lacks. What a release has made is changed by a further version only.
    private func upgrade(to version: Int64) -> [String] {
        switch version {
        case 2:
            [
                // The channel whose comments are all that is read of a group.
                "ALTER TABLE chats ADD COLUMN comments_of_id \(dialect.integerType)",
                // With thousands of chats, a look at all of them for each name that is told takes too long.
                "CREATE INDEX chats_username ON chats (lower(username))",
                "CREATE INDEX failures_chat ON failures (chat_id, owner_id, message_id)",
            ]
        case 3:
            [
                // The newest loss of updates; chat 0 stands for all private chats and basic groups of the owner.
                """
                CREATE TABLE losses (owner_id \(dialect.integerType) NOT NULL, chat_id \(dialect.integerType) NOT NULL, \
                from_id \(dialect.integerType) NOT NULL, told_at \(dialect.timeType) NOT NULL, \
                pts \(dialect.integerType), PRIMARY KEY (owner_id, chat_id))
                """,
                """
                INSERT INTO losses (owner_id, chat_id, from_id, told_at) SELECT owner_id, chat_id, min(from_id), max(told_at) \
                FROM holes GROUP BY owner_id, chat_id
                """,
            ]
        case 4: mediaTables
        default: []
        }
    }

    /// The stored objects, and the messages that use them. An event about an object may come in any order and any number of
    /// times, so that the newest time of each kind is kept: an object exists if it was seen later than removed.
    private var mediaTables: [String] {
        let (int, time, text) = (dialect.integerType, dialect.timeType, dialect.textType)
        return [
            """
            CREATE TABLE media (store \(text) NOT NULL, key \(text) NOT NULL, kind \(text), size_bytes \(int), \
            sha256 \(text), content_type \(text), file_name \(text), title \(text), source_url \(text), \
            stored_at \(time), seen_at \(time), removed_at \(time), PRIMARY KEY (store, key))
            """,
            """
            CREATE TABLE media_uses (store \(text) NOT NULL, key \(text) NOT NULL, chat_id \(int) NOT NULL, \
            message_id \(int) NOT NULL, user_id \(int), used_at \(time) NOT NULL, \
            PRIMARY KEY (store, key, chat_id, message_id))
            """,
            "CREATE INDEX media_uses_chat ON media_uses (chat_id)",
        ]
    }

    /// Returns the tables that an archive of a version gets when it is upgraded.
    static func tables(addedSince version: Int64) -> [String] {
        (version < 3 ? ["losses"] : []) + (version < 4 ? ["media", "media_uses"] : [])
    }
}
