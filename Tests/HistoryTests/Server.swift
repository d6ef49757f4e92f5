import History

/// Answers the requests of a reading from a set of messages, as Telegram does.
struct Server {
    var ids: [Int64]
    /// Whether pages tell the count, and the number of newer messages.
    var tellsCount = true
    var tellsPosition = true
    /// Returns the number of messages of a page, which may be fewer than there are.
    var pageSize: (_ below: Int64) -> Int = { _ in 100 }
    /// Returns messages that are added to a page although it should not have them.
    var intruders: (_ below: Int64) -> [Int64] = { _ in [] }

    /// The time of a message, in seconds.
    static func date(_ id: Int64) -> Int64 { 1_000_000 + id * 10 }

    func answer(_ query: ChatReading.Query) -> HistoryPage {
        switch query {
        case .newest: page(ids.max().map { [$0] } ?? [], newer: 0)
        case .messages(let asked): HistoryPage(items: items(ids.filter(Set(asked).contains)))
        case .page(let offset, let date): below(offset == 0 ? .max : offset, before: date == 0 ? .max : date)
        }
    }

    private func below(_ offset: Int64, before date: Int64) -> HistoryPage {
        let all = ids.sorted(by: >)
        let newer = all.prefix { $0 >= offset || Server.date($0) >= date }
        let chosen = all.dropFirst(newer.count).prefix(pageSize(offset))
        return page(intruders(offset) + chosen, newer: newer.count)
    }

    private func page(_ chosen: [Int64], newer: Int) -> HistoryPage {
        HistoryPage(
            items: items(chosen), total: tellsCount ? Int64(ids.count) : nil,
            position: tellsPosition ? Int64(newer) : nil)
    }

    private func items(_ ids: [Int64]) -> [HistoryPage.Item] {
        ids.map { HistoryPage.Item(id: $0, date: Server.date($0)) }
    }
}

/// The result of a reading by several readers.
struct Outcome {
    var kept: [Int64] = []
    var ranges: [ProvenRange] = []
    var requests = 0
    var reading: ChatReading

    /// The ids that the ranges prove, each once; nil if ranges overlap.
    var proven: Set<Int64>? {
        var all: Set<Int64> = []
        for range in ranges {
            for id in range.from...range.to where !all.insert(id).inserted { return nil }
        }
        return all
    }

    /// Reads until nothing is left.
    ///
    /// - Parameters:
    ///   - readers: the number of requests that are asked at the same time.
    ///   - next: chooses the request that is answered next; nil lets it fail.
    static func of(
        _ reading: ChatReading, _ server: Server, readers: Int = 1,
        next: (_ asked: Int) -> (index: Int, isAnswered: Bool) = { _ in (0, true) }
    ) -> Outcome {
        var outcome = Outcome(reading: reading)
        var asked: [ChatReading.Request] = []
        while outcome.requests < 100_000 {
            while asked.count < readers, let request = outcome.reading.nextRequest() { asked.append(request) }
            guard !asked.isEmpty else { break }
            let (index, isAnswered) = next(asked.count)
            let request = asked.remove(at: index)
            outcome.requests += 1
            guard isAnswered else {
                outcome.reading.release(request)
                continue
            }
            let taken = outcome.reading.take(server.answer(request.query), for: request)
            outcome.kept += taken.kept
            outcome.ranges += taken.ranges
        }
        return outcome
    }
}
