import Payloads

/// A span of ids, both ends included.
package struct IDSpan: Sendable, Hashable {
    package var from: Int64
    package var to: Int64

    package init(from: Int64, to: Int64) { (self.from, self.to) = (from, to) }

    /// The number of ids.
    package var count: Int64 { to &- from &+ 1 }

    package var text: String { from == to ? "\(from)" : "\(from)–\(to)" }
}

/// A range whose rows are not those that it should have.
package struct RangeFault: Sendable, Equatable {
    package var span: IDSpan
    /// The number of messages that it should have; nil if the range itself was broken.
    package var expected: Int64?
    /// The number of messages that it has.
    package var stored: Int64
}

/// Describes the messages that the archive has of one chat, and those that it lacks.
package struct ChatInspection: Sendable {
    package let chat: ChatKey
    package var title: String?
    package var username: String?
    package var type: String?
    /// The channel whose comments are all that was read of this group, so that its other messages are not missed.
    package var commentsOf: Int64?
    /// The number of rows, those of deleted messages included.
    package var messages: Int64 = 0
    /// The highest id that is known to exist.
    package var top: Int64 = 0
    /// The ids of which nothing is known, or that are lost, in order.
    package var holes: [IDSpan] = []
    /// The lowest id from which on updates are known to be missing, although nobody knows up to which id.
    package var openFrom: Int64?
    /// The messages that must be read again, because updates that concern them were lost, in order.
    package var outdated: [IDSpan] = []
    package var faults: [RangeFault] = []
    /// The messages that the database refused.
    package var failures: [Int64] = []

    package var isComplete: Bool {
        holes.isEmpty && outdated.isEmpty && faults.isEmpty && failures.isEmpty && openFrom == nil
    }
    package var missingIDs: Int64 { holes.reduce(0) { $0 &+ $1.count } }
}

/// Compares the ids of a chat's messages with its ranges, in the order of the ids.
struct CoverageScan {
    private var ranges: ArraySlice<StoredRange>
    private var rows = MessageIDDigest()
    /// All ids up to this one are accounted for.
    private var known: Int64 = 0
    private(set) var holes: [IDSpan] = []
    private(set) var faulty: [(range: StoredRange, rows: MessageIDDigest)] = []
    private(set) var messages: Int64 = 0
    private(set) var top: Int64 = 0

    init(_ ranges: [StoredRange]) { self.ranges = ranges[...] }

    /// Takes the next id of a row.
    mutating func take(_ id: Int64) {
        messages += 1
        while let range = ranges.first, range.to < id { endRange(range) }
        if let range = ranges.first, range.from <= id {
            rows.insert(id)
        } else {
            cover(id, id)
        }
    }

    /// - Parameter newest: the highest id that is known to exist, from elsewhere.
    mutating func finish(newest: Int64) {
        while let range = ranges.first { endRange(range) }
        top = max(known, newest)
        if known < newest { holes.append(IDSpan(from: known + 1, to: newest)) }
    }

    private mutating func endRange(_ range: StoredRange) {
        cover(range.from, range.to)
        if rows != range.rows { faulty.append((range, rows)) }
        rows = MessageIDDigest()
        ranges = ranges.dropFirst()
    }

    private mutating func cover(_ from: Int64, _ to: Int64) {
        if from > known + 1 { holes.append(IDSpan(from: known + 1, to: from - 1)) }
        known = max(known, to)
    }
}

/// Finds out which rows of a range are lost.
enum LostRows {
    /// Beyond this number of ids without a message, only single lost rows are found.
    private static let mostCandidates: Int64 = 20_000

    /// Returns where the lost rows are, as far as that can be told: the ids themselves, or else the longest run of ids without
    /// a row, or else the whole range. What is read again without result makes the rest smaller.
    ///
    /// - Parameter stored: the ids of the rows that are there, in order.
    static func find(in range: StoredRange, stored: [Int64]) -> [IDSpan] {
        let whole = [IDSpan(from: range.from, to: range.to)]
        var lost = range.rows
        lost -= MessageIDDigest(stored)
        guard lost.count > 0, lost.count <= mostCandidates else { return whole }
        let known = Set(stored)
        if let id = lost.onlyID {
            return id >= range.from && id <= range.to && !known.contains(id) ? [IDSpan(from: id, to: id)] : whole
        }
        let runs = runs(in: range, without: stored)
        if runs.reduce(0, { $0 + $1.count }) <= mostCandidates {
            let candidates = runs.flatMap { Array($0.from...$0.to) }
            if Int64(candidates.count) == lost.count { return MessageIDDigest(candidates) == lost ? runs : whole }
            if lost.count == 2, let pair = pair(lost, candidates) { return pair }
        }
        guard let longest = runs.max(by: { $0.count < $1.count }) else { return whole }
        // A run of exactly as many ids is proven, or it is not the one.
        if longest.count == lost.count {
            return MessageIDDigest(longest.from...longest.to) == lost ? [longest] : whole
        }
        return longest.count > lost.count ? [longest] : whole
    }

    private static func pair(_ lost: MessageIDDigest, _ candidates: [Int64]) -> [IDSpan]? {
        let all = Set(candidates)
        for first in candidates {
            var rest = lost
            rest.remove(first)
            if let second = rest.onlyID, second > first, all.contains(second) {
                return .joined([IDSpan(from: first, to: first), IDSpan(from: second, to: second)])
            }
        }
        return nil
    }

    /// Returns the runs of ids without a row, in order.
    private static func runs(in range: StoredRange, without stored: [Int64]) -> [IDSpan] {
        var runs: [IDSpan] = []
        var next = range.from
        for id in stored {
            if id > next { runs.append(IDSpan(from: next, to: id - 1)) }
            next = id + 1
        }
        if next <= range.to { runs.append(IDSpan(from: next, to: range.to)) }
        return runs
    }
}

extension [IDSpan] {
    /// Joins spans that overlap or touch, in order.
    static func joined(_ spans: [IDSpan]) -> [IDSpan] {
        var joined: [IDSpan] = []
        for span in spans.sorted(by: { $0.from < $1.from }) {
            if let last = joined.last, span.from <= last.to || span.from - 1 == last.to {
                joined[joined.count - 1].to = Swift.max(last.to, span.to)
            } else {
                joined.append(span)
            }
        }
        return joined
    }

    /// Returns the parts of the spans below an id.
    func below(_ id: Int64) -> [IDSpan] {
        filter { $0.from < id }.map { IDSpan(from: $0.from, to: Swift.min($0.to, id - 1)) }
    }

    /// Returns the spans, which must be in order, without some ids, which must be, too.
    func without(_ ids: [Int64]) -> [IDSpan] {
        var rest: [IDSpan] = []
        var next = ids[...]
        for span in self {
            var from = span.from
            next = next.drop { $0 < span.from }
            while let id = next.first, id <= span.to {
                if id > from { rest.append(IDSpan(from: from, to: id - 1)) }
                from = id + 1
                next.removeFirst()
            }
            if from <= span.to { rest.append(IDSpan(from: from, to: span.to)) }
        }
        return rest
    }
}

extension RangeList {
    /// Returns the parts of a span that are in none of the ranges.
    func uncovered(_ from: Int64, _ to: Int64) -> [IDSpan] {
        var parts: [IDSpan] = []
        var next = from
        for range in ranges where range.to >= next && range.from <= to {
            if range.from > next { parts.append(IDSpan(from: next, to: range.from - 1)) }
            guard range.to < to else { return parts }
            next = range.to + 1
        }
        if next <= to { parts.append(IDSpan(from: next, to: to)) }
        return parts
    }
}
