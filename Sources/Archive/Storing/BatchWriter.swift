import Payloads

/// Stores a batch, or a part of it, within a transaction.
struct BatchWriter {
    private let database: any ArchiveDatabase
    private let batch: RowBatch
    private let settings: ArchiveWriter.Settings
    private let notes: NoteWriter

    init(_ database: any ArchiveDatabase, _ batch: RowBatch, _ settings: ArchiveWriter.Settings) {
        (self.database, self.batch, self.settings) = (database, batch, settings)
        notes = NoteWriter(database, settings)
    }

    /// - Parameter copiesNew: whether rows that seem to be new may be stored in the faster way, which fails as a whole if
    ///   another process has stored one of them meanwhile, or if the database refuses one of them.
    func storeAll(copiesNew: Bool = false) throws {
        let inserted = try store(batch.arranged(), copiesNew: copiesNew)
        try storeRest(inserted: inserted)
    }

    /// Stores some of the rows.
    func storePart(_ rows: RowSelection) throws {
        let inserted = try store(rows, copiesNew: false)
        try notes.write([], inserted: inserted)
    }

    /// Stores everything but the rows, which are stored already.
    func storeRest(inserted: [MessageKey] = []) throws {
        try database.storeUsers(batch.users)
        try notes.write(batch.chats)
        try storeSuperseded()
        if settings.keepsCounters {
            for (key, counters) in batch.counted.sorted(by: { $0.counters.countedAt < $1.counters.countedAt }) {
                try CounterWriter(database).keep(counters, of: key, batch.arena)
            }
        }
        try notes.write(batch.notes, inserted: inserted)
    }

    private func store(_ rows: RowSelection, copiesNew: Bool) throws -> [MessageKey] {
        guard !rows.isEmpty else { return [] }
        let known = try KnownNearby(rows, in: database)
        return try database.store(
            rows,
            StoringRows(
                needsKeys: known.hasRanges, areNew: copiesNew && !known.hasMessages,
                keepsCounters: settings.keepsCounters))
    }

    /// Keeps the texts of messages that came in several forms within this batch.
    private func storeSuperseded() throws {
        guard !batch.superseded.isEmpty else { return }
        let current = Dictionary(
            batch.arranged().compactMap { row in row.content.map { (row.key, $0.editDate) } }, uniquingKeysWith: { $1 })
        let time = database.dialect.messageTime("$4")
        for (key, content) in batch.superseded {
            guard let text = batch.arena.text(content.text), current[key] != .some(content.editDate) else { continue }
            try database.run(
                "INSERT INTO versions (chat_id, message_id, owner_id, edited_at, text) "
                    + "VALUES ($1, $2, $3, \(time), $5) ON CONFLICT DO NOTHING",
                [
                    .integer(key.chatID), .integer(key.messageID), .integer(key.ownerID),
                    .integer(content.editDate ?? content.date), .text(text.storable),
                ])
        }
    }
}

/// Tells what the database has where some rows are to be stored.
private struct KnownNearby {
    private(set) var hasRanges = false
    private(set) var hasMessages = false

    init(_ rows: RowSelection, in database: any ArchiveDatabase) throws {
        let (runs, areClose) = IDRun.runs(of: rows.keys)
        // Between ids that are far from each other, there may well be messages.
        hasMessages = !areClose
        for run in runs where !hasRanges || !hasMessages {
            let (range, message) = try KnownNearby.firsts(in: run, database)
            if let range, range <= run.high { hasRanges = true }
            if message != nil { hasMessages = true }
        }
    }

    /// Returns where the first range begins that does not end before a run, and the first message in it.
    private static func firsts(
        in run: IDRun, _ database: any ArchiveDatabase
    ) throws -> (range: Int64?, message: Int64?) {
        try database.first(
            """
            SELECT (SELECT from_id FROM ranges WHERE chat_id = $1 AND owner_id = $2 AND to_id >= $3 \
            ORDER BY to_id LIMIT 1), (SELECT message_id FROM messages WHERE chat_id = $1 AND owner_id = $2 \
            AND message_id >= $3 AND message_id <= $4 ORDER BY message_id LIMIT 1)
            """,
            [.integer(run.chat.chatID), .integer(run.chat.ownerID), .integer(run.low), .integer(run.high)]
        ) { ($0.optionalInteger(0), $0.optionalInteger(1)) } ?? (nil, nil)
    }
}
