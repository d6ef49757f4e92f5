import Payloads

/// A statement about a range of a chat, which an account made.
struct RangeClaim {
    var from: Int64
    var to: Int64
    /// The messages that exist in it.
    var found: MessageIDDigest
    var toldAt: Int64
    /// Their ids in order, if they are known.
    var ids: [Int64]?
    /// The highest id of the chat, if the range was read from the newest message on.
    var newestID: Int64?
    /// The position of the channel's updates at which the range was read.
    var pts: Int64?
}

/// The ids of messages whose updates were lost, as the table `holes` has them.
struct OpenHole {
    var from: Int64
    var to: Int64?
    var toldAt: Int64
}

/// Keeps the ranges of a chat within a transaction: each has a digest of the rows that must be in it, so that a row that
/// is lost later is missed.
struct RangeKeeper {
    /// Ranges that claim less than they have by more than this are not compared.
    private static let mostExtra: Int64 = 10_000

    let database: any ArchiveDatabase
    let chat: ChatKey

    /// Takes new claims, and the ids of rows that this transaction has inserted.
    func take(_ claims: [RangeClaim], inserted: [Int64]) throws {
        guard !claims.isEmpty || !inserted.isEmpty else { return }
        try database.lockRanges(of: chat)
        let open = claims.isEmpty ? [] : try openHoles()
        // What was read before updates were lost does not tell what they were, whenever it comes.
        let losses = try LostUpdates.concerning(chat, in: database)
        let claims =
            losses.isEmpty
            ? claims
            : claims.compactMap { claim in
                losses.reduce(claim) { rest, loss in rest.flatMap { loss.remainder(of: $0) } }
            }
        let bounds = claims.flatMap { [$0.from, $0.to] } + inserted
        guard let low = bounds.min(), let high = bounds.max() else { return }
        let before = RangeList(try ranges(from: low, to: high))
        var list = before
        try add(inserted.sorted(), to: &list)
        try doubt(inserted, since: losses, in: &list)
        for claim in RangeKeeper.joined(claims) { try take(claim, &list) }
        if list != before { list.joinSmall() }
        try write(list, insteadOf: before)
        try close(open, claims)
    }

    /// Forgets what is known of some ids.
    func forget(from: Int64, to: Int64) throws {
        try database.lockRanges(of: chat)
        let before = RangeList(try ranges(from: from, to: to))
        var list = before
        try list.cut(from, to) { try digest($0, $1) }
        try write(list, insteadOf: before)
    }

    // MARK: Deciding

    /// Adds new rows to the ranges that they are in. A row that was missed is no new one.
    private func add(_ inserted: [Int64], to list: inout RangeList) throws {
        guard let first = inserted.first, let last = inserted.last else { return }
        for range in list.overlapping(first, last) {
            let new = inserted.filter { $0 >= range.from && $0 <= range.to }
            guard !new.isEmpty else { continue }
            let rows = try digest(range.from, range.to)
            var old = rows
            old -= MessageIDDigest(each: new)
            if rows != range.rows, old == range.rows { list.setRows(rows, ofRangeTo: range.to) }
        }
    }

    /// Takes new rows out of the ranges again that were read before updates were lost: a range that has been proven since did not
    /// find these messages, so they may have been deleted meanwhile.
    private func doubt(_ inserted: [Int64], since losses: [LostUpdates], in list: inout RangeList) throws {
        guard !losses.isEmpty, let low = inserted.min(), let high = inserted.max() else { return }
        let new = Set(inserted)
        for loss in losses {
            for id in try loss.outdated(from: low, to: high, of: chat, in: database) where new.contains(id) {
                try list.cut(id, id) { try digest($0, $1) }
            }
        }
    }

