package import JSON

/// Identifies the request that the current task works on.
///
/// It is task-local, so that log lines, Redis keys and derived envelopes of a handler carry it without a parameter.
package struct Correlation: Sendable {
    package let correlationID: EventID
    /// The id of the event being handled, if there is one; derived events name it as their cause.
    package let causationID: EventID?
    package let meta: JSONObject

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

    package init(_ envelope: Envelope) {
        correlationID = envelope.correlationID
        causationID = envelope.id
        meta = envelope.meta
    }

    /// Creates the correlation of work that no event asked for: derived events name no cause.
    package init(correlationID: EventID) {
        self.correlationID = correlationID
        causationID = nil
        meta = [:]
    }
}
