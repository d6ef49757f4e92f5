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

    func storeAll() throws {
        let inserted = try store(batch.rows[...])
        try storeRest(inserted: inserted)
    }

    /// Stores some of the rows.
    func storePart(_ rows: ArraySlice<MessageRow>) throws {
        let inserted = try store(rows)
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

    private func store(_ rows: ArraySlice<MessageRow>) throws -> [MessageKey] {
        guard !rows.isEmpty else { return [] }
        return try database.store(
            rows, in: batch.arena, needsKeys: try meetsRanges(rows), keepsCounters: settings.keepsCounters)
    }

    /// Returns whether some of the rows may be in ranges that are known already.
    private func meetsRanges(_ rows: ArraySlice<MessageRow>) throws -> Bool {
        var bounds: [ChatKey: (low: Int64, high: Int64)] = [:]
        var last: ChatKey?
        var current: (low: Int64, high: Int64) = (.max, .min)
        for row in rows {
            let chat = ChatKey(row.key.chatID, ownerID: row.key.ownerID)
            if chat != last {
                if let last { bounds[last] = current }
                current = bounds[chat] ?? (.max, .min)
                last = chat
            }
            current = (min(current.low, row.key.messageID), max(current.high, row.key.messageID))
        }
        if let last { bounds[last] = current }
        for (chat, ids) in bounds {
            let next = try database.first(
                "SELECT from_id FROM ranges WHERE chat_id = $1 AND owner_id = $2 AND to_id >= $3 ORDER BY to_id LIMIT 1",
                [.integer(chat.chatID), .integer(chat.ownerID), .integer(ids.low)]
            ) { $0.integer(0) }
            if let next, next <= ids.high { return true }
        }
        return false
    }

    /// Keeps the texts of messages that came in several forms within this batch.
    private func storeSuperseded() throws {
        guard !batch.superseded.isEmpty else { return }
        let current = Dictionary(
            batch.rows.compactMap { row in row.content.map { (row.key, $0.editDate) } }, uniquingKeysWith: { $1 })
        let time = database.dialect.messageTime("$4")
        for (key, content) in batch.superseded {
            guard let text = batch.arena.text(content.text), current[key] != .some(content.editDate) else { continue }
            try database.run(
                "INSERT INTO versions (chat_id, message_id, owner_id, edited_at, text) "
                    + "VALUES ($1, $2, $3, \(time), $5) ON CONFLICT DO NOTHING",
                [
                    .integer(key.chatID), .integer(key.messageID), .integer(key.ownerID),
                    .integer(content.editDate ?? content.date), .text(text.replacing("\0", with: "\u{FFFD}")),
                ])
        }
    }
}
