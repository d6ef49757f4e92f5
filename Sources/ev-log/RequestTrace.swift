import Envelope
import JSON
import LogStore

/// Everything that the store has about one request, in the order in which it happened.
struct RequestTrace {
    /// A span or a line, with the number of spans that it is within.
    struct Item {
        enum Content {
            /// The wait is the time, in microseconds, since the event was ready for this stage.
            case span(TraceSpan, wait: Int64)
            case line(TraceLine)
        }

        let depth: Int
        let content: Content
    }

    /// Another request with which this one shared work.
    struct Sharing {
        let work: String
        let requests: [String]
    }

    let correlationID: EventID
    private(set) var items: [Item] = []
    let spans: [TraceSpan]
    let lines: [TraceLine]
    let start: Int64
    let end: Int64
    /// The requests whose work this one waited for.
    private(set) var waitsFor: [Sharing] = []
    /// The requests that waited for this one's work.
    private(set) var waitedFor: [Sharing] = []
    /// The number of spans that others name as their parents and that the store does not have.
    private(set) var missingSpans = 0
    /// Is true if the store has more lines of the request.
    private(set) var isCut = false

    /// The most lines and spans that are shown of one request.
    static let mostLines = 20_000
    private static let deepest = 64
    /// The indexes of the spans of each event, and of each id.
    private var spansOfEvents: [String: [Int]] = [:]
    private var numbers: [String: Int] = [:]
    /// The ids of the spans that spans are within, by the ids of these.
    private(set) var parentIDs: [String: String] = [:]

    /// Reads a request; nil if the store has nothing about it.
    ///
    /// - Parameter limit: the most lines and spans.
    init?(_ id: EventID, _ reader: LogReader, limit: Int = RequestTrace.mostLines) throws {
        guard let prefix = CorrelationPrefix(id.description) else { return nil }
        var query = LogQuery()
        (query.kind, query.correlation) = (.both, prefix)
        let stored = try reader.all(query, limit: limit + 1)
        self.init(id, Array(stored.prefix(limit)))
        isCut = stored.count > limit
        try findSharing(reader)
    }

    /// Orders the lines and spans of a request.
    init?(_ id: EventID, _ stored: [StoredLine]) {
        correlationID = id
        spans = stored.compactMap { TraceSpan($0) }
        lines = stored.filter { !$0.isSpan }.map { TraceLine($0) }
        guard let first = stored.first else { return nil }
        start = min(first.time, spans.map(\.start).min() ?? first.time)
        end = max(stored.map(\.time).max() ?? start, spans.map(\.end).max() ?? start)
        order()
    }

    var traceID: String {
        spans.lazy.compactMap(\.traceID).first ?? correlationID.description.filter { $0 != "-" }
    }

    /// The first failure, in words.
    var firstError: (time: Int64, text: String)? {
        let ofSpans = spans.filter(\.isFailure).map { ($0.start, "\($0.tool): \($0.name): \($0.error ?? $0.outcome)") }
        let ofLines = lines.filter(\.isError).map { ($0.time, "\($0.tool): \($0.message)") }
        return (ofSpans + ofLines).min { $0.0 < $1.0 }.map { (time: $0.0, text: $0.1) }
    }

    // MARK: Order

    private mutating func order() {
        let parents = findParents()
        var children: [String: [Int]] = [:]
        var roots: [Int] = []
        for index in spans.indices {
            if let parent = parents[index] {
                children[spans[parent].id, default: []].append(index)
                parentIDs[spans[index].id] = spans[parent].id
            } else {
                roots.append(index)
            }
        }
        var linesOfSpans: [String: [Int]] = [:]
        var free: [Int] = []
        let known = Set(spans.map(\.id))
        for index in lines.indices {
            if let span = lines[index].object["span_id"]?.string, known.contains(span) {
                linesOfSpans[span, default: []].append(index)
            } else {
                free.append(index)
            }
        }
        for (index, span) in spans.enumerated() {
            if let event = span.eventID { spansOfEvents[event, default: []].append(index) }
            numbers[span.id] = index
        }
        var visited: Set<Int> = []
        add(roots, free, depth: 0, children, linesOfSpans, &visited)
    }

