package import Envelope

/// The first digits of a correlation id, or all of them.
package struct CorrelationPrefix: Sendable, Equatable {
    /// The lowest and the highest id that begin with the digits.
    package let lowest: EventID
    package let highest: EventID
    /// The number of digits, up to 32.
    package let digits: Int

    /// Reads hexadecimal digits, with or without hyphens; nil for other text, and for none or too many digits.
    package init?(_ text: some StringProtocol) {
        var (high, low): (UInt64, UInt64) = (0, 0)
        var count = 0
        for character in text {
            if character == "-" { continue }
            guard character.isASCII, let digit = character.hexDigitValue, count < 32 else { return nil }
            (high, low) = (high << 4 | low >> 60, low << 4 | UInt64(digit))
            count += 1
        }
        guard count > 0 else { return nil }
        let missing = (32 - count) * 4
        let (filledHigh, filledLow) =
            switch missing {
            case 0: (high, low)
            case 1..<64: (high << UInt64(missing) | low >> UInt64(64 - missing), low << UInt64(missing))
            default: (low << UInt64(missing - 64), UInt64(0))
            }
        let onesLow = missing >= 64 ? UInt64.max : (UInt64(1) << UInt64(missing)) - 1
        let onesHigh = missing > 64 ? (UInt64(1) << UInt64(missing - 64)) - 1 : 0
        lowest = EventID(high: filledHigh, low: filledLow)
        highest = EventID(high: filledHigh | onesHigh, low: filledLow | onesLow)
        digits = count
    }
}
