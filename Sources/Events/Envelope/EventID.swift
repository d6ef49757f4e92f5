package import JSON

/// Identifies an event or a correlation by a UUID. New ids are of version 7, so that they sort by time.
///
/// Source: RFC 9562, section 5.7. The library's `UUID` does not replace this: it makes only random ids of version 4, accepts a
/// sign in place of a digit, takes longer to parse, and writes capital letters, which take as long again to make small.
package struct EventID: Sendable, Hashable, CustomStringConvertible {
    private let high: UInt64
    private let low: UInt64

    /// Makes an id with the present time.
    package init() { self.init(at: .now) }

    /// Makes an id of 48 bits of milliseconds, 12 bits of the fraction of a millisecond and 62 random bits.
    package init(at time: Timestamp) {
        let milliseconds = UInt64(clamping: time.microseconds / 1000)
        let fraction = UInt64(clamping: time.microseconds % 1000) * 4096 / 1000
        high = milliseconds << 16 | 0x7000 | fraction
        low = UInt64.random(in: 0..<(1 << 62)) | (1 << 63)
    }

    /// Parses the form of 36 characters, in either case and of any version; nil for other text.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count == 36 else { return nil }
        var text = String(text)
        guard let words = text.withUTF8({ EventID.words($0) }) else { return nil }
        (high, low) = words
    }

    /// Reads 36 bytes.
    private static func words(_ text: UnsafeBufferPointer<UInt8>) -> (high: UInt64, low: UInt64)? {
        var (high, low): (UInt64, UInt64) = (0, 0)
        for (index, byte) in text.enumerated() {
            if index == 8 || index == 13 || index == 18 || index == 23 {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            guard let digit = value(ofHexDigit: byte) else { return nil }
            // The two words are one number of 128 bits.
            (high, low) = (high << 4 | low >> 60, low << 4 | digit)
        }
        return (high, low)
    }

    package var description: String {
        String(unsafeUninitializedCapacity: EventID.textBytes) { text in
            write(to: text)
            return EventID.textBytes
        }
    }

    /// Appends the text.
    package func write(to output: inout [UInt8]) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: EventID.textBytes) { text in
            write(to: text)
            output.append(contentsOf: UnsafeBufferPointer(text))
        }
    }

    private static let textBytes = 36

    private func write(to text: UnsafeMutableBufferPointer<UInt8>) {
        var at = 0
        for index in 0..<32 {
            if index == 8 || index == 12 || index == 16 || index == 20 {
                text[at] = UInt8(ascii: "-")
                at += 1
            }
            let digit = UInt8(truncatingIfNeeded: (index < 16 ? high : low) >> UInt64(60 - 4 * (index % 16)) & 15)
            text[at] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
            at += 1
        }
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
