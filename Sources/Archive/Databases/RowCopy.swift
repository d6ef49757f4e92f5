import PostgreSQL

/// Copies messages to a table of PostgreSQL, in the binary form of COPY.
struct RowCopy {
    let sql: MessageSQL
    let codec: RawCodec

    func copy(_ rows: RowSelection, to table: String, over connection: PostgresConnection) throws {
        let columns = sql.columns
        let arena = rows.arena
        try connection.copyIn("COPY \(table) (\(columns.joined(separator: ", "))) FROM STDIN (FORMAT binary)") {
            writer throws(PostgresError) in
            try rows.forEachRow { row throws(PostgresError) in
                try writer.begin(columns: Int16(columns.count))
                try write(row, arena, to: &writer)
            }
        }
    }

    private func write(
        _ row: MessageRow, _ arena: ByteArena, to writer: inout CopyWriter
    ) throws(PostgresError) {
        let content = row.content
        writer.integer(row.key.chatID)
        writer.integer(row.key.messageID)
        writer.integer(row.key.ownerID)
        writer.time(seconds: content?.date)
        writer.time(seconds: content?.editDate)
        writer.time(microseconds: row.deletedAt)
        writer.time(microseconds: content?.seenAt)
        writer.time(microseconds: row.counters?.countedAt)
        writer.integer(content?.pts)
        writer.integer(content?.accountID)
        writer.integer(content?.senderID)
        writer.integer(content?.replyToID)
        writer.integer(content?.topicID)
        writer.integer(content?.albumID)
        writer.integer(content?.forwardFromID)
        writer.integer(content?.forwardMessageID)
        writer.time(seconds: content?.forwardDate)
        writer.integer(row.counters?.views)
        writer.integer(row.counters?.forwards)
        writer.integer(row.counters?.replies)
        try writer.bytes(content.flatMap { arena.bytes($0.text) })
        try writer.bytes(content.flatMap { arena.bytes($0.forwardName) })
        try writer.bytes(content?.service.map(\.bytes))
        try writer.bytes(content?.media.map(\.bytes))
        try writer.bytes(content.flatMap { arena.bytes($0.fileUniqueID) })
        try writer.bytes(row.counters.flatMap { arena.bytes($0.reactions) }, prefix: 1)
        let raw = content.flatMap { arena.bytes($0.raw) }
        switch sql.rawForm {
        case .none: break
        case .text: try writer.bytes(raw)
        case .jsonb: try writer.bytes(raw, prefix: 1)
        case .zstd: try writer.bytes(raw.map(codec.pack))
        }
    }
}
