import Envelope
import Logging
import Tracing

/// A line in the log for each event.
final class EventLog: Middleware {
    private let name: String
    private let level: Logger.Level
    private let log: Logger

    init(name: String, level: Logger.Level, log: Logger) { (self.name, self.level, self.log) = (name, level, log) }

    func judge(_ events: [PassingEvent]) -> [Verdict] {
        for event in events {
            let envelope = event.envelope
            Tracer.correlating(with: envelope) {
                log.log(
                    level: level, "\(name): \(envelope.type)",
                    metadata: [
                        "id": "\(envelope.id)", "type": "\(envelope.type)",
                        "version": .stringConvertible(envelope.version),
                        "size_bytes": .stringConvertible(event.line.count),
                    ])
            }
        }
        return events.map { _ in .pass }
    }
}
