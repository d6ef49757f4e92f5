/// The statements of `load --counters`. The table `counters` has a row for each time at which the figures of a message changed.
extension MessageSQL {
    private static let columns = ["chat_id", "message_id", "owner_id", "counted_at"] + counters

    private static func areEqual(_ left: String, _ right: String) -> String {
        counters.map { "\(left).\($0) IS NOT DISTINCT FROM \(right).\($0)" }.joined(separator: " AND ")
    }

    private static func sameMessage(_ left: String, _ right: String) -> String {
        ["chat_id", "message_id", "owner_id"].map { "\(left).\($0) = \(right).\($0)" }.joined(separator: " AND ")
    }

    /// Keeps the figures of rows that differ from those that were told before.
    ///
    /// - Parameter source: a table or query with the keys, `counted_at` and the figures.
    func keepCounters(from source: String) -> String {
        let columns = MessageSQL.columns
        return """
            INSERT INTO counters (\(columns.joined(separator: ", "))) \
            SELECT \(columns.map { "s.\($0)" }.joined(separator: ", ")) FROM \(source) AS s \
            WHERE s.counted_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM counters AS c WHERE \
            \(MessageSQL.sameMessage("c", "s")) AND c.counted_at = (SELECT max(p.counted_at) FROM counters AS p WHERE \
            \(MessageSQL.sameMessage("p", "s")) AND p.counted_at <= s.counted_at) \
            AND \(MessageSQL.areEqual("c", "s"))) ON CONFLICT DO NOTHING
            """
    }

    /// Drops the figures that were told next, if they are the same: events may come in any order. To be run after
    /// `keepCounters`.
    func dropRepeatedCounters(from source: String) -> String {
        let isRepeated = """
            \(MessageSQL.sameMessage("n", "s")) AND \(MessageSQL.areEqual("n", "s")) \
            AND n.counted_at = (SELECT min(p.counted_at) FROM counters AS p WHERE \
            \(MessageSQL.sameMessage("p", "s")) AND p.counted_at > s.counted_at) \
            AND EXISTS (SELECT 1 FROM counters AS c WHERE \(MessageSQL.sameMessage("c", "s")) \
            AND c.counted_at = s.counted_at AND \(MessageSQL.areEqual("c", "s")))
            """
        return switch dialect {
        case .postgres: "DELETE FROM counters AS n USING \(source) AS s WHERE \(isRepeated)"
        case .sqlite:
            "DELETE FROM counters WHERE rowid IN (SELECT n.rowid FROM \(source) AS s JOIN counters AS n "
                + "ON \(isRepeated))"
        }
    }
}