    private mutating func add(
        _ spans: [Int], _ lines: [Int], depth: Int, _ children: [String: [Int]], _ linesOfSpans: [String: [Int]],
        _ visited: inout Set<Int>
    ) {
        var pending = lines.sorted { self.lines[$0].time < self.lines[$1].time }[...]
        func addLines(_ trace: inout RequestTrace, before time: Int64) {
            while let line = pending.first, trace.lines[line].time < time {
                trace.items.append(Item(depth: depth, content: .line(trace.lines[line])))
                pending.removeFirst()
            }
        }
        for index in spans.sorted(by: { self.spans[$0].start < self.spans[$1].start }) {
            guard visited.insert(index).inserted else { continue }
            let span = self.spans[index]
            addLines(&self, before: span.start)
            items.append(Item(depth: depth, content: .span(span, wait: wait(before: index))))
            add(
                children[span.id] ?? [], linesOfSpans[span.id] ?? [], depth: depth + 1, children, linesOfSpans, &visited
            )
        }
        addLines(&self, before: .max)
    }

    /// Returns the index of the span that each span is within, and counts the parents that are missing.
    ///
    /// A stage that forwards an event keeps its bytes, and so the span that made it: all stages that handle the event are within that
    /// span, and follow each other by their times. A span whose parent is not in the store is within the one that worked on the event
    /// that caused its event, or else within the first one on its event: scripts that make events name no parent.
    private mutating func findParents() -> [Int?] {
        var byID: [String: Int] = [:]
        var working: [String: Int] = [:]
        var first: [String: Int] = [:]
        for index in spans.indices.sorted(by: { spans[$0].start < spans[$1].start }) {
            let span = spans[index]
            byID[span.id] = index
            guard let event = span.eventID else { continue }
            if first[event] == nil { first[event] = index }
            if span.operation == "process" || span.operation == "create", working[event] == nil {
                working[event] = index
            }
        }
        missingSpans = Set(spans.compactMap(\.parent)).count { byID[$0] == nil }
        return limited(
            spans.enumerated().map { index, span in
                // What makes the first event is within nothing, even if another span of its event seems to be earlier.
                if span.operation == "create", span.parent == nil { return nil }
                let found =
                    span.parent.flatMap { byID[$0] } ?? span.causationID.flatMap { working[$0] ?? first[$0] }
                    ?? span.eventID.flatMap { first[$0] }
                return found == index ? nil : found
            })
    }

    /// Cuts circles, which hostile lines may name, and moves what is too deep up to the deepest place.
    private func limited(_ parents: [Int?]) -> [Int?] {
        var parents = parents
        var depths = [Int?](repeating: nil, count: parents.count)
        for start in parents.indices {
            var path: [Int] = []
            var seen: Set<Int> = []
            var at: Int? = start
            while let index = at, depths[index] == nil {
                if !seen.insert(index).inserted {
                    (parents[index], depths[index]) = (nil, 0)
                    break
                }
                path.append(index)
                at = parents[index]
            }
            for index in path.reversed() where depths[index] == nil {
                guard let parent = parents[index], let above = depths[parent] else {
                    depths[index] = 0
                    continue
                }
                let isTooDeep = above + 1 >= RequestTrace.deepest
                if isTooDeep { parents[index] = parents[parent] }
                depths[index] = isTooDeep ? above : above + 1
            }
        }
        return parents
    }

    /// Returns how long the event of a span had been ready: since the stage before ended, or since it was made.
    private func wait(before index: Int) -> Int64 {
        let span = spans[index]
        guard span.operation == "process" || span.operation == "receive", let event = span.eventID else { return 0 }
        let parent = span.parent.flatMap { numbers[$0] }
        let before =
            (spansOfEvents[event, default: []].filter { spans[$0].operation != "settle" } + [parent].compactMap { $0 })
            .filter { $0 != index && spans[$0].start <= span.start }.map { spans[$0] }
        guard let last = before.map({ $0.end <= span.start ? $0.end : $0.start }).max() else { return 0 }
        // Work that goes on makes events before its end.
        return before.contains { $0.end > span.start } ? 0 : max(0, span.start - last)
    }

