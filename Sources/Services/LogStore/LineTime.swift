import JSON

/// Reads the times of log lines.
package enum LineTime {
    private static let written = 27

    /// Reads an RFC 3339 time as microseconds since 1970. The form that tgpipe writes (`2026-01-31T12:00:00.000000Z`) takes a
    /// hundredth of the time of any other.
    package static func microseconds(_ text: UnsafeRawBufferPointer) -> Int64? {
        plain(text) ?? Timestamp(String(decoding: text, as: UTF8.self))?.microseconds
    }

    private static func plain(_ text: UnsafeRawBufferPointer) -> Int64? {
        guard text.count == written, text[10] == UInt8(ascii: "T"), text[19] == UInt8(ascii: "."),
            text[26] == UInt8(ascii: "Z"), text[4] == UInt8(ascii: "-"), text[7] == UInt8(ascii: "-"),
            text[13] == UInt8(ascii: ":"), text[16] == UInt8(ascii: ":"),
            let year = number(text, 0, 4), let month = number(text, 5, 2), let day = number(text, 8, 2),
            let hour = number(text, 11, 2), let minute = number(text, 14, 2), let second = number(text, 17, 2),
            let fraction = number(text, 20, 6), year >= 1970, (1...12).contains(month),
            (1...days(ofMonth: month, year)).contains(day), hour < 24, minute < 60, second < 60
        else { return nil }
        return (days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second) * 1_000_000 + fraction
    }

    private static func days(ofMonth month: Int64, _ year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    private static func number(_ text: UnsafeRawBufferPointer, _ start: Int, _ count: Int) -> Int64? {
        var number: Int64 = 0
        for index in start..<start + count {
            let digit = text[index] &- UInt8(ascii: "0")
            guard digit < 10 else { return nil }
            number = number * 10 + Int64(digit)
        }
        return number
    }

    /// Returns the days from 1970 to a date of the Gregorian calendar; years begin in March.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month > 2 ? year : year - 1
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
    }

    /// Reads a number of seconds, milliseconds, microseconds or nanoseconds since 1970; its size tells the unit.
    package static func microseconds(number: Double) -> Int64? {
        guard number.isFinite, number >= 0 else { return nil }
        let microseconds: Double =
            switch number {
            case ..<1e11: number * 1e6
            case ..<1e14: number * 1e3
            case ..<1e17: number
            default: number / 1e3
            }
        return microseconds < 253_402_300_800e6 ? Int64(microseconds) : nil
    }
}
