import History
import Testing

@Suite struct ChatReadingTests {
    private func whole(_ server: Server, _ bounds: HistoryBounds = HistoryBounds(), isChannel: Bool = true) -> Outcome {
        Outcome.of(ChatReading(bounds, isChannel: isChannel), server)
    }

    /// Checks that everything was kept once, and that the ranges prove exactly these ids, each once.
    private func expect(
        _ outcome: Outcome, _ ids: [Int64], proves range: ClosedRange<Int64>,
        _ location: SourceLocation = #_sourceLocation
    ) {
        #expect(outcome.kept.sorted() == ids.sorted(), sourceLocation: location)
        #expect(outcome.proven == Set(range), sourceLocation: location)
        for proven in outcome.ranges {
            #expect(
                proven.ids.sorted() == ids.filter { (proven.from...proven.to).contains($0) }.sorted(),
                sourceLocation: location)
        }
        #expect(outcome.reading.isDone, sourceLocation: location)
    }

    @Test func `A whole history is read once, from the newest message to the first`() {
        let outcome = whole(Server(ids: Array(1...1234)))
        expect(outcome, Array(1...1234), proves: 1...1234)
        #expect(outcome.reading.newest == 1234 && outcome.reading.total == 1234)
        #expect(outcome.requests == 13)
    }

    @Test func `An empty chat needs one request and proves nothing`() {
        let outcome = whole(Server(ids: []))
        #expect(outcome.kept.isEmpty && outcome.ranges.isEmpty && outcome.requests == 1 && outcome.reading.isDone)
    }

    @Test func `Deleted messages leave no hole`() {
        let ids = (1...2000).filter { $0 % 7 != 0 && !(300...900).contains($0) }.map(Int64.init)
        expect(whole(Server(ids: ids)), ids, proves: 1...ids.max()!)
    }

    @Test func `A short page is not the end`() {
        var server = Server(ids: Array(1...500))
        server.pageSize = { $0 % 3 == 0 ? 1 : 17 }
        expect(whole(server), Array(1...500), proves: 1...500)
    }

    @Test func `An empty page is not the end unless the count confirms it`() {
        var server = Server(ids: Array(1...500))
        server.pageSize = { $0 == 301 || $0 == 150 ? 0 : 100 }
        for tellsPosition in [true, false] {
            server.tellsPosition = tellsPosition
            expect(whole(server), Array(1...500), proves: 1...500)
        }
    }

    @Test func `Where pages stay empty, the ids are asked for one by one`() {
        var server = Server(ids: Array(1...950))
        server.pageSize = { $0 < 700 && $0 > 0 ? 0 : 100 }
        expect(whole(server), Array(1...950), proves: 1...950)
    }

    @Test func `A chat whose newest messages are not shown is refused, and not taken for empty`() {
        var server = Server(ids: Array(1...50))
        server.pageSize = { _ in 0 }
        let outcome = whole(server)
        #expect(outcome.reading.isRefused && outcome.ranges.isEmpty && outcome.requests < 10)
    }

    @Test func `Messages that a page repeats, or that it should not have, are dropped`() {
        var server = Server(ids: Array(1...400))
        server.intruders = { below in below == .max ? [] : [below, below + 5, 9_999] }
        expect(whole(server), Array(1...400), proves: 1...400)
    }

    @Test func `Both bounds are included`() {
        let server = Server(ids: Array(1...1000))
        expect(whole(server, HistoryBounds(from: 200, to: 455)), Array(200...455), proves: 200...455)
        expect(whole(server, HistoryBounds(from: 7, to: 7)), [7], proves: 7...7)
    }

    @Test func `Bounds without messages are proven empty`() {
        let server = Server(ids: Array(1...100) + Array(900...1000))
        expect(whole(server, HistoryBounds(from: 200, to: 800)), [], proves: 200...800)
    }

    @Test func `Ids above the newest message are not proven`() {
        for tellsPosition in [true, false] {
            var server = Server(ids: Array(1...50))
            server.tellsPosition = tellsPosition
            expect(whole(server, HistoryBounds(from: 10, to: 900)), Array(10...50), proves: 10...50)
            let outcome = whole(server, HistoryBounds(from: 100, to: 900))
            #expect(outcome.kept.isEmpty && outcome.ranges.isEmpty && outcome.reading.isDone)
        }
    }

    @Test func `Ids between the newest message and the upper bound are proven if they were deleted`() {
        let server = Server(ids: Array(1...50) + [120])
        var shy = server
        shy.tellsPosition = false
        for server in [server, shy] {
            expect(whole(server, HistoryBounds(from: 1, to: 80)), Array(1...50), proves: 1...80)
        }
    }

    @Test func `Messages that are written before the newest one is asked for are read, and not taken for absent`()
        throws
    {
        var server = Server(ids: Array(1...50))
        server.tellsPosition = false
        for bounds in [HistoryBounds(from: 10, to: 900), HistoryBounds(from: 51, to: 900)] {
            server.ids = Array(1...50)
            var reading = ChatReading(bounds, isChannel: true)
            var (kept, proven): (Set<Int64>, Set<Int64>) = ([], [])
            while let request = reading.nextRequest() {
                if request.query == .newest, server.ids.count == 50 { server.ids += [51, 60] }
                let taken = reading.take(server.answer(request.query), for: request)
                kept.formUnion(taken.kept)
                for range in taken.ranges {
                    // What a range proves to be absent must be absent.
                    #expect(range.ids.sorted() == server.ids.filter { $0 >= range.from && $0 <= range.to }.sorted())
                    proven.formUnion(range.from...range.to)
                }
            }
            #expect(reading.isDone)
            let wanted = server.ids.filter { $0 >= bounds.from }
            #expect(kept == Set(wanted))
            #expect(proven == Set(bounds.from...60))
        }
    }

    @Test func `The last messages are counted from the newest`() {
        expect(whole(Server(ids: Array(1...1000)), HistoryBounds(last: 250)), Array(751...1000), proves: 751...1000)
        expect(whole(Server(ids: Array(1...30)), HistoryBounds(last: 250)), Array(1...30), proves: 1...30)
    }

    @Test func `Times select messages, and prove no older or newer ones`() {
        let server = Server(ids: Array(1...1000))
        let since = HistoryBounds(since: Server.date(640))
        expect(whole(server, since), Array(640...1000), proves: 640...1000)
        let both = HistoryBounds(since: Server.date(100), until: Server.date(321))
        expect(whole(server, both), Array(100...321), proves: 100...321)
        let none = whole(server, HistoryBounds(until: 5))
        #expect(none.kept.isEmpty && none.ranges.isEmpty && none.reading.isDone)
    }

    @Test func `A server that ignores the date does not widen the bounds`() {
        var reading = ChatReading(HistoryBounds(until: Server.date(321)), isChannel: true)
        let server = Server(ids: Array(1...1000))
        var kept: [Int64] = []
        while let request = reading.nextRequest() {
            guard case .page(let offset, _) = request.query else { break }
            kept += reading.take(server.answer(.page(offsetID: offset, offsetDate: 0)), for: request).kept
        }
        #expect(kept == Array((1...321).reversed()))
    }

    @Test func `Several readers share a channel, and read each message once`() {
        var random = SystemRandomNumberGenerator()
        for readers in [2, 5, 16] {
            let ids = (1...20_000).filter { $0 % 11 != 3 }.map(Int64.init)
            let outcome = Outcome.of(ChatReading(HistoryBounds(), isChannel: true), Server(ids: ids), readers: readers)
            {
                (Int.random(in: 0..<$0, using: &random), Int.random(in: 0..<10, using: &random) > 0)
            }
            expect(outcome, ids, proves: 1...20_000)
            #expect(outcome.requests < 400)
        }
    }

    @Test func `Nobody shares what is bounded by time or count, or the ids of one account`() {
        let server = Server(ids: Array(1...5000))
        for (bounds, isChannel) in [
            (HistoryBounds(last: 4000), true), (HistoryBounds(since: 1), true), (HistoryBounds(), false),
        ] {
            var reading = ChatReading(bounds, isChannel: isChannel)
            let first = reading.nextRequest()
            if let first { _ = reading.take(server.answer(first.query), for: first) }
            #expect(reading.nextRequest() != nil)
            #expect(reading.nextRequest() == nil && reading.largestShare == 0)
        }
    }

    @Test func `Impossible bounds and numbers end at once`() {
        for bounds in [
            HistoryBounds(from: .max), HistoryBounds(from: 9, to: 8), HistoryBounds(from: .min, to: .min),
            HistoryBounds(last: 0), HistoryBounds(last: -5),
        ] {
            var reading = ChatReading(bounds, isChannel: true)
            #expect(reading.isDone && reading.nextRequest() == nil)
        }
        var reading = ChatReading(
            HistoryBounds(from: 1, to: .max, since: .min, until: .max, last: .max), isChannel: true)
        if let request = reading.nextRequest() {
            let items = [Int64.max, .min, 0, -1, 5].map { HistoryPage.Item(id: $0, date: .min) }
            _ = reading.take(HistoryPage(items: items, total: .max, position: .min), for: request)
        }
    }
}
