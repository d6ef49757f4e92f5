import Payloads

/// A range of ids, and the messages that the archive has in it if nothing is missing.
struct StoredRange: Equatable {
    var from: Int64
    var to: Int64
    /// All rows whose ids are in the range, those of deleted messages included.
    var rows: MessageIDDigest
}

/// A message that the archive has.
struct StoredID: Equatable {
    var id: Int64
    var isDeleted: Bool
}

/// The ranges of a part of a chat, in order and apart from each other.
struct RangeList: Equatable {
    /// A range has at most this number of messages, so that a fault in it is found, and read again, at little cost.
    static let mostMessages: Int64 = 1000

    private(set) var ranges: [StoredRange]

    init(_ ranges: [StoredRange] = []) { self.ranges = ranges }

    func overlapping(_ from: Int64, _ to: Int64) -> [StoredRange] { ranges.filter { $0.from <= to && $0.to >= from } }

    /// Returns whether each id of a range is in one of the ranges.
    func covers(_ from: Int64, _ to: Int64) -> Bool {
        var next = from
        for range in ranges where range.to >= next {
            guard range.from <= next else { return false }
            guard range.to < to else { return true }
            next = range.to + 1
        }
        return false
    }

    mutating func setRows(_ rows: MessageIDDigest, ofRangeTo to: Int64) {
        if let index = ranges.firstIndex(where: { $0.to == to }) { ranges[index].rows = rows }
    }

    /// Removes what is known of some ids.
    ///
    /// - Parameter stored: returns the digest of the rows in a range.
    mutating func cut(_ from: Int64, _ to: Int64, stored: (Int64, Int64) throws -> MessageIDDigest) rethrows {
        var rest: [StoredRange] = []
        for range in ranges {
            guard range.from <= to, range.to >= from else {
                rest.append(range)
                continue
            }
            var outside = range.rows
            outside -= try stored(max(range.from, from), min(range.to, to))
            if range.from < from {
                var left = outside
                if range.to > to {
                    // A fault in the range is put on its right part.
                    left = try stored(range.from, from - 1)
                    outside -= left
                }
                rest.append(StoredRange(from: range.from, to: from - 1, rows: left))
            }
            if range.to > to { rest.append(StoredRange(from: to + 1, to: range.to, rows: outside)) }
        }
        // What cannot be is not known.
        ranges = rest.filter { $0.rows.count >= 0 }
    }

    mutating func insert(_ new: [StoredRange]) {
        ranges += new
        ranges.sort { $0.from < $1.from }
    }

    /// Joins ranges that touch, as long as they are small.
    mutating func joinSmall() {
        var joined: [StoredRange] = []
        for range in ranges {
            // The count of a range that somebody has broken can be any number.
            if let last = joined.last, last.to + 1 == range.from, last.rows.count <= RangeList.mostMessages,
                range.rows.count <= RangeList.mostMessages - last.rows.count
            {
                joined[joined.count - 1].to = range.to
                joined[joined.count - 1].rows += range.rows
            } else {
                joined.append(range)
            }
        }
        ranges = joined
    }
}

extension StoredRange {
    /// Cuts a range into such of few messages.
    static func pieces(from: Int64, to: Int64, _ ids: [StoredID]) -> [StoredRange] {
        var pieces: [StoredRange] = []
        var start = from
        let most = Int(RangeList.mostMessages)
        for index in stride(from: 0, to: max(1, ids.count), by: most) {
            let part = ids[index..<min(ids.count, index + most)]
            let isLast = index + most >= ids.count
            let end = isLast ? to : part.last?.id ?? to
            pieces.append(StoredRange(from: start, to: end, rows: MessageIDDigest(each: part.lazy.map(\.id))))
            start = end + 1
        }
        return pieces
    }
}

extension MessageIDDigest {
    /// Makes the digest of some ids. In this module, the compiler makes a loop of its own for each kind of sequence.
    init(each ids: some Sequence<Int64>) {
        self.init()
        for id in ids { insert(id) }
    }
}
