/// Reads the messages of one chat that some bounds select, page by page, and knows which ids the pages prove.
///
/// This is a state machine: requests come out, and Telegram's answers go in. Several readers can work on one chat: a reader that finds no
/// waiting span takes the older half of the longest one.
///
/// A page is requested by `offset_id` alone. `min_id` and `max_id` filter only after Telegram has cut the page, and positions shift
/// when messages arrive. A page proves the ids from its lowest one to the one below the offset. A short page is not the end of the history, and
/// neither is an empty one: messages that may not be shown are left out. Unless Telegram's count confirms the end, the ids are asked for one by one.
///
/// Source: https://core.telegram.org/api/offsets
package struct ChatReading: Sendable {
    /// A question to Telegram.
    package enum Query: Sendable, Equatable {
        /// Up to 100 messages below an id (0: from the newest on) and before a time (0: any).
        case page(offsetID: Int64, offsetDate: Int64)
        /// The newest message.
        case newest
        /// The messages with these ids.
        case messages([Int64])
    }

    /// A question of one span. Exactly one of `take` and `release` follows each request.
    package struct Request: Sendable, Equatable {
        let span: Int
        package let query: Query
    }

    /// The result of an answer.
    package struct Taken: Sendable, Equatable {
        /// The ids of the messages to keep, newest first.
        package var kept: [Int64] = []
        /// The ranges of ids that the answer proves.
        package var ranges: [ProvenRange] = []
    }

    private struct Span {
        let number: Int
        /// The lowest id of the span.
        var from: Int64
        /// All messages from this id on have been read; 0 before the first page of a span that begins at the newest message.
        var cursor: Int64
        /// The time before which the first page begins; 0 for any.
        var offsetDate: Int64 = 0
        /// Is true if the ids below the cursor are to be asked for, because a page had none of them.
        var isInDoubt = false
        /// The id up to which no message was found below the upper bound; its range is not proven while the newest message is unknown.
        var unprovenTop: ClosedRange<Int64>?
        /// The highest id of the chat that was known when the span was asked for. An answer proves nothing about later ids.
        var newestWhenAsked: Int64?
        var isAsked = false
        /// The number of empty pages in a row at the very beginning.
        var emptyStarts = 0
    }

    /// The most messages of an answer.
    package static let pageSize: Int64 = 100
    /// The fewest ids of a span that is shared with another reader. A smaller one takes a reader only a few requests.
    static let smallestShare: Int64 = 1000
    /// The number of empty answers for the newest messages after which a reading fails, although Telegram tells of messages.
    private static let mostEmptyStarts = 3

    private let bounds: HistoryBounds
    /// Is true if ids are dense enough to share a span by ids: those of channels and supergroups count by themselves.
    private let isShareable: Bool
    private var spans: [Span]
    private var nextNumber = 1
    /// The highest id of the chat, once it is known.
    package private(set) var newest: Int64?
    /// The number of messages in the whole history that Telegram told last.
    package private(set) var total: Int64?
    /// The number of messages kept so far.
    package private(set) var keptCount: Int64 = 0
    /// Is true if Telegram tells of messages, but does not show the newest ones.
    package private(set) var isRefused = false

    /// - Parameters:
    ///   - isChannel: whether the chat is a channel or supergroup, whose ids count by themselves.
    ///   - newest: the highest id of the chat, if it is known.
    package init(_ bounds: HistoryBounds, isChannel: Bool, newest: Int64? = nil) {
        self.bounds = bounds
        self.newest = newest
        isShareable = isChannel && bounds.areIDsOnly
        let from = max(1, bounds.from)
        let to = bounds.to.map { min($0, HistoryBounds.largestID - 1) }
        guard to ?? HistoryBounds.largestID >= from, bounds.last ?? 1 > 0 else {
            spans = []
            return
        }
        var first = Span(number: 0, from: from, cursor: to.map { $0 + 1 } ?? 0)
        first.offsetDate = bounds.until.map { min(max($0, 0), HistoryBounds.largestID - 1) + 1 } ?? 0
        spans = [first]
    }

    /// Is true if nothing is left to ask for.
    package var isDone: Bool { spans.isEmpty || isRefused }

    /// The number of ids that are not read yet; nil while it is unknown.
    package var idsLeft: Int64? {
        guard !spans.contains(where: { $0.cursor == 0 }) else { return nil }
        return spans.reduce(0) { $0 + max(0, $1.cursor - $1.from) }
    }

    /// The number of ids within the bounds; nil while it is unknown, or if not only ids bound the reading.
    package var idsWanted: Int64? {
        guard bounds.areIDsOnly, let last = bounds.to ?? newest else { return nil }
        return max(0, last - max(1, bounds.from) + 1)
    }

    // MARK: Requests

    /// Returns the next request; nil if all that is left is being asked for.
    package mutating func nextRequest() -> Request? {
        guard !isRefused else { return nil }
        if let index = spans.firstIndex(where: { !$0.isAsked }) { return request(index) }
        guard let index = share() else { return nil }
        return request(index)
    }

    /// The number of ids in the longest span that another reader can help with; 0 if there is none.
    package var largestShare: Int64 {
        guard isShareable, !isRefused else { return 0 }
        let largest =
            spans.lazy.filter { $0.cursor > 0 && $0.unprovenTop == nil }.map { $0.cursor - $0.from }.max() ?? 0
        return largest >= ChatReading.smallestShare ? largest : 0
    }

    /// Is true if a request waits for a reader.
    package var isWaiting: Bool { !isRefused && spans.contains { !$0.isAsked } }

    private mutating func share() -> Int? {
        let size = largestShare
        guard size > 0,
            let index = spans.firstIndex(where: {
                $0.cursor > 0 && $0.unprovenTop == nil && $0.cursor - $0.from == size
            })
        else { return nil }
        let middle = spans[index].from + size / 2
        spans.append(Span(number: nextNumber, from: spans[index].from, cursor: middle))
        nextNumber += 1
        spans[index].from = middle
        return spans.count - 1
    }

    private mutating func request(_ index: Int) -> Request {
        spans[index].isAsked = true
        spans[index].newestWhenAsked = newest
        let span = spans[index]
        let query: Query =
            if span.unprovenTop != nil || (span.isInDoubt && newest == nil) {
                .newest
            } else if span.isInDoubt {
                .messages(Array((max(span.from, span.cursor - ChatReading.pageSize)..<span.cursor).reversed()))
            } else {
                .page(offsetID: span.cursor, offsetDate: span.offsetDate)
            }
        return Request(span: span.number, query: query)
    }

    /// Gives a request back that was not answered, so that another reader takes it.
    package mutating func release(_ request: Request) {
        if let index = index(of: request) { spans[index].isAsked = false }
    }

    private func index(of request: Request) -> Int? { spans.firstIndex { $0.number == request.span } }

    // MARK: Answers

    /// Takes the answer to a request.
    package mutating func take(_ page: HistoryPage, for request: Request) -> Taken {
        guard let index = index(of: request) else { return Taken() }
        spans[index].isAsked = false
        var taken = Taken()
        switch request.query {
        case .newest:
            note(newest: page.items.map(\.id).max() ?? 0)
            readTop(index)
        case .messages(let asked): takeAsked(page, asked, index, &taken)
        case .page(let offset, _): takePage(page, below: offset, index, &taken)
        }
        keptCount += Int64(taken.kept.count)
        finish(index)
        return taken
    }

    private mutating func note(newest id: Int64) { newest = max(newest ?? 0, id) }

    /// Has the ids above the first message of a span read again, up to the newest one of the chat: messages may have been written after the
    /// page was asked for, and later ids are not given yet.
    private mutating func readTop(_ index: Int) {
        guard let top = spans[index].unprovenTop, let newest else { return }
        spans[index].unprovenTop = nil
        let highest = min(top.upperBound, newest)
        guard highest >= top.lowerBound else { return }
        spans.append(Span(number: nextNumber, from: top.lowerBound, cursor: highest + 1))
        nextNumber += 1
    }

    private mutating func takeAsked(_ page: HistoryPage, _ asked: [Int64], _ index: Int, _ taken: inout Taken) {
        guard let lowest = asked.last, let highest = asked.first else { return }
        let wanted = Set(asked)
        let found = ChatReading.sorted(page.items.filter { wanted.contains($0.id) })
        // Another reader may have taken the lower ids meanwhile.
        let low = max(lowest, spans[index].from)
        spans[index].isInDoubt = false
        let proven = min(highest, spans[index].newestWhenAsked ?? highest)
        keep(found.filter { $0.id >= low }, from: low, to: proven, index, &taken)
    }

    private mutating func takePage(_ page: HistoryPage, below offset: Int64, _ index: Int, _ taken: inout Taken) {
        total = page.total ?? total
        let shown = ChatReading.sorted(page.items.filter { offset == 0 || $0.id < offset })
        guard let newestShown = shown.first, let lowest = shown.last else {
            return takeEmpty(page, below: offset, index, &taken)
        }
        let begins = offset == 0 || spans[index].offsetDate != 0
        if page.position == 0 || (offset == 0 && spans[index].offsetDate == 0) { note(newest: newestShown.id) }
        spans[index].offsetDate = 0
        // A server may ignore the time.
        let items = shown.drop { if let until = bounds.until { $0.date > until } else { false } }
        guard let highest = items.first else { return spans[index].cursor = lowest.id }
        var top = begins || items.count < shown.count ? highest.id : offset - 1
        // A page that begins at the newest message tells it for its own time.
        let known = page.position == 0 ? newestShown.id : spans[index].newestWhenAsked
        if !begins, top > highest.id, known.map({ top > $0 }) ?? true, span(index, isFirstBelow: offset) {
            let bottom = max(highest.id + 1, spans[index].from)
            if known == nil, bottom <= top { spans[index].unprovenTop = bottom...top }
            top = max(highest.id, min(top, known ?? highest.id))
        }
        keep(Array(items), from: lowest.id, to: top, index, &taken)
    }

    /// Returns whether a page begins at the upper bound of the whole reading, above which messages may not exist yet.
    private func span(_ index: Int, isFirstBelow offset: Int64) -> Bool { bounds.to.map { $0 + 1 == offset } ?? false }

    private mutating func takeEmpty(_ page: HistoryPage, below offset: Int64, _ index: Int, _ taken: inout Taken) {
        let told = page.total ?? 0
        let isEnd =
            page.isWhole || told == 0 || (page.position.map { $0 >= told } ?? false)
            || (!isShareable && bounds.areIDsOnly && bounds.to == nil && keptCount >= told)
        guard offset > 0, spans[index].offsetDate == 0 else {
            // There is nothing before the date, or in the chat.
            if isEnd || spans[index].offsetDate != 0 { return end(index) }
            spans[index].emptyStarts += 1
            isRefused = spans[index].emptyStarts >= ChatReading.mostEmptyStarts
            return
        }
        guard isEnd else {
            spans[index].isInDoubt = true
            return
        }
        let from = spans[index].from
        var top = offset - 1
        if span(index, isFirstBelow: offset) {
            // A bound far above the newest message proves nothing about ids that are not given yet.
            guard let known = spans[index].newestWhenAsked else {
                spans[index].unprovenTop = from...top
                return spans[index].cursor = from
            }
            top = min(top, known)
        }
        if top >= from { taken.ranges.append(ProvenRange(from: from, to: top, ids: [])) }
        end(index)
    }

    /// Keeps the messages of an answer that are within the bounds, notes what they prove, and moves the span on.
    ///
    /// - Parameters:
    ///   - items: newest first.
    ///   - low: the lowest id that the answer proves.
    ///   - high: the highest id that the answer proves.
    private mutating func keep(
        _ items: [HistoryPage.Item], from low: Int64, to high: Int64, _ index: Int, _ taken: inout Taken
    ) {
        let from = spans[index].from
        var kept = items.filter { $0.id >= from }
        var isCut = false
        if let since = bounds.since, let old = kept.firstIndex(where: { $0.date < since }) {
            kept.removeSubrange(old...)
            isCut = true
        }
        if let last = bounds.last, keptCount + Int64(kept.count) >= last {
            kept.removeSubrange(Int(clamping: last - keptCount)...)
            isCut = true
        }
        let ids = kept.map(\.id)
        taken.kept = ids
        let bottom = isCut ? ids.last : low <= from ? from : low
        if let bottom, high >= bottom { taken.ranges.append(ProvenRange(from: bottom, to: high, ids: ids)) }
        if isCut { return end(index) }
        spans[index].cursor = max(low, from)
    }

    private mutating func end(_ index: Int) {
        spans[index].cursor = spans[index].from
        spans[index].unprovenTop = nil
        spans[index].offsetDate = 0
        spans[index].isInDoubt = false
        spans[index].emptyStarts = -1
    }

    private mutating func finish(_ index: Int) {
        let span = spans[index]
        let isOver = span.emptyStarts < 0 || (span.cursor > 0 && span.cursor <= span.from)
        if isOver, span.unprovenTop == nil { spans.remove(at: index) }
    }

    /// Returns messages newest first, each once.
    private static func sorted(_ items: [HistoryPage.Item]) -> [HistoryPage.Item] {
        var sorted = items.filter { $0.id > 0 && $0.id < HistoryBounds.largestID }.sorted { $0.id > $1.id }
        var last: Int64 = 0
        sorted.removeAll { item in
            defer { last = item.id }
            return item.id == last
        }
        return sorted
    }
}
