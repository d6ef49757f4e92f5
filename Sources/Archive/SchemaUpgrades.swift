/// The changes of the tables since the first version.
extension Schema {
    /// The version that this program makes and understands.
    static let version: Int64 = 2

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
        default: []
        }
    }
}
