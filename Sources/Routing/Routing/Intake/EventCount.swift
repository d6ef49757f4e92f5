import Envelope
import JSON
import Logging

/// Counts events by type, and tells of it now and then, and at the end.
final class EventCount: Middleware {
    /// Types come from outside: the others are counted together.
    private static let mostTypes = 100
    private static let otherTypes = "(others)"

    private let name: String
    private let interval: Duration
    private let log: Logger
    private var counts: [String: Int] = [:]
    private var total = 0
    private var told = 0
    private var toldAt = ContinuousClock.now

    init(name: String, interval: Duration, log: Logger) {
        (self.name, self.interval, self.log) = (name, interval, log)
    }

    func judge(_ events: [PassingEvent]) -> [Verdict] {
        for event in events {
            let type = event.envelope.type
            let isKnown = counts[type] != nil || counts.count < EventCount.mostTypes
            counts[isKnown ? type : EventCount.otherTypes, default: 0] += 1
        }
        total += events.count
        if toldAt.duration(to: .now) >= interval { tell() }
        return events.map { _ in .pass }
    }

    func finish() { tell() }

    private func tell() {
        let seconds = max(0.001, toldAt.duration(to: .now).seconds)
        let rate = Double(total - told) / seconds
        var metadata: Logger.Metadata = [
            "count": "\(name)", "events": "\(total)", "events_per_second": "\((rate * 10).rounded() / 10)",
        ]
        for (type, count) in counts { metadata["type.\(type)"] = "\(count)" }
        log.info("\(name): \(total) events", metadata: metadata)
        (told, toldAt) = (total, .now)
    }
}
