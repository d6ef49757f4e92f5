/// Holds the parts of a stored message that are compared with what Telegram tells now.
package struct ComparedMessage: Sendable, Equatable {
    package var editDate: Int64?
    package var text: String?

    package init(editDate: Int64?, text: String?) { (self.editDate, self.text) = (editDate, text) }
}

extension ArchiveReader {
    /// Returns the span of up to `count` messages that follow an id.
    ///
    /// - Returns: nil if there is no message from this id on.
    package func span(of count: Int64, from id: Int64, _ chat: ChatKey) throws -> IDSpan? {
        var ids: [Int64] = []
        try database.run(
            "SELECT message_id FROM messages WHERE chat_id = $1 AND owner_id = $2 AND message_id >= $3 "
                + "ORDER BY message_id LIMIT $4",
            [.integer(chat.chatID), .integer(chat.ownerID), .integer(id), .integer(count)]
        ) { ids.append($0.integer(0)) }
        return ids.last.map { IDSpan(from: id, to: $0) }
    }

    /// Returns the messages of a span that are not deleted.
    package func messages(in span: IDSpan, of chat: ChatKey) throws -> [Int64: ComparedMessage] {
        var found: [Int64: ComparedMessage] = [:]
        try database.run(
            "SELECT message_id, \(database.dialect.seconds("edit_date")), text FROM messages WHERE chat_id = $1 "
                + "AND owner_id = $2 AND message_id >= $3 AND message_id <= $4 AND deleted_at IS NULL",
            [.integer(chat.chatID), .integer(chat.ownerID), .integer(span.from), .integer(span.to)]
        ) { row in
            found[row.integer(0)] = ComparedMessage(editDate: row.optionalInteger(1), text: row.optionalText(2))
        }
        return found
    }

    /// Returns the number of messages of a chat that are not deleted.
    package func existingMessages(of chat: ChatKey) throws -> Int64 {
        try database.first(
            "SELECT count(*) FROM messages WHERE chat_id = $1 AND owner_id = $2 AND deleted_at IS NULL",
            [.integer(chat.chatID), .integer(chat.ownerID)]
        ) { $0.integer(0) } ?? 0
    }
}
