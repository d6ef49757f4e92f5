package import JSON

/// Identifies the request that the current task works on.
///
/// It is task-local, so that log lines, Redis keys and derived envelopes of a handler carry it without a parameter.
package struct Correlation: Sendable {
    package let correlationID: EventID
    /// The id of the event being handled, if there is one; derived events name it as their cause.
    package let causationID: EventID?
    package let meta: JSONObject
    /// The span of the work on the event; nil while nothing is traced.
    package let trace: TraceContext?

    @TaskLocal private static var taskLocal: Correlation?

    /// The correlation of the current task; nil outside a handler.
    package static var current: Correlation? { taskLocal }

    /// Runs a body within a correlation. Only `Tracer` in the module Tracing calls it, and tests.
    package static func withCurrent<Result>(
        _ correlation: Correlation?, operation body: () throws -> Result
    ) rethrows -> Result {
        try $taskLocal.withValue(correlation, operation: body)
    }

    /// Runs an asynchronous body within a correlation. Only `Tracer` in the module Tracing calls it, and tests.
    package static func withCurrent<Result>(
        _ correlation: Correlation?, isolation: isolated (any Actor)? = #isolation,
        operation body: () async throws -> Result
    ) async rethrows -> Result {
        try await $taskLocal.withValue(correlation, operation: body, isolation: isolation)
    }

    /// - Parameter trace: the span of the work on the event, which derived events name in `meta.traceparent`.
    package init(_ envelope: Envelope, trace: TraceContext? = nil) {
        self.trace = trace
        correlationID = envelope.correlationID
        causationID = envelope.id
        meta = envelope.meta
    }

    /// Creates the correlation of work that no event asked for, so that derived events name no cause, or of work on an event of which no
    /// more than its ids was read.
    package init(correlationID: EventID, causationID: EventID? = nil) {
        self.correlationID = correlationID
        self.causationID = causationID
        meta = [:]
        trace = nil
    }

    private init(_ other: Correlation, trace: TraceContext) {
        (correlationID, causationID, meta) = (other.correlationID, other.causationID, other.meta)
        self.trace = trace
    }

    /// Returns the same correlation within a span.
    package func within(_ trace: TraceContext) -> Correlation { Correlation(self, trace: trace) }

    /// The `meta` of derived events.
    package var derivedMeta: JSONObject {
        guard let trace else { return meta }
        var meta = meta
        meta[TraceContext.key] = .string(trace.traceparent)
        return meta
    }
}

extension EventID {
    /// Returns a line with this id as its `correlation_id`, and otherwise with the same bytes.
    ///
    /// - Parameter line: a JSON object that is not empty and has no such member.
    package func stamped(on line: UnsafeRawBufferPointer) -> [UInt8] {
        let start = (line.firstIndex(of: UInt8(ascii: "{")) ?? -1) + 1
        let member = "\"correlation_id\":\"\(description)\","
        var stamped: [UInt8] = []
        stamped.reserveCapacity(line.count + member.utf8.count)
        stamped += line[..<start]
        stamped += member.utf8
        stamped += line[start...]
        return stamped
    }
}
