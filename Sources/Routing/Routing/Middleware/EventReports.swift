import Envelope
import JSON
import Logging
import Tracing

/// Counts events by type, and logs the counts periodically and at the end.
final class EventCounter: LineMiddleware {
    /// The most types that are counted by name: they come from outside. The others are counted together.
    private static let mostTypes = 100
    private static let otherTypes = "(others)"

    private let name: String
    private let interval: Duration
    private let log: Logger
    private var counts: [String: Int] = [:]
    private var total = 0
    private var reported = 0
    private var reportedAt = ContinuousClock.now

    init(name: String, interval: Duration, log: Logger) {
        (self.name, self.interval, self.log) = (name, interval, log)
    }

    func judge(lines events: [ScannedEvent], into verdicts: inout [Verdict]) {
        var start = 0
        while start < events.count {
            // Events of one type mostly come one after another.
            let type = events[start].type
            var end = start + 1
            while end < events.count, events[end].type == type { end += 1 }
            let isKnown = counts[type] != nil || counts.count < EventCounter.mostTypes
            counts[isKnown ? type : EventCounter.otherTypes, default: 0] += end - start
            start = end
        }
        total += events.count
        if reportedAt.duration(to: .now) >= interval { report() }
        verdicts += repeatElement(.forward, count: events.count)
    }

    func finish() { report() }

    private func report() {
        let seconds = max(0.001, reportedAt.duration(to: .now).seconds)
        let rate = Double(total - reported) / seconds
        var metadata: Logger.Metadata = [
            "count": "\(name)", "events": .stringConvertible(total),
            "events_per_second": .stringConvertible((rate * 10).rounded() / 10),
        ]
        for (type, count) in counts { metadata["type.\(type)"] = .stringConvertible(count) }
        log.info("\(name): \(total) events", metadata: metadata)
        (reported, reportedAt) = (total, .now)
    }
}

/// Writes a log line for each event.
final class EventLog: Middleware {
    private let name: String
    private let level: Logger.Level
    private let log: Logger

    init(name: String, level: Logger.Level, log: Logger) { (self.name, self.level, self.log) = (name, level, log) }

    func judge(_ events: [MiddlewareEvent], into verdicts: inout [Verdict]) {
        for event in events {
            let envelope = event.envelope
            Tracer.correlating(with: envelope) {
                log.log(
                    level: level, "\(name): \(envelope.type)",
                    metadata: [
                        "id": "\(envelope.id)", "type": "\(envelope.type)",
                        "version": .stringConvertible(envelope.version),
                        "size_bytes": .stringConvertible(event.line.range.count),
                    ])
            }
        }
        verdicts += events.map { _ in .forward }
    }
}