    private func take(_ claim: RangeClaim, _ list: inout RangeList) throws {
        let rows = try ids(from: claim.from, to: claim.to, atMost: claim.found.count)
        guard let rows, try isConfirmed(claim, by: rows) else {
            try list.cut(claim.from, claim.to) { try digest($0, $1) }
            return list.insert([StoredRange(from: claim.from, to: claim.to, rows: claim.found)])
        }
        // Where all of it is known and sound, nothing is written.
        let known = list.overlapping(claim.from, claim.to)
        if list.covers(claim.from, claim.to),
            try known.allSatisfy({ range in try digest(range.from, range.to) == range.rows })
        {
            return
        }
        try list.cut(claim.from, claim.to) { from, to in
            try from >= claim.from && to <= claim.to
                ? MessageIDDigest(each: rows.lazy.map(\.id).filter { $0 >= from && $0 <= to }) : digest(from, to)
        }
        list.insert(StoredRange.pieces(from: claim.from, to: claim.to, rows))
    }

    /// Returns whether the archive has the messages of a claim. Those that it has beyond them were deleted.
    private func isConfirmed(_ claim: RangeClaim, by rows: [StoredID]) throws -> Bool {
        guard let ids = claim.ids else {
            return claim.found == MessageIDDigest(each: rows.lazy.map(\.id))
                || claim.found == MessageIDDigest(each: rows.lazy.filter { !$0.isDeleted }.map(\.id))
        }
        var beyond: [Int64] = []
        var next = ids[...]
        for row in rows {
            if row.id == next.first {
                next.removeFirst()
            } else if !row.isDeleted {
                beyond.append(row.id)
            }
        }
        guard next.isEmpty else { return false }
        let time = database.dialect.time("$1")
        for id in beyond {
            try database.run(
                "UPDATE messages SET deleted_at = \(time) WHERE chat_id = $2 AND owner_id = $3 AND message_id = $4 "
                    + "AND deleted_at IS NULL AND seen_at < \(time)",
                [.integer(claim.toldAt), .integer(chat.chatID), .integer(chat.ownerID), .integer(id)])
        }
        return true
    }

    /// Joins claims that touch, whose ids are known. Claims that overlap stay as they came.
    static func joined(_ claims: [RangeClaim]) -> [RangeClaim] {
        let sorted = claims.sorted { $0.from < $1.from }
        let overlap = zip(sorted, sorted.dropFirst()).contains { $0.to >= $1.from }
        guard !overlap else { return claims }
        var joined: [RangeClaim] = []
        for claim in sorted {
            if let last = joined.last, last.to + 1 == claim.from, let ids = last.ids, let more = claim.ids {
                joined[joined.count - 1].to = claim.to
                joined[joined.count - 1].found += claim.found
                joined[joined.count - 1].ids = ids + more
                joined[joined.count - 1].toldAt = min(last.toldAt, claim.toldAt)
                joined[joined.count - 1].pts = [last.pts, claim.pts].compactMap { $0 }.min()
            } else {
                joined.append(claim)
            }
        }
        return joined
    }

    private func openHoles() throws -> [OpenHole] {
        var open: [OpenHole] = []
        try database.run(
            "SELECT from_id, to_id, \(database.dialect.microseconds("told_at")) FROM holes "
                + "WHERE chat_id = $1 AND owner_id = $2", [.integer(chat.chatID), .integer(chat.ownerID)]
        ) { open.append(OpenHole(from: $0.integer(0), to: $0.optionalInteger(1), toldAt: $0.integer(2))) }
        return open
    }

    /// Ends the holes that listeners told of, as far as they are read again.
    private func close(_ open: [OpenHole], _ claims: [RangeClaim]) throws {
        for hole in open {
            let newest = claims.filter { $0.toldAt > hole.toldAt }.compactMap(\.newestID).max()
            guard let to = hole.to ?? newest else { continue }
            let isRead = try to < hole.from || RangeList(ranges(from: hole.from, to: to)).covers(hole.from, to)
            let key: [ArchiveValue] = [.integer(chat.chatID), .integer(chat.ownerID), .integer(hole.from)]
            if isRead {
                try database.run("DELETE FROM holes WHERE chat_id = $1 AND owner_id = $2 AND from_id = $3", key)
            } else if hole.to == nil {
                try database.run(
                    "UPDATE holes SET to_id = $1 WHERE chat_id = $2 AND owner_id = $3 AND from_id = $4",
                    [.integer(to)] + key)
            }
        }
    }

