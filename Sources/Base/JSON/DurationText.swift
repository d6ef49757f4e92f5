extension Duration {
    private static let units: [(name: String, milliseconds: Int64)] = [
        ("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1),
    ]

    /// Parses a span such as `30d`, `1h30m`, `45s` or `500ms`: whole numbers, each with one of the units w, d, h, m, s and ms.
    /// Returns nil for other text, for zero, and for more than a hundred years.
    package init?(spanText text: some StringProtocol) {
        var rest = text.lowercased()[...]
        var total: Int64 = 0
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            let name = rest.prefix { $0.isASCII && $0.isLetter }
            rest = rest.dropFirst(name.count)
            guard digits.count <= 12, let count = Int64(digits),
                let unit = Duration.units.first(where: { $0.name == name })
            else { return nil }
            let (product, overflow) = count.multipliedReportingOverflow(by: unit.milliseconds)
            guard !overflow, product <= 3_155_760_000_000 else { return nil }
            total += product
        }
        guard total > 0, total <= 3_155_760_000_000 else { return nil }
        self = .milliseconds(total)
    }

    /// The shortest exact text that `init(spanText:)` reads, without weeks.
    package var spanText: String {
        var rest = milliseconds
        guard rest > 0 else { return "0s" }
        var text = ""
        // Days are easier to read than weeks.
        for unit in Duration.units.dropFirst() where rest >= unit.milliseconds {
            text += "\(rest / unit.milliseconds)\(unit.name)"
            rest %= unit.milliseconds
        }
        return text
    }

    /// A pause that a server asks for, between nothing and a year: any server may ask for any number of seconds, and a
    /// sleep of Swift's takes no more than a few centuries.
    package static func requestedPause(seconds: Int64) -> Duration { .seconds(min(max(0, seconds), 31_536_000)) }

    /// The whole milliseconds; a fraction is cut off. A span of more than 146 million years counts as one of
    /// `Int64.max / 2` milliseconds, so that a sum with a point in time cannot overflow either.
    package var milliseconds: Int64 {
        let limit = Int64.max / 2
        let (seconds, attoseconds) = components
        guard (-limit / 1000...limit / 1000).contains(seconds) else { return seconds < 0 ? -limit : limit }
        return seconds * 1000 + attoseconds / 1_000_000_000_000_000
    }

    /// The duration in words, in whole seconds: `40 seconds`.
    package var inWords: String {
        let count = max(1, (milliseconds + 500) / 1000)
        return count == 1 ? "1 second" : "\(count) seconds"
    }

    package var seconds: Double { Double(components.seconds) + Double(components.attoseconds) / 1e18 }
}
