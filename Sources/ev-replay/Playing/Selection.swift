import ArgumentParser
import Envelope
import JSON
import Options

/// Selects events of a recording.
struct Selection: Sendable {
    var correlations: [CorrelationPrefix] = []
    var types: [TopicPattern] = []
    var edges: Set<String> = []
    var from: Moment?
    var until: Moment?

    /// - Parameter start: the time of the recording's first event.
    func includes(_ event: RecordedEvent, start: Timestamp?) -> Bool {
        if !types.isEmpty, !types.contains(where: { $0.matches(event.type) }) { return false }
        if !correlations.isEmpty, !correlations.contains(where: { event.correlationID.hasPrefix($0.text) }) {
            return false
        }
        if !edges.isEmpty, !(event.edge.map(edges.contains) ?? false) { return false }
        guard from != nil || until != nil else { return true }
        // An event without a time lies in no span of time.
        guard let time = event.time, let start else { return false }
        if let from, time < from.time(start: start) { return false }
        if let until, time >= until.time(start: start) { return false }
        return true
    }
}

/// Represents the beginning of a correlation id.
struct CorrelationPrefix: ExpressibleByArgument, Sendable {
    let text: String

    init?(argument: String) {
        text = argument.lowercased()
        guard (4...36).contains(text.utf8.count), text.allSatisfy({ $0 == "-" || ($0.isASCII && $0.isHexDigit) }) else {
            return nil
        }
    }
}

/// Represents a moment of a recording: a time, or a span since its first event.
enum Moment: ExpressibleByArgument, Sendable {
    case at(Timestamp)
    case afterStart(Duration)

    init?(argument: String) {
        if let time = Timestamp(argument) {
            self = .at(time)
        } else if let span = Span(argument: argument) {
            self = .afterStart(span.duration)
        } else {
            return nil
        }
    }

    func time(start: Timestamp) -> Timestamp {
        switch self {
        case .at(let time): time
        case .afterStart(let span): start + span
        }
    }
}

/// Represents the speed of a replay: `max`, or a factor.
enum ReplaySpeed: ExpressibleByArgument, Sendable, CustomStringConvertible {
    case factor(Double)
    case max

    private static let allowed = 0.001...1_000_000.0

    init?(argument: String) {
        if argument == "max" {
            self = .max
        } else if let factor = Double(argument), ReplaySpeed.allowed.contains(factor) {
            self = .factor(factor)
        } else {
            return nil
        }
    }

    var factor: Double? { if case .factor(let factor) = self { factor } else { nil } }

    var description: String {
        switch self {
        case .factor(let factor): JSON.number(factor).int.map(String.init) ?? "\(factor)"
        case .max: "max"
        }
    }

    var defaultValueDescription: String { description }
}