    // MARK: Shared work

    private mutating func findSharing(_ reader: LogReader) throws {
        waitsFor = try sharing("waits_for", with: "works_for", reader)
        waitedFor = try sharing("works_for", with: "waits_for", reader)
    }

    /// Finds the requests that have the other part in work that this one names under a key.
    private func sharing(_ key: String, with otherKey: String, _ reader: LogReader) throws -> [Sharing] {
        var found: [Sharing] = []
        for work in Set(lines.compactMap { $0.object[key]?.string }).sorted().prefix(20) {
            var query = LogQuery()
            query.rawTexts = ["\"\(otherKey)\":\(JSON.string(work).text)"]
            // Work of an hour before or after is other work on the same address.
            query.since = Timestamp(microseconds: start - 3_600_000_000)
            query.until = Timestamp(microseconds: end + 3_600_000_000)
            let own = correlationID.description
            let ids = try reader.all(query, limit: 200).compactMap {
                (try? JSON(parsing: $0.line))?["correlation_id"]?.string
            }
            let others = Set(ids).subtracting([own]).sorted()
            if !others.isEmpty { found.append(Sharing(work: work, requests: others)) }
        }
        return found
    }
}

extension RequestTrace {
    /// The request as one JSON object.
    var json: JSON {
        .object([
            "correlation_id": .string(correlationID.description), "trace_id": .string(traceID),
            "start": .string(Timestamp(microseconds: start).description),
            "duration_ns": .integer(SpanTime.nanoseconds(end - start)),
            "first_error": firstError.map { error in
                ["time": .string(Timestamp(microseconds: error.time).description), "text": .string(error.text)]
            },
            "waits_for": RequestTrace.json(waitsFor), "waited_for": RequestTrace.json(waitedFor),
            "missing_spans": missingSpans > 0 ? .integer(Int64(missingSpans)) : nil,
            "more_lines": isCut ? true : nil, "items": .array(items.map(\.json)),
        ])
    }

    /// Tells people how much there is: `12 spans, 1 line`.
    var size: String {
        "\(spans.count) \(spans.count == 1 ? "span" : "spans"), \(lines.count) \(lines.count == 1 ? "line" : "lines")"
    }

    /// Tells people what is not shown; nil if all is.
    var gaps: String? {
        var parts: [String] = []
        if missingSpans > 0 {
            parts.append(
                "\(missingSpans) \(missingSpans == 1 ? "span that another names is" : "spans that others name are") not in the store: "
                    + "too old and removed, not finished yet, or of a program that writes no spans here")
        }
        if isCut { parts.append("only the first \(spans.count + lines.count) lines and spans are shown") }
        return parts.isEmpty ? nil : parts.joined(separator: "; ")
    }

    private static func json(_ sharings: [Sharing]) -> JSON? {
        guard !sharings.isEmpty else { return nil }
        return .array(
            sharings.map { ["work": .string($0.work), "requests": .array($0.requests.map { .string($0) })] })
    }
}

extension RequestTrace.Item {
    fileprivate var json: JSON {
        switch content {
        case .line(let line): .object(["depth": .integer(Int64(depth)), "log": .object(line.object)])
        case .span(let span, let wait):
            .object([
                "depth": .integer(Int64(depth)), "span_id": .string(span.id),
                "parent_id": span.parent.map { .string($0) },
                "tool": .string(span.tool), "pid": span.process.map { .integer($0) }, "name": .string(span.name),
                "operation": .string(span.operation), "event_type": .string(span.eventType),
                "event_id": span.eventID.map { .string($0) }, "queue": span.queue.map { .string($0) },
                "start": .string(Timestamp(microseconds: span.start).description),
                "duration_ns": .integer(span.nanoseconds), "waited_ns": .integer(SpanTime.nanoseconds(wait)),
                "outcome": .string(span.outcome), "attempt": .integer(span.attempt),
                "error": span.error.map { .string($0) },
            ])
        }
    }
}
