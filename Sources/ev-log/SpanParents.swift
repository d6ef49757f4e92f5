import Envelope
import JSON
import LogStore

/// Names the parents of spans that name none, as `ev-log trace` shows them: programs that hand on no `traceparent` would
/// otherwise make traces of several pieces.
struct SpanParents {
    /// Longer requests are not worth the time.
    private static let mostLines = 2000

    private let reader: LogReader
    private var known: [String: [String: String]] = [:]

    init(_ folder: StoreFolder) { reader = LogReader(folder) }

    /// Returns spans with the parents that the store knows by now.
    mutating func completed(_ lines: [JSONObject]) throws -> [JSONObject] {
        // What is stored later may name other parents.
        known = [:]
        return try lines.map { line in
            guard line["level"] == nil, line["parent_id"] == nil, line["operation"]?.string != "create",
                let id = line["span_id"]?.string, let correlation = line["correlation_id"]?.string,
                let parent = try parents(correlation)[id]
            else { return line }
            var line = line
            line["parent_id"] = .string(parent)
            return line
        }
    }

    private mutating func parents(_ correlation: String) throws -> [String: String] {
        if let found = known[correlation] { return found }
        var query = LogQuery()
        (query.kind, query.correlation) = (.spans, CorrelationPrefix(correlation))
        var found: [String: String] = [:]
        if let id = EventID(correlation) {
            let stored = try reader.all(query, limit: SpanParents.mostLines)
            found = RequestTrace(id, stored)?.parentIDs ?? [:]
        }
        known[correlation] = found
        return found
    }
}
