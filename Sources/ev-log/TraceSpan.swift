import JSON
import LogStore

/// One span of a request, as the store has it.
struct TraceSpan {
    let id: String
    let parent: String?
    let tool: String
    let process: Int64?
    let operation: String
    let eventType: String
    let eventID: String?
    let causationID: String?
    let queue: String?
    /// Microseconds since 1970.
    let start: Int64
    let nanoseconds: Int64
    let outcome: String
    let attempt: Int64
    let error: String?
    let traceID: String?
    let isSampled: Bool

    var end: Int64 { start + nanoseconds / 1000 }
    var isFailure: Bool { HandlingWords.isFailure(outcome) }
    /// The name of the operation and what it is on, as OpenTelemetry's conventions for messaging have it.
    var name: String { "\(operation) \(queue ?? eventType)" }

    init?(_ stored: StoredLine) {
        guard stored.isSpan, let object = (try? JSON(parsing: stored.line))?.object,
            let id = object["span_id"]?.string, let tool = object["tool"]?.string
        else { return nil }
        (self.id, self.tool, start) = (id, tool, stored.time)
        parent = object["parent_id"]?.string
        process = object["pid"]?.int
        operation = object["operation"]?.string ?? "process"
        eventType = object["event_type"]?.string ?? ""
        eventID = object["event_id"]?.string
        causationID = object["causation_id"]?.string
        queue = object["queue"]?.string
        // A year is longer than any work, and keeps sums from overflowing.
        nanoseconds = min(max(0, object["duration_ns"]?.int ?? 0), 31_536_000_000_000_000)
        outcome = object["outcome"]?.string ?? "done"
        attempt = object["attempt"]?.int ?? 1
        error = object["error"]?.string
        traceID = object["trace_id"]?.string
        isSampled = object["sampled"]?.bool ?? true
    }
}

/// The outcomes of spans, as the store has them.
enum HandlingWords {
    static let held = "held"

    static func isFailure(_ outcome: String) -> Bool { ["failed", "refused"].contains(outcome) }
}

/// One line of the log of a request.
struct TraceLine {
    let stored: StoredLine
    let object: JSONObject
    var time: Int64 { stored.time }
    var isError: Bool { stored.level >= LogLevel.error.rawValue }
    var message: String { object["message"]?.string ?? "" }
    var tool: String { object["tool"]?.string ?? "?" }
    var level: String { object["level"]?.string ?? "" }

    init(_ stored: StoredLine) {
        self.stored = stored
        object = (try? JSON(parsing: stored.line))?.object ?? [:]
    }
}
