import Glibc
import JSON
import LogStore
import System

/// Shows lines of the log to people: the time, the tool in a colour of its own, the level, the message and the further values.
struct LineView {
    let usesColors: Bool
    private static let colors = [32, 33, 34, 35, 36, 92, 93, 94, 95, 96]
    /// - Parameter descriptor: the terminal; colours are used if it is one and `NO_COLOR` is not set.
    init(for descriptor: Int32) {
        usesColors = isatty(descriptor) == 1 && Settings.environment("NO_COLOR") == nil
    }

    init(usesColors: Bool) { self.usesColors = usesColors }

    /// Returns one line without a line feed and without other control characters than colours.
    ///
    /// - Parameter showsCorrelation: whether the beginning of the correlation id stands at the end.
    func text(_ stored: StoredLine, showsCorrelation: Bool = true) -> String {
        let object = (try? JSON(parsing: stored.line))?.object ?? [:]
        let tool = (object["tool"]?.string ?? "?").printable
        let time = LineView.clock(stored.time)
        if stored.isSpan { return "\(dim(time)) \(colored(tool)) \(LineView.spanText(object))" }
        var text = "\(dim(time)) \(colored(tool)) \(level(object["level"]?.string ?? ""))"
        text += (object["message"]?.string ?? "").printable
        var notes = LineView.furtherValues(of: object).map { "\($0.key.printable)=\($0.value.printable)" }
        if showsCorrelation, let id = object["correlation_id"]?.string { notes.append("correlation=\(id.printable)") }
        if !notes.isEmpty { text += " " + dim("(\(notes.joined(separator: " ")))") }
        return text
    }

    /// Returns what a line of the log holds beside its own fields.
    static func furtherValues(of line: JSONObject) -> [(key: String, value: String)] {
        line.members.filter { !ownFields.contains($0.key) }.map { ($0.key, $0.value.string ?? $0.value.text) }
    }

    private static let ownFields: Set<String> = [
        "time", "level", "tool", "correlation_id", "message", "span_id", "metadata_span_id",
    ]

    static func spanText(_ span: JSONObject) -> String {
        let duration = span["duration_ns"]?.int ?? 0
        let subject = span["queue"]?.string ?? span["event_type"]?.string ?? ""
        var text = "\(span["operation"]?.string ?? "span") \(subject) \(SpanTime.text(nanoseconds: duration))"
        if let outcome = span["outcome"]?.string, outcome != "done" { text += " \(outcome)" }
        if let error = span["error"]?.string { text += ": \(error)" }
        return text.printable
    }

    /// Returns a time of the local day, with milliseconds.
    static func clock(_ microseconds: Int64) -> String {
        var seconds = time_t(microseconds / 1_000_000)
        var parts = tm()
        localtime_r(&seconds, &parts)
        func digits(_ number: Int32, _ count: Int) -> String {
            let text = String(number)
            return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
        }
        let milliseconds = Int32(truncatingIfNeeded: microseconds % 1_000_000 / 1000)
        return
            "\(digits(parts.tm_mon + 1, 2))-\(digits(parts.tm_mday, 2)) \(digits(parts.tm_hour, 2)):\(digits(parts.tm_min, 2))"
            + ":\(digits(parts.tm_sec, 2)).\(digits(abs(milliseconds), 3))"
    }

    private func level(_ name: String) -> String {
        guard let level = LogLevel(name: name), level != .info else { return "" }
        let text = "\(level.name): "
        guard usesColors, level >= .warning else { return text }
        return "\u{1B}[\(level == .warning ? 33 : 31)m\(text)\u{1B}[0m"
    }

    private func dim(_ text: String) -> String { usesColors ? "\u{1B}[2m\(text)\u{1B}[0m" : text }

    /// Returns a tool's name, padded, in the colour that belongs to the name.
    func colored(_ tool: String) -> String {
        let padded = tool + String(repeating: " ", count: max(0, 11 - tool.count))
        guard usesColors else { return padded }
        let number = tool.utf8.reduce(UInt32(2_166_136_261)) { ($0 ^ UInt32($1)) &* 16_777_619 }
        return "\u{1B}[\(LineView.colors[Int(number >> 8) % LineView.colors.count])m\(padded)\u{1B}[0m"
    }
}

/// Writes short times for people.
enum SpanTime {
    /// Returns nanoseconds; what is longer than 292 years counts as that.
    static func nanoseconds(_ microseconds: Int64) -> Int64 {
        let (product, overflow) = microseconds.multipliedReportingOverflow(by: 1000)
        return overflow ? (microseconds < 0 ? .min : .max) : product
    }

    static func text(microseconds: Int64) -> String { text(nanoseconds: nanoseconds(microseconds)) }

    /// Returns a time with three digits: `12.3 ms`.
    static func text(nanoseconds: Int64) -> String {
        let value = Double(nanoseconds)
        switch value {
        case ..<1_000: return "\(nanoseconds) ns"
        case ..<999_500: return "\(digits(value / 1e3)) µs"
        case ..<999_500_000: return "\(digits(value / 1e6)) ms"
        case ..<119_500_000_000: return "\(digits(value / 1e9)) s"
        default: return Duration.seconds(Int64((value / 1e9).rounded())).spanText
        }
    }

    private static func digits(_ value: Double) -> String {
        let places: Double = value < 9.995 ? 100 : value < 99.95 ? 10 : 1
        let rounded = (value * places).rounded() / places
        return places == 1 ? String(Int(rounded)) : "\(rounded)"
    }
}
