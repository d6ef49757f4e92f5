/// Identifies a trace and one span of it.
///
/// Source: W3C Trace Context, version 00: `00-<trace id>-<span id>-<flags>`.
package struct TraceContext: Sendable, Hashable {
    /// The key in an event's `meta`.
    package static let key = "traceparent"

    /// The 128 bits of the trace id, as the two halves of a UUID.
    package let trace: EventID
    package let span: UInt64
    /// Is false if the program that began the trace wants it left out of exports.
    package let isSampled: Bool

    package init(trace: EventID, span: UInt64, isSampled: Bool = true) {
        (self.trace, self.span, self.isSampled) = (trace, span, isSampled)
    }

    /// Parses a `traceparent`, also of a later version; nil for one that is not valid.
    package init?(_ text: String) {
        var text = text
        guard let found = text.withUTF8({ TraceContext.parsed($0) }) else { return nil }
        self = found
    }

    private static func parsed(_ text: UnsafeBufferPointer<UInt8>) -> TraceContext? {
        guard text.count >= 55, text[2] == hyphen, text[35] == hyphen, text[52] == hyphen,
            let version = number(text, 0..<2), version != 0xFF, let high = number(text, 3..<19),
            let low = number(text, 19..<35), let span = number(text, 36..<52), let flags = number(text, 53..<55)
        else { return nil }
        guard high | low != 0, span != 0 else { return nil }
        guard version == 0 ? text.count == 55 : text.count == 55 || text[55] == hyphen else { return nil }
        return TraceContext(trace: EventID(high: high, low: low), span: span, isSampled: flags & 1 == 1)
    }

    private static let hyphen = UInt8(ascii: "-")

    /// Reads hexadecimal digits, of which the specification allows small letters only.
    private static func number(_ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>) -> UInt64? {
        var number: UInt64 = 0
        for index in range {
            switch text[index] {
            case 0x30...0x39: number = number << 4 | UInt64(text[index] - 0x30)
            case 0x61...0x66: number = number << 4 | UInt64(text[index] - 0x61 + 10)
            default: return nil
            }
        }
        return number
    }

    /// The context as a `traceparent` of version 00.
    package var traceparent: String {
        String(unsafeUninitializedCapacity: 55) { text in
            text[0] = 0x30
            text[1] = 0x30
            text[2] = TraceContext.hyphen
            TraceContext.write(trace.high, text, at: 3)
            TraceContext.write(trace.low, text, at: 19)
            text[35] = TraceContext.hyphen
            TraceContext.write(span, text, at: 36)
            text[52] = TraceContext.hyphen
            text[53] = 0x30
            text[54] = isSampled ? 0x31 : 0x30
            return 55
        }
    }

    private static func write(_ number: UInt64, _ text: UnsafeMutableBufferPointer<UInt8>, at start: Int) {
        for place in 0..<16 {
            let digit = UInt8(truncatingIfNeeded: number >> UInt64(60 - 4 * place) & 15)
            text[start + place] = digit < 10 ? 0x30 + digit : 0x61 + digit - 10
        }
    }
}
