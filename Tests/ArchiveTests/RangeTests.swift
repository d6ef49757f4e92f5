import Payloads
import Testing

@testable import Archive

@Suite struct RangeTests {
    private func range(_ from: Int64, _ to: Int64, _ ids: [Int64]? = nil) -> StoredRange {
        StoredRange(from: from, to: to, rows: MessageIDDigest(ids ?? Array(from...to)))
    }

    private func digest(_ from: Int64, _ to: Int64) -> MessageIDDigest { MessageIDDigest(from...to) }

    @Test func `A list covers ids only without a gap`() {
        let list = RangeList([range(1, 10), range(11, 20), range(22, 30)])
        #expect(list.covers(1, 20))
        #expect(list.covers(5, 15))
        #expect(!list.covers(15, 22))
        #expect(!list.covers(25, 31))
        #expect(!RangeList().covers(1, 1))
    }

    @Test func `What is cut out leaves the digests of the rest`() {
        var list = RangeList([range(1, 10), range(20, 30)])
        list.cut(5, 6, stored: digest)
        #expect(list.ranges == [range(1, 4), range(7, 10), range(20, 30)])
        list.cut(9, 22, stored: digest)
        #expect(list.ranges == [range(1, 4), range(7, 8), range(23, 30)])
        list.cut(1, .max, stored: digest)
        #expect(list.ranges.isEmpty)
    }

    @Test func `A fault stays in what is left of a range`() {
        // The row 3 is lost, and 8 to 10 are read again.
        var list = RangeList([range(1, 10)])
        list.cut(8, 10) { _, _ in MessageIDDigest([8, 9, 10]) }
        #expect(list.ranges == [range(1, 7)])
        #expect(LostRows.find(in: list.ranges[0], stored: [1, 2, 4, 5, 6, 7]) == [IDSpan(from: 3, to: 3)])
    }

    @Test func `Small ranges that touch become one, and long ones are cut`() {
        var list = RangeList([range(1, 100), range(101, 200), range(202, 300)])
        list.joinSmall()
        #expect(list.ranges == [range(1, 200), range(202, 300)])
        let ids = (1...2500).map { StoredID(id: $0 * 2, isDeleted: false) }
        let pieces = StoredRange.pieces(from: 1, to: 5005, ids)
        #expect(pieces.map(\.from) == [1, 2001, 4001])
        #expect(pieces.map(\.to) == [2000, 4000, 5005])
        #expect(pieces.map(\.rows.count) == [1000, 1000, 500])
        #expect(StoredRange.pieces(from: 4, to: 9, []) == [range(4, 9, [])])
    }

    @Test func `A list tells which parts of a span it does not cover`() {
        let list = RangeList([range(5, 10), range(11, 20), range(25, 30)])
        #expect(list.uncovered(1, 40) == [IDSpan(from: 1, to: 4), IDSpan(from: 21, to: 24), IDSpan(from: 31, to: 40)])
        #expect(list.uncovered(6, 19) == [])
        #expect(list.uncovered(15, 22) == [IDSpan(from: 21, to: 22)])
        #expect(RangeList().uncovered(3, 3) == [IDSpan(from: 3, to: 3)])
        #expect(list.uncovered(31, .max) == [IDSpan(from: 31, to: .max)])
    }

