package import JSON

/// A UUID, as events and correlations are named; new ones are version 7, so that they sort by time.
///
/// Source: RFC 9562, section 5.7.
package struct EventID: Sendable, Hashable, CustomStringConvertible {
    private let high: UInt64
    private let low: UInt64

    /// A new version 7 UUID: 48 bits of milliseconds, 12 bits of the fraction below, 62 random bits.
    package init() { self.init(at: .now) }

    package init(at time: Timestamp) {
        let milliseconds = UInt64(clamping: time.microseconds / 1000)
        let fraction = UInt64(clamping: time.microseconds % 1000) * 4096 / 1000
        high = milliseconds << 16 | 0x7000 | fraction
        low = UInt64.random(in: 0..<(1 << 62)) | (1 << 63)
    }

    /// Parses the 36-character form, in either case, of any version.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count == 36 else { return nil }
        var words: (UInt64, UInt64) = (0, 0)
        var index = 0
        for byte in text.utf8 {
            defer { index += 1 }
            if index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            guard let digit = EventID.value(ofHexDigit: byte) else { return nil }
            // The two words as one number of 128 bits.
            words = (words.0 << 4 | words.1 >> 60, words.1 << 4 | digit)
        }
        (high, low) = words
    }

    package var description: String {
        var output: [UInt8] = []
        output.reserveCapacity(36)
        for index in 0..<32 {
            if [8, 12, 16, 20].contains(index) { output.append(UInt8(ascii: "-")) }
            let word = index < 16 ? high : low
            output.append(hexDigits[Int(word >> UInt64(60 - 4 * (index % 16)) & 15)])
        }
        return String(decoding: output, as: UTF8.self)
    }

    package var version: Int { Int(high >> 12 & 15) }

    private static func value(ofHexDigit byte: UInt8) -> UInt64? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt64(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): UInt64(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): UInt64(byte - UInt8(ascii: "A") + 10)
        default: nil
        }
    }
}
