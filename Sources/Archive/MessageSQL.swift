/// Makes the statements that insert and merge messages, and decide as `MessageRow.merge` does.
struct MessageSQL {
    let dialect: SQLDialect
    let rawForm: RawForm

    /// The columns of `messages` in their order.
    var columns: [String] {
        [
            "chat_id", "message_id", "owner_id", "date", "edit_date", "deleted_at", "seen_at", "counted_at", "pts",
            "account_id", "sender_id", "reply_to_id", "topic_id", "album_id", "forward_from_id", "forward_message_id",
            "forward_date", "views", "forwards", "replies", "text", "forward_name", "service", "media",
            "file_unique_id", "reactions",
        ] + (rawForm == .none ? [] : ["raw"])
    }

    private var contentColumns: [String] {
        columns.filter {
            !["chat_id", "message_id", "owner_id", "deleted_at", "counted_at"].contains($0)
                && !MessageSQL.counters.contains($0)
        }
    }

    static let counters = ["views", "forwards", "replies", "reactions"]

    /// A time before all others.
    private var never: String { dialect == .postgres ? "TIMESTAMPTZ '-infinity'" : "0" }

    private func edited(_ row: String) -> String { "COALESCE(\(row).edit_date, \(never))" }

    private var differs: String {
        let compared = rawForm == .none ? ["text", "sender_id", "media", "file_unique_id", "service"] : ["raw"]
        return compared.map { "s.\($0) IS DISTINCT FROM m.\($0)" }.joined(separator: " OR ")
    }

    private var isNewer: String {
        """
        (s.date IS NOT NULL AND (m.date IS NULL OR \(edited("s")) > \(edited("m")) OR (\(edited("s")) = \(edited("m")) \
        AND COALESCE(s.pts, 0) > COALESCE(m.pts, 0) AND (s.edit_date IS NOT NULL OR \(differs)))))
        """
    }

    private var isSeenEarlier: String {
        """
        (s.date IS NOT NULL AND s.edit_date IS NOT DISTINCT FROM m.edit_date AND s.pts IS NOT DISTINCT FROM m.pts \
        AND s.seen_at < m.seen_at)
        """
    }

    private var isRecounted: String {
        let equal = MessageSQL.counters.map { "s.\($0) IS NOT DISTINCT FROM m.\($0)" }.joined(separator: " AND ")
        return """
            (s.counted_at IS NOT NULL AND (m.counted_at IS NULL OR CASE WHEN \(equal) THEN s.counted_at < m.counted_at \
            ELSE s.counted_at > m.counted_at END))
            """
    }

    private var isDeletedEarlier: String {
        "(s.deleted_at IS NOT NULL AND (m.deleted_at IS NULL OR s.deleted_at < m.deleted_at))"
    }

    private static let sameKey = "m.chat_id = s.chat_id AND m.message_id = s.message_id AND m.owner_id = s.owner_id"

    /// The columns with which a row is made anew from the staged row and the stored one.
    private var assignments: String {
        let content = contentColumns.map { column in
            switch column {
            case "seen_at", "account_id":
                "\(column) = CASE WHEN \(isNewer) OR \(isSeenEarlier) THEN s.\(column) ELSE m.\(column) END"
            default: "\(column) = CASE WHEN \(isNewer) THEN s.\(column) ELSE m.\(column) END"
            }
        }
        let counters = (MessageSQL.counters + ["counted_at"]).map {
            "\($0) = CASE WHEN \(isRecounted) THEN s.\($0) ELSE m.\($0) END"
        }
        let deletion = "deleted_at = CASE WHEN \(isDeletedEarlier) THEN s.deleted_at ELSE m.deleted_at END"
        return (content + counters + [deletion]).joined(separator: ", ")
    }

    /// Updates the stored messages that a row of `source` is newer than.
    ///
    /// - Parameter source: a table or query that has all columns.
    func update(from source: String) -> String {
        """
        UPDATE messages AS m SET \(assignments) FROM \(source) AS s WHERE \(MessageSQL.sameKey) \
        AND (\(isNewer) OR \(isSeenEarlier) OR \(isRecounted) OR \(isDeletedEarlier))
        """
    }

    /// Keeps the older one of a staged and a stored text; to be run before `update`.
    func keepVersions(from source: String) -> String {
        let isOlder = { (row: String) in row == "m" ? isNewer : "NOT \(isNewer)" }
        let column = { (name: String) in "CASE WHEN \(isOlder("m")) THEN m.\(name) ELSE s.\(name) END" }
        return """
            INSERT INTO versions (chat_id, message_id, owner_id, edited_at, text) \
            SELECT m.chat_id, m.message_id, m.owner_id, CASE WHEN \(isOlder("m")) THEN COALESCE(m.edit_date, m.date) \
            ELSE COALESCE(s.edit_date, s.date) END, \(column("text")) FROM \(source) AS s JOIN messages AS m \
            ON \(MessageSQL.sameKey) WHERE s.date IS NOT NULL AND m.date IS NOT NULL \
            AND s.edit_date IS DISTINCT FROM m.edit_date AND \(column("text")) IS NOT NULL ON CONFLICT DO NOTHING
            """
    }

    /// Marks messages whose deletion was told without their chat: of an owner, between two ids, in a chat.
    static let applyDeletions = """
        UPDATE messages AS m SET deleted_at = d.deleted_at FROM deletions AS d \
        WHERE d.owner_id = $1 AND d.message_id >= $2 AND d.message_id <= $3 AND m.chat_id = $4 \
        AND m.owner_id = d.owner_id AND m.message_id = d.message_id \
        AND (m.deleted_at IS NULL OR d.deleted_at < m.deleted_at)
        """

    /// Marks messages whose deletion was told without their chat, by the rows of `source`.
    func applyDeletions(from source: String) -> String {
        """
        UPDATE messages AS m SET deleted_at = d.deleted_at FROM deletions AS d, \(source) AS s \
        WHERE d.owner_id = s.owner_id AND d.message_id = s.message_id AND \(MessageSQL.sameKey) \
        AND (m.deleted_at IS NULL OR d.deleted_at < m.deleted_at)
        """
    }
}
