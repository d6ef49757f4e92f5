import Payloads

/// The newest loss of updates that concerns a chat: what was read of it before proves nothing about the messages from an id on.
///
/// It is kept for ever, since a page that was read before the loss may be stored at any later time, even after everything
/// was read again.
struct LostUpdates: Equatable {
    var from: Int64
    /// The time when the loss was told.
    var toldAt: Int64
    /// The position of the channel's updates after the loss, if it is known.
    var pts: Int64?

    /// Returns what a claim proves in spite of the loss; nil if that is nothing.
    func remainder(of claim: RangeClaim) -> RangeClaim? {
        guard isOutdated(pts: claim.pts, time: claim.toldAt), claim.to >= from else { return claim }
        guard claim.from < from, let ids = claim.ids?.filter({ $0 < from }) else { return nil }
        var rest = claim
        (rest.to, rest.newestID) = (from - 1, nil)
        (rest.ids, rest.found) = (ids, MessageIDDigest(each: ids))
        return rest
    }

    /// Returns whether something was read before the loss. Positions tell it better than times, which are those of several machines.
    private func isOutdated(pts read: Int64?, time: Int64) -> Bool {
        if let pts, let read { return read < pts }
        return time <= toldAt
    }

    /// Returns the ids of the messages between two ids of which the archive knows only what was told before the loss, in order.
    func outdated(from low: Int64, to high: Int64, of chat: ChatKey, in database: any ArchiveDatabase) throws -> [Int64]
    {
        let low = max(low, from)
        guard low <= high else { return [] }
        let dialect = database.dialect
        var ids: [Int64] = []
        // `isOutdated` decides in the same way. A deleted message cannot change any more.
        try database.run(
            "SELECT message_id FROM messages WHERE chat_id = $1 AND message_id >= $2 AND message_id <= $3 "
                + "AND owner_id = $4 AND deleted_at IS NULL AND CASE WHEN pts < \(dialect.integer("$5")) THEN 1 "
                + "WHEN pts >= \(dialect.integer("$5")) THEN 0 WHEN seen_at <= \(dialect.time("$6")) THEN 1 ELSE 0 END = 1 "
                + "ORDER BY message_id",
            [
                .integer(chat.chatID), .integer(low), .integer(high), .integer(chat.ownerID), ArchiveValue(pts),
                .integer(toldAt),
            ]
        ) { ids.append($0.integer(0)) }
        return ids
    }

    // MARK: Storing

    /// Stands for all private chats and basic groups of an account, whose updates are lost together.
    static func everyChat(ofAccount ownerID: Int64) -> ChatKey { ChatKey(0, ownerID: ownerID) }

    /// Returns the losses that concern a chat.
    static func concerning(_ chat: ChatKey, in database: any ArchiveDatabase) throws -> [LostUpdates] {
        var found: [LostUpdates] = []
        try database.run(
            "SELECT from_id, \(database.dialect.microseconds("told_at")), pts FROM losses "
                + "WHERE owner_id = $1 AND (chat_id = $2 OR chat_id = 0)",
            [.integer(chat.ownerID), .integer(chat.chatID)]
        ) { found.append(LostUpdates(from: $0.integer(0), toldAt: $0.integer(1), pts: $0.optionalInteger(2))) }
        return found
    }

    /// Notes the loss, together with those that the chat had before.
    func save(of chat: ChatKey, in database: any ArchiveDatabase) throws {
        let time = database.dialect.time("$4")
        // An earlier loss without a position was before this one's position; a later one without a position may have been after it.
        try database.run(
            """
            INSERT INTO losses AS l (owner_id, chat_id, from_id, told_at, pts) VALUES ($1, $2, $3, \(time), \
            \(database.dialect.integer("$5"))) ON CONFLICT (owner_id, chat_id) DO UPDATE SET \
            from_id = CASE WHEN EXCLUDED.from_id < l.from_id THEN EXCLUDED.from_id ELSE l.from_id END, \
            told_at = CASE WHEN EXCLUDED.told_at > l.told_at THEN EXCLUDED.told_at ELSE l.told_at END, \
            pts = CASE WHEN (CASE WHEN EXCLUDED.told_at > l.told_at THEN EXCLUDED.pts ELSE l.pts END) IS NULL THEN NULL \
            WHEN l.pts IS NULL OR EXCLUDED.pts > l.pts THEN EXCLUDED.pts ELSE l.pts END \
            WHERE EXCLUDED.from_id < l.from_id OR EXCLUDED.told_at > l.told_at OR EXCLUDED.pts > l.pts
            """,
            [
                .integer(chat.ownerID), .integer(chat.chatID), .integer(from), .integer(toldAt), ArchiveValue(pts),
            ])
    }
}
