/// Selects messages of a chat: those with ids from `from` to `to`, both included, that also satisfy the other conditions.
package struct HistoryBounds: Sendable, Equatable {
    /// The largest id of a message. Telegram's ids have 31 bits.
    package static let largestID = Int64(Int32.max)

    package var from: Int64
    /// The highest id; nil for all messages up to the newest.
    package var to: Int64?
    /// The time of the oldest message, in seconds since 1970.
    package var since: Int64?
    /// The time of the newest message, in seconds since 1970.
    package var until: Int64?
    /// The number of messages, counted from the newest that the other bounds select.
    package var last: Int64?

    package init(
        from: Int64 = 1, to: Int64? = nil, since: Int64? = nil, until: Int64? = nil, last: Int64? = nil
    ) {
        (self.from, self.to, self.since, self.until, self.last) = (from, to, since, until, last)
    }

    /// Is true if the bounds select messages by their ids alone, so that several readers can share them.
    var areIDsOnly: Bool { since == nil && until == nil && last == nil }
}

/// Holds the facts of one answer of Telegram that a reading depends on.
package struct HistoryPage: Sendable, Equatable {
    package struct Item: Sendable, Equatable {
        package let id: Int64
        /// In seconds since 1970.
        package let date: Int64

        package init(id: Int64, date: Int64) { (self.id, self.date) = (id, date) }
    }

    /// The messages in the order of the answer. Places of deleted messages (`messageEmpty`) are not among them.
    package var items: [Item]
    /// The number of messages in the whole history, if Telegram tells it.
    package var total: Int64?
    /// The number of messages that are newer than the first one of the page, if Telegram tells it.
    package var position: Int64?
    /// Is true if Telegram says that there are no other messages than these.
    package var isWhole: Bool

    package init(items: [Item], total: Int64? = nil, position: Int64? = nil, isWhole: Bool = false) {
        (self.items, self.total, self.position, self.isWhole) = (items, total, position, isWhole)
    }
}

/// States that of the ids from `from` to `to`, both included, exactly `ids` exist.
package struct ProvenRange: Sendable, Equatable {
    package let from: Int64
    package let to: Int64
    package let ids: [Int64]

    package init(from: Int64, to: Int64, ids: [Int64]) { (self.from, self.to, self.ids) = (from, to, ids) }
}
