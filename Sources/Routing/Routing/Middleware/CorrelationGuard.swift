import Envelope
import JSON

/// Refuses events whose place in a chain of events cannot be right. That a correlation id is there is known before.
final class CorrelationGuard: Middleware {
    func judge(_ events: [PassingEvent]) -> [Verdict] { events.map(judge) }

    private func judge(_ event: PassingEvent) -> Verdict {
        let envelope = event.envelope
        if envelope.correlationID.description == "00000000-0000-0000-0000-000000000000" {
            return .refuse(MalformedInput(.invalidCorrelationID, "correlation_id is the nil UUID"))
        }
        // Each stage would fill in another one, and nothing could name it as its cause.
        if !event.hasID { return .refuse(MalformedInput(.invalidField, "no id")) }
        if envelope.causationID == envelope.id {
            return .refuse(MalformedInput(.invalidField, "causation_id is the event's own id"))
        }
        return .pass
    }
}
