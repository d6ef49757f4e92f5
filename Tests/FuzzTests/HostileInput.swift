import System
import TestSupport

/// Turns valid input into hostile input. The sequence is the same for the same seed.
struct HostileInput {
    private var generator: SeededGenerator

    init(seed: UInt64) { generator = SeededGenerator(seed: seed) }

    /// Numbers at which arithmetic overflows or conversions fail, and texts that parsers treat specially.
    private static let pieces: [[UInt8]] = [
        "0", "-1", "1e308", "1e400", "-0", "00", "NaN", "inf", "0x7fffffffffffffff", "2147483647", "2147483648",
        "-2147483649",
        "4294967296", "9007199254740993", "9223372036854776", "9223372036854775", "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", "1e18", "1e19",
        "-1e19",
        "0.000000000000000000000001", "99999999999999999999999999999999", "null", "true", "\"\"", "[]", "{}",
        "[[[[[[[[", "{\"\":",
        "\\ud83d", "\\udc00", "\\u0000", "\"", "\\", "'", "%", "%00", "%zz", "\u{0}", "\u{1}", "\u{7F}", "\u{202E}",
        "é",
        "\u{FEFF}", ";", ":",
        "=", "@", "//", "..", "\r\n", "\n", "\t", " ", "<", ">", "&#x110000;", "&#55296;", "]]>", "utf-8''",
        "=?utf-8?b?/w==?=",
        "Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 99999 23:59:59 GMT",
        "bytes 0-9223372036854775807/9223372036854775807",
        "2026-01-01T00:00:00Z", "9999-99-99T99:99:99Z", "0000-00-00T00:00:00Z",
    ].map { Array($0.utf8) }

    mutating func number(below limit: Int) -> Int { limit <= 1 ? 0 : Int(generator.next() % UInt64(limit)) }

    /// Returns a changed sample, usually with a single fault, because the first one hides the others.
    mutating func variant(of samples: [[UInt8]]) -> [UInt8] {
        var bytes = samples[number(below: samples.count)]
        let faults = number(below: 3) == 0 ? number(below: 6) : 1
        for _ in 0..<faults { mutate(&bytes, samples) }
        return bytes
    }

    private mutating func mutate(_ bytes: inout [UInt8], _ samples: [[UInt8]]) {
        let place = number(below: bytes.count + 1)
        let end = min(bytes.count, place + number(below: 12))
        let piece = HostileInput.pieces[number(below: HostileInput.pieces.count)]
        switch number(below: 8) {
        case 0: if place < bytes.count { bytes[place] = UInt8(truncatingIfNeeded: generator.next()) }
        case 1: bytes.insert(contentsOf: piece, at: place)
        case 2: bytes.replaceSubrange(place..<end, with: piece)
        case 3: bytes.removeSubrange(place..<end)
        case 4: bytes.removeSubrange(place...)
        case 5:
            let other = samples[number(below: samples.count)]
            let from = number(below: other.count + 1)
            bytes.replaceSubrange(place..., with: other[from...])
        case 6: bytes.insert(contentsOf: bytes[place..<end], at: place)
        default: replaceNumber(in: &bytes, near: place, with: piece)
        }
        if bytes.count > 1 << 16 { bytes.removeSubrange((1 << 16)...) }
    }

    /// Replaces the digits at or after a place.
    private mutating func replaceNumber(in bytes: inout [UInt8], near place: Int, with piece: [UInt8]) {
        func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
        guard let start = bytes[place...].firstIndex(where: isDigit) else { return }
        let end = bytes[start...].firstIndex { !isDigit($0) } ?? bytes.count
        bytes.replaceSubrange(start..<end, with: piece)
    }
}
