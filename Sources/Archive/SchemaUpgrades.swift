/// The changes of the tables since the first version.
extension Schema {
    /// The version that this program makes and understands.
    static let version: Int64 = 3

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
        default: []
        }
    }

    /// Returns the tables that an archive of a version gets when it is upgraded.
    static func tables(addedSince version: Int64) -> [String] { version < 3 ? ["losses"] : [] }
}