    @Test func `Spans are cut at ids, and below one`() {
        let spans = [IDSpan(from: 1, to: 5), IDSpan(from: 8, to: 8), IDSpan(from: 10, to: 12)]
        #expect(
            spans.without([1, 3, 7, 8, 12, 99]) == [
                IDSpan(from: 2, to: 2), IDSpan(from: 4, to: 5), IDSpan(from: 10, to: 11),
            ])
        #expect(spans.without([]) == spans)
        #expect(spans.below(10) == [IDSpan(from: 1, to: 5), IDSpan(from: 8, to: 8)])
        #expect(spans.below(3) == [IDSpan(from: 1, to: 2)])
        #expect(spans.below(1) == [])
    }

    @Test func `A claim from before updates were lost proves only what they do not concern`() {
        func claim(_ from: Int64, _ to: Int64, at time: Int64 = 5, knowsIDs: Bool = true) -> RangeClaim {
            RangeClaim(
                from: from, to: to, found: digest(from, to), toldAt: time, ids: knowsIDs ? Array(from...to) : nil,
                newestID: to)
        }
        let loss = LostUpdates(from: 50, toldAt: 10)
        #expect(loss.remainder(of: claim(1, 49))?.newestID == 49)
        #expect(loss.remainder(of: claim(50, 80)) == nil)
        #expect(loss.remainder(of: claim(50, 80, at: 11))?.found == digest(50, 80))
        let lower = loss.remainder(of: claim(40, 90))
        #expect(lower?.from == 40 && lower?.to == 49 && lower?.found == digest(40, 49) && lower?.newestID == nil)
        // What somebody has read above what the listener knew at that time may have been deleted meanwhile, too.
        #expect(loss.remainder(of: claim(60, 90)) == nil && loss.remainder(of: claim(81, 90)) == nil)
        #expect(loss.remainder(of: claim(81, 90, at: 11))?.newestID == 90)
        #expect(loss.remainder(of: claim(40, 60, knowsIDs: false)) == nil)
        // Positions tell it better than times.
        var placed = claim(50, 80, at: 11)
        placed.pts = 7
        #expect(LostUpdates(from: 50, toldAt: 10, pts: 8).remainder(of: placed) == nil)
        placed.toldAt = 9
        #expect(LostUpdates(from: 50, toldAt: 10, pts: 7).remainder(of: placed)?.to == 80)
        #expect(loss.remainder(of: placed) == nil)
    }

    @Test func `Claims that touch are joined, and those that overlap stay in their order`() {
        func claim(_ from: Int64, _ to: Int64) -> RangeClaim {
            RangeClaim(from: from, to: to, found: digest(from, to), toldAt: 1, ids: Array(from...to))
        }
        let joined = RangeKeeper.joined([claim(201, 300), claim(101, 200), claim(1, 99)])
        #expect(joined.map(\.from) == [1, 101])
        #expect(joined.last?.to == 300)
        #expect(joined.last?.found == digest(101, 300))
        #expect(RangeKeeper.joined([claim(5, 9), claim(1, 5)]).map(\.from) == [5, 1])
    }

    @Test func `A scan finds the ids of which nothing is known`() {
        var scan = CoverageScan([range(1, 10, [2, 4]), range(20, 30)])
        for id in [Int64(2), 4, 11, 13] + Array(20...30) + [31, 33] { scan.take(id) }
        scan.finish(newest: 35)
        #expect(
            scan.holes == [
                IDSpan(from: 12, to: 12), IDSpan(from: 14, to: 19), IDSpan(from: 32, to: 32), IDSpan(from: 34, to: 35),
            ])
        #expect(scan.faulty.isEmpty)
        #expect(scan.messages == 17)
        #expect(scan.top == 35)
    }

    @Test func `A scan notices rows that a range lacks or has too many`() {
        var scan = CoverageScan([range(1, 5), range(6, 9, [6])])
        for id in [Int64(1), 2, 4, 5, 6, 7] { scan.take(id) }
        scan.finish(newest: 0)
        #expect(scan.faulty.map(\.range.from) == [1, 6])
        #expect(scan.holes.isEmpty)
    }

    @Test func `Lost rows are found by the checksum`() {
        let ids = (1...900).map(Int64.init).filter { $0 % 7 != 0 }
        let whole = range(1, 900, ids)
        func find(without lost: Set<Int64>) -> [IDSpan] {
            LostRows.find(in: whole, stored: ids.filter { !lost.contains($0) })
        }
        #expect(find(without: [500]) == [IDSpan(from: 500, to: 500)])
        #expect(find(without: [3, 801]) == [IDSpan(from: 3, to: 3), IDSpan(from: 801, to: 801)])
        #expect(find(without: Set(100...130)) == [IDSpan(from: 100, to: 130)])
        #expect(find(without: Set(stride(from: 1, to: 900, by: 10).map(Int64.init))) == [IDSpan(from: 1, to: 900)])
        // As many as the longest run has, but elsewhere.
        #expect(find(without: [11, 13, 100, 101, 102, 103]) == [IDSpan(from: 1, to: 900)])
        // A row too many can only be told by reading all of it again.
        #expect(LostRows.find(in: whole, stored: ids + [903]) == [IDSpan(from: 1, to: 900)])
    }

    @Test func `The only id of a digest is known`() {
        for id in [Int64(1), 17, 1 << 31, 1 << 53] { #expect(MessageIDDigest([id]).onlyID == id) }
        #expect(MessageIDDigest([1, 2]).onlyID == nil)
    }

    @Test func `Keys are cut into runs where a chat ends or ids are far apart`() {
        let key = { (chat: Int64, id: Int64) in MessageKey(chatID: chat, messageID: id, ownerID: 0) }
        let (runs, areClose) = IDRun.runs(of: [key(1, 10), key(1, 110), key(1, 211), key(2, 212), key(2, 213)])
        #expect(areClose)
        #expect(runs.map(\.low) == [10, 211, 212])
        #expect(runs.map(\.high) == [110, 211, 213])
        #expect(runs.map(\.chat.chatID) == [1, 1, 2])
        #expect(IDRun.runs(of: [MessageKey]()).runs.isEmpty)
    }

    @Test func `With too many runs there is one for each chat`() {
        let keys = (0..<500).map { MessageKey(chatID: Int64($0 / 250), messageID: Int64($0) * 1000, ownerID: 0) }
        let (runs, areClose) = IDRun.runs(of: keys)
        #expect(!areClose)
        #expect(runs.map(\.low) == [0, 250_000])
        #expect(runs.map(\.high) == [249_000, 499_000])
    }
}
