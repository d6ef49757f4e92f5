import CSimdJSON
import Glibc
import System

/// Stores a time in UTC as whole microseconds since 1970, and writes it as RFC 3339 with six decimals.
///
/// The library's `Date.ISO8601FormatStyle` does not replace this: it writes three decimals, accepts 30 February and text after
/// the time, and takes two to three times as long to parse.
package struct Timestamp: Sendable, Hashable, Comparable, CustomStringConvertible {
    package let microseconds: Int64

    package init(microseconds: Int64) { self.microseconds = microseconds }

    /// Makes a time between 1970 and the year 9999; a number outside counts as the nearest of them.
    package init(milliseconds: Int64) { microseconds = min(max(0, milliseconds), 253_402_300_799_999) * 1000 }

    package init(seconds: Double) { microseconds = Int64((seconds * 1_000_000).rounded()) }

    package static var now: Timestamp {
        Timestamp(microseconds: SystemClocks.realtimeNanoseconds / 1000)
    }

    package static func < (left: Timestamp, right: Timestamp) -> Bool { left.microseconds < right.microseconds }

    package static func + (time: Timestamp, duration: Duration) -> Timestamp {
        let (seconds, attoseconds) = duration.components
        return Timestamp(microseconds: time.microseconds + seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
    }

    /// Returns the time from `earlier` to this time; negative if the clock was set back.
    package func elapsed(since earlier: Timestamp) -> Duration { .microseconds(microseconds - earlier.microseconds) }

    package var description: String { Timestamp.usualTimes.contains(microseconds) ? usualDescription : rareDescription }

    /// The times between 1970 and the year 9999, whose text has 27 bytes.
    private static let usualTimes = 0..<Int64(253_402_300_800_000_000)

    /// The text of one of the usual times, which every new event gets: the system's functions take several times as long.
    private var usualDescription: String {
        let (seconds, fraction) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        let (day, second) = seconds.quotientAndRemainder(dividingBy: 86_400)
        let (year, month, dayOfMonth) = Timestamp.date(ofDay: day)
        return String(unsafeUninitializedCapacity: 27) { text in
            func put(_ number: Int64, at end: Int, digits: Int, then mark: Unicode.Scalar) {
                var rest = number
                for place in stride(from: end - 1, to: end - 1 - digits, by: -1) {
                    text[place] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
                    rest /= 10
                }
                text[end] = UInt8(ascii: mark)
            }
            put(year, at: 4, digits: 4, then: "-")
            put(month, at: 7, digits: 2, then: "-")
            put(dayOfMonth, at: 10, digits: 2, then: "T")
            put(second / 3600, at: 13, digits: 2, then: ":")
            put(second / 60 % 60, at: 16, digits: 2, then: ":")
            put(second % 60, at: 19, digits: 2, then: ".")
            put(fraction, at: 26, digits: 6, then: "Z")
            return 27
        }
    }

    /// Returns the date of a day that is not before 1970, by its distance from the first day of that year.
    ///
    /// The years begin on 1 March here, so that a leap day is the last one of its year.
    private static func date(ofDay day: Int64) -> (year: Int64, month: Int64, day: Int64) {
        // 719,468 days lie between 1 March of the year 0 and 1970, and 146,097 days in 400 years.
        let (era, dayOfEra) = (day + 719_468).quotientAndRemainder(dividingBy: 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        // Five months in a row, from March and from August on, have 153 days.
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (
            era * 400 + yearOfEra + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        )
    }

    private var rareDescription: String {
        var seconds = time_t(microseconds.quotientFloored(by: 1_000_000))
        let fraction = microseconds - Int64(seconds) * 1_000_000
        var parts = tm()
        gmtime_r(&seconds, &parts)
        return
            "\(digits(Int(parts.tm_year) + 1900, 4))-\(digits(Int(parts.tm_mon) + 1, 2))-\(digits(Int(parts.tm_mday), 2))"
            + "T\(digits(Int(parts.tm_hour), 2)):\(digits(Int(parts.tm_min), 2)):\(digits(Int(parts.tm_sec), 2))"
            + ".\(digits(Int(fraction), 6))Z"
    }

    /// Returns whether a text is an RFC 3339 time, with any offset and any number of decimals.
    package static func isWellFormed(_ text: some StringProtocol) -> Bool {
        let found = text.utf8.withContiguousStorageIfAvailable { bytes in
            bytes.withMemoryRebound(to: CChar.self) { tgp_is_time($0.baseAddress, $0.count) }
        }
        return found ?? isWellFormed(String(decoding: Array(text.utf8), as: UTF8.self))
    }

    /// Parses an RFC 3339 time, with any offset. Fractions of a microsecond are cut off.
    package init?(_ text: some StringProtocol) {
        guard Timestamp.isWellFormed(text) else { return nil }
        let digits = WellFormedTime(text)
        var parts = tm()
        parts.tm_year = Int32(digits.number(at: 0, 4) - 1900)
        parts.tm_mon = Int32(digits.number(at: 5, 2) - 1)
        parts.tm_mday = Int32(digits.number(at: 8, 2))
        parts.tm_hour = Int32(digits.number(at: 11, 2))
        parts.tm_min = Int32(digits.number(at: 14, 2))
        parts.tm_sec = Int32(digits.number(at: 17, 2))
        let seconds = Int64(timegm(&parts)) - Int64(digits.offsetMinutes) * 60
        microseconds = seconds * 1_000_000 + Int64(digits.microseconds)
    }
}

private func digits(_ value: Int, _ width: Int) -> String {
    let text = String(value)
    return String(repeating: "0", count: max(0, width - text.count)) + text
}

extension Int64 {
    fileprivate func quotientFloored(by divisor: Int64) -> Int64 {
        let (quotient, remainder) = quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? quotient - 1 : quotient
    }
}

/// Reads the parts of a text that is known to be an RFC 3339 time.
private struct WellFormedTime {
    /// The index at which the fraction begins, or else the offset.
    private static let secondsEnd = 19
    private let bytes: [UInt8]
    private let offset: Int

    init(_ text: some StringProtocol) {
        bytes = Array(text.utf8)
        let marks: [UInt8] = Array("Zz+-".utf8)
        offset = bytes[WellFormedTime.secondsEnd...].firstIndex { marks.contains($0) } ?? bytes.count
    }

    func number(at start: Int, _ width: Int) -> Int {
        bytes[start..<start + width].reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
    }

    var microseconds: Int {
        let count = min(max(0, offset - WellFormedTime.secondsEnd - 1), 6)
        return (count..<6).reduce(number(at: WellFormedTime.secondsEnd + 1, count)) { value, _ in value * 10 }
    }

    var offsetMinutes: Int {
        guard bytes.count - offset == 6 else { return 0 }
        let minutes = number(at: offset + 1, 2) * 60 + number(at: offset + 4, 2)
        return bytes[offset] == UInt8(ascii: "-") ? -minutes : minutes
    }
}
