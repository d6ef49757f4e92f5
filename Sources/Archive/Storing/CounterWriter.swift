import JSON

/// Keeps single figures of messages over time, within a transaction. Those of a batch's rows are kept with the rows.
struct CounterWriter {
    private let database: any ArchiveDatabase
    private let sql: MessageSQL

    init(_ database: any ArchiveDatabase) {
        self.database = database
        sql = MessageSQL(dialect: database.dialect, rawForm: database.rawForm)
    }

    /// Keeps figures that a batch has in a later form, too.
    func keep(_ counters: MessageRow.Counters, of key: MessageKey, _ arena: ByteArena) throws {
        let dialect = database.dialect
        let figures = [counters.views, counters.forwards, counters.replies]
        // A name that only the database refuses must not keep the batch from being stored.
        let reactions = arena.text(counters.reactions).flatMap { try? JSON(parsing: $0) }?.storable.text
        let source = """
            (SELECT \(dialect.integer("$1")) AS chat_id, \(dialect.integer("$2")) AS message_id, \
            \(dialect.integer("$3")) AS owner_id, \(dialect.time("$4")) AS counted_at, \
            \(dialect.integer("$5")) AS views, \(dialect.integer("$6")) AS forwards, \
            \(dialect.integer("$7")) AS replies, \(dialect.json("$8")) AS reactions)
            """
        try keep(
            from: source,
            [
                .integer(key.chatID), .integer(key.messageID), .integer(key.ownerID), .integer(counters.countedAt),
            ] + figures.map { ArchiveValue($0) } + [ArchiveValue(reactions)])
    }

    /// Keeps the figures that a message has since a time, if it has them since then.
    func keepStored(_ key: MessageKey, at time: Int64) throws {
        let source = """
            (SELECT chat_id, message_id, owner_id, counted_at, \(MessageSQL.counters.joined(separator: ", ")) \
            FROM messages WHERE chat_id = $1 AND message_id = $2 AND owner_id = $3 \
            AND counted_at = \(database.dialect.time("$4")))
            """
        try keep(
            from: source,
            [.integer(key.chatID), .integer(key.messageID), .integer(key.ownerID), .integer(time)])
    }

    private func keep(from source: String, _ values: [ArchiveValue]) throws {
        if try database.run(sql.keepCounters(from: source), values) > 0 {
            try database.run(sql.dropRepeatedCounters(from: source), values)
        }
    }
}