    // MARK: Reading and writing

    private func digest(_ from: Int64, _ to: Int64) throws -> MessageIDDigest {
        var digest = MessageIDDigest()
        try readIDs(from, to, limit: .max) { digest.insert($0.integer(0)) }
        return digest
    }

    /// Returns the stored ids of a range in order; nil if there are far more than expected.
    private func ids(from: Int64, to: Int64, atMost count: Int64) throws -> [StoredID]? {
        let limit = count > .max - Self.mostExtra ? .max : count + Self.mostExtra
        var ids: [StoredID] = []
        try readIDs(from, to, limit: limit) { ids.append(StoredID(id: $0.integer(0), isDeleted: $0.integer(1) != 0)) }
        return ids.count < limit ? ids : nil
    }

    private func readIDs(_ from: Int64, _ to: Int64, limit: Int64, _ row: (any ArchiveRow) -> Void) throws {
        try database.run(
            "SELECT message_id, CASE WHEN deleted_at IS NULL THEN 0 ELSE 1 END FROM messages WHERE chat_id = $1 "
                + "AND message_id >= $2 AND message_id <= $3 AND owner_id = $4 ORDER BY message_id LIMIT $5",
            [.integer(chat.chatID), .integer(from), .integer(to), .integer(chat.ownerID), .integer(limit)], row: row)
    }

    /// Returns the ranges that overlap or touch a range, in order.
    private func ranges(from: Int64, to: Int64) throws -> [StoredRange] {
        let last = to == .max ? to : to + 1
        var found: [StoredRange] = []
        var next = max(from, 1) - 1
        while true {
            // The ranges are apart from each other, so those that end later also begin later.
            var page: [StoredRange] = []
            try database.run(
                "SELECT from_id, to_id, count, checksum FROM ranges WHERE chat_id = $1 AND owner_id = $2 "
                    + "AND to_id >= $3 AND \(StoredRange.isPossible) ORDER BY to_id LIMIT 100",
                [.integer(chat.chatID), .integer(chat.ownerID), .integer(next)]
            ) { page.append(StoredRange($0)) }
            found += page.prefix { $0.from <= last }
            guard page.count == 100, let end = page.last, end.from <= last, end.to < .max else { return found }
            next = end.to + 1
        }
    }

    private func write(_ list: RangeList, insteadOf before: RangeList) throws {
        for range in before.ranges where !list.ranges.contains(range) {
            try database.run(
                "DELETE FROM ranges WHERE chat_id = $1 AND owner_id = $2 AND to_id = $3",
                [.integer(chat.chatID), .integer(chat.ownerID), .integer(range.to)])
        }
        for range in list.ranges where !before.ranges.contains(range) {
            try database.run(
                // An impossible range may be in the way.
                "INSERT INTO ranges (chat_id, owner_id, from_id, to_id, count, checksum) VALUES ($1, $2, $3, $4, $5, $6) "
                    + "ON CONFLICT (chat_id, owner_id, to_id) DO UPDATE SET from_id = EXCLUDED.from_id, "
                    + "count = EXCLUDED.count, checksum = EXCLUDED.checksum",
                [
                    .integer(chat.chatID), .integer(chat.ownerID), .integer(range.from), .integer(range.to),
                    .integer(range.rows.count), .text(range.rows.checksum),
                ])
        }
    }
}

extension StoredRange {
    /// A condition for the rows of `ranges` that somebody has not given impossible bounds. The others state nothing.
    static let isPossible =
        "from_id >= \(MessageKey.ids.lowerBound) AND from_id <= to_id AND to_id <= \(MessageKey.ids.upperBound)"

    /// Reads `from_id`, `to_id`, `count`, `checksum`. A checksum that somebody has broken agrees with no rows.
    init(_ row: any ArchiveRow) {
        self.init(
            from: row.integer(0), to: row.integer(1),
            rows: MessageIDDigest(count: row.integer(2), checksum: row.text(3))
                ?? MessageIDDigest(count: .max, checksum: "0000000000000000") ?? MessageIDDigest())
    }
}
