package import JSON

/// What is being worked on: task-local, so that log lines, Redis keys and derived envelopes carry it without being handed it.
package struct Correlation: Sendable {
    package let correlationID: EventID
    /// The event being handled, if there is one; what is derived from it names it as its cause.
    package let causationID: EventID?
    package let meta: JSONObject

    @TaskLocal package static var current: Correlation?

    package init(_ envelope: Envelope) {
        correlationID = envelope.correlationID
        causationID = envelope.id
        meta = envelope.meta
    }

    /// Of work that nobody sent an event for: what is derived from it names no cause.
    package init(correlationID: EventID) {
        self.correlationID = correlationID
        causationID = nil
        meta = [:]
    }
}
