import ArgumentParser
package import Envelope
import JSON

/// Represents a duration argument: `90s`, `15m`, `1h30m`, `30d`, `500ms`.
package struct Span: ExpressibleByArgument, Sendable, CustomStringConvertible {
    package let duration: Duration

    package init(_ duration: Duration) { self.duration = duration }

    package init?(argument: String) {
        guard let duration = Duration(spanText: argument) else { return nil }
        self.duration = duration
    }

    package var description: String { duration.spanText }
    package var defaultValueDescription: String { description }
}

/// Represents a size argument: `512`, `64K`, `50M`, `2G` (powers of 1024).
package struct ByteSize: ExpressibleByArgument, Sendable, CustomStringConvertible {
    package let bytes: Int64

    package init(_ bytes: Int64) { self.bytes = bytes }

    package init?(argument: String) {
        let units: [Character: Int64] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40]
        var digits = argument.uppercased()[...]
        if digits.last == "B" { digits.removeLast() }
        if digits.hasSuffix("I") { digits.removeLast() }
        var unit: Int64 = 1
        if let last = digits.last, let known = units[last] {
            unit = known
            digits.removeLast()
        }
        guard let count = Int64(digits), count >= 0 else { return nil }
        let (bytes, overflow) = count.multipliedReportingOverflow(by: unit)
        guard !overflow else { return nil }
        self.bytes = bytes
    }

    package var description: String {
        for (shift, unit) in [(30, "G"), (20, "M"), (10, "K")] where bytes > 0 && bytes % (1 << shift) == 0 {
            return "\(bytes >> shift)\(unit)"
        }
        return "\(bytes)"
    }
    package var defaultValueDescription: String { description }
}

extension TopicPattern: ExpressibleByArgument {
    package init?(argument: String) { self.init(argument) }
}
