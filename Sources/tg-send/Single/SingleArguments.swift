import ArgumentParser
import Glibc
import Options
import Payloads
import Synchronization
import System

/// The path of a file, and its place among the files of the command line.
///
/// The parser collects the values of each option separately, but an album has the order in which all were given.
struct FileArgument: ExpressibleByArgument, Sendable {
    private static let count = Atomic(0)

    let path: String
    let place: Int

    init?(argument: String) {
        guard !argument.isEmpty else { return nil }
        path = argument
        place = FileArgument.count.add(1, ordering: .relaxed).newValue
    }
}

/// A button that opens a link, as an argument: `Text=https://example.org`.
struct ButtonArgument: ExpressibleByArgument, Sendable {
    let button: MessageOptions.Button

    init?(argument: String) {
        // A text may contain the sign; a link begins behind the last one that a scheme follows.
        guard
            let sign = ["=https://", "=http://", "=tg://"].compactMap({ argument.firstRange(of: $0)?.lowerBound })
                .min(),
            sign > argument.startIndex
        else { return nil }
        let (text, url) = (argument[..<sign], argument[argument.index(after: sign)...])
        guard text.contains(where: { !$0.isWhitespace }), !url.hasSuffix("://") else { return nil }
        button = MessageOptions.Button(
            String(text), url: String(url))
    }
}

/// A time in the future, as an argument: a span of time from now, a time of day, or a date and time of this machine.
struct ScheduledTime: ExpressibleByArgument, Sendable {
    let unixSeconds: Int64

    /// Telegram accepts no later time.
    private static let farthestSeconds: Int64 = 365 * 24 * 3600

    init?(argument: String) {
        let now = time(nil)
        self.init(argument, now: now)
        guard unixSeconds - Int64(now) <= ScheduledTime.farthestSeconds else { return nil }
    }

    init?(_ text: String, now: time_t) {
        if let span = Span(argument: text) {
            let (sum, isTooFar) = Int64(now).addingReportingOverflow(span.duration.components.seconds)
            guard !isTooFar, span.duration > .zero else { return nil }
            unixSeconds = sum
            return
        }
        guard let seconds = ScheduledTime.local(text, now), seconds > now else { return nil }
        unixSeconds = Int64(seconds)
    }

    /// Reads `18:30`, or `2027-01-31T18:30` with an optional time of day in seconds, as a time of this machine. A time of day alone is
    /// the next such time.
    private static func local(_ text: String, _ now: time_t) -> time_t? {
        let parts = text.split(whereSeparator: { $0 == "T" || $0 == " " })
        guard let clock = parts.last.flatMap({ numbers($0, ":") }), (2...3).contains(clock.count), clock[0] < 24,
            clock.dropFirst().allSatisfy({ $0 < 60 })
        else { return nil }
        var (then, fields) = (now, tm())
        localtime_r(&then, &fields)
        (fields.tm_hour, fields.tm_min, fields.tm_sec) = (clock[0], clock[1], clock.count == 3 ? clock[2] : 0)
        fields.tm_isdst = -1
        if parts.count == 1 {
            var today = fields
            if mktime(&today) <= now { fields.tm_mday += 1 }
            return mktime(&fields)
        }
        guard parts.count == 2, let date = numbers(parts[0], "-"), date.count == 3, (1970...9999).contains(date[0]),
            (1...12).contains(date[1]), (1...31).contains(date[2])
        else { return nil }
        (fields.tm_year, fields.tm_mon, fields.tm_mday) = (date[0] - 1900, date[1] - 1, date[2])
        let seconds = mktime(&fields)
        // The 31st of a shorter month would become a day of the next one.
        return fields.tm_mday == date[2] ? seconds : nil
    }

    private static func numbers(_ text: Substring, _ separator: Character) -> [Int32]? {
        let parts = text.split(separator: separator, omittingEmptySubsequences: false)
        let numbers = parts.compactMap { part in part.allSatisfy(\.isNumber) ? Int32(part) : nil }
        return numbers.count == parts.count ? numbers : nil
    }
}
