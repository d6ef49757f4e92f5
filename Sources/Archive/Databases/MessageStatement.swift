import SQLite

/// A statement of SQLite whose parameters are the columns of `messages`, in their order.
final class MessageStatement {
    private let statement: SQLiteStatement
    private let rawForm: RawForm
    private let codec: RawCodec
    private var parameter = 0
    /// Has a bit for each parameter that has a value. Most columns of most messages are empty, and need no call.
    private var bound: UInt64 = 0

    init(_ statement: SQLiteStatement, _ rawForm: RawForm, _ codec: RawCodec) {
        (self.statement, self.rawForm, self.codec) = (statement, rawForm, codec)
    }

    /// Runs the statement. The memory of the arena stays in use until `clearBindings`.
    func run(_ row: MessageRow, _ arena: ByteArena) throws(SQLiteError) {
        let content = row.content
        let counters = row.counters
        parameter = 0
        try bind(row.key.chatID)
        try bind(row.key.messageID)
        try bind(row.key.ownerID)
        try bind(content?.date)
        try bind(content?.editDate)
        try bind(row.deletedAt)
        try bind(content?.seenAt)
        try bind(counters?.countedAt)
        try bind(content?.pts)
        try bind(content?.accountID)
        try bind(content?.senderID)
        try bind(content?.replyToID)
        try bind(content?.topicID)
        try bind(content?.albumID)
        try bind(content?.forwardFromID)
        try bind(content?.forwardMessageID)
        try bind(content?.forwardDate)
        try bind(counters?.views)
        try bind(counters?.forwards)
        try bind(counters?.replies)
        try bind(content.flatMap { arena.bytes($0.text) })
        try bind(content.flatMap { arena.bytes($0.forwardName) })
        try bind(content?.service.map(\.bytes))
        try bind(content?.media.map(\.bytes))
        try bind(content.flatMap { arena.bytes($0.fileUniqueID) })
        try bind(counters.flatMap { arena.bytes($0.reactions) })
        let raw = content.flatMap { arena.bytes($0.raw) }
        switch rawForm {
        case .none: break
        case .zstd: try bind(blob: raw.map(codec.pack))
        case .text, .jsonb: try bind(raw)
        }
        try statement.run()
    }

    func clearBindings() {
        statement.clearBindings()
        bound = 0
    }

    private func bind(_ value: Int64?) throws(SQLiteError) {
        if try isNext(bound: value != nil), let value { try statement.bind(value, at: parameter) }
    }

    private func bind(_ text: UnsafeRawBufferPointer?) throws(SQLiteError) {
        if try isNext(bound: text != nil), let text { try statement.bindText(borrowing: text, at: parameter) }
    }

    private func bind(blob: UnsafeRawBufferPointer?) throws(SQLiteError) {
        if try isNext(bound: blob != nil), let blob { try statement.bindBlob(borrowing: blob, at: parameter) }
    }

    /// Turns to the next parameter, which becomes NULL if it has no value.
    private func isNext(bound hasValue: Bool) throws(SQLiteError) -> Bool {
        parameter += 1
        let bit = UInt64(1) << UInt64(parameter)
        if hasValue {
            bound |= bit
        } else if bound & bit != 0 {
            bound &= ~bit
            try statement.bindNull(at: parameter)
        }
        return hasValue
    }
}
