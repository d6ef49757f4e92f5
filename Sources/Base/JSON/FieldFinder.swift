import CSimdJSON
import Glibc

/// Finds the values of a fixed list of paths in envelopes, without building a `JSON` value. It is not for two threads at once.
///
/// It takes a fraction of the time of `JSONParser.parse`, which suits streams of millions of events of which only some
/// fields count.
package final class FieldFinder {
    private let parser: OpaquePointer?
    private let fields: OpaquePointer?
    private let values: UnsafeMutableBufferPointer<tgp_text>

    /// - Parameter paths: For each place, the paths whose value it takes: keys with dots between them, such as
    ///   `payload.message.chat.id`. The step `*` means each item of an array, of which the last counts.
    package init(_ paths: [[String]]) {
        parser = tgp_parser_new(JSONParser.maxDepth)
        fields = tgp_fields_new(paths.count)
        values = .allocate(capacity: paths.count)
        values.initialize(repeating: tgp_text(bytes: nil, count: 0))
        for (place, names) in paths.enumerated() {
            for name in names { tgp_fields_add(fields, name, place) }
        }
    }

    deinit {
        if let parser { tgp_parser_free(parser) }
        if let fields { tgp_fields_free(fields) }
        values.deallocate()
    }

    /// Checks that a line is an envelope, and finds its values, which are then valid until the next call.
    ///
    /// - Parameter line: `JSONParser.paddingBytes` more bytes must be readable after it.
    package func find(in line: UnsafeRawBufferPointer) -> ScannedLine {
        guard let start = line.baseAddress else { return ScannedLine(tgp_scan(parser, nil, 0, false)) }
        return ScannedLine(
            tgp_find(parser, fields, start.assumingMemoryBound(to: CChar.self), line.count, values.baseAddress))
    }

    /// Returns the value of a place.
    package subscript(place: Int) -> JSONSource { JSONSource(UnsafeRawBufferPointer(values[place])) }
}

/// Refers to a JSON value as it was written, in memory of another owner.
package struct JSONSource {
    package let bytes: UnsafeRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// Is true if there is no value, or it is `null`.
    package var isAbsent: Bool { bytes.isEmpty || bytes[0] == UInt8(ascii: "n") }

    package var isObject: Bool { bytes.first == UInt8(ascii: "{") }
    package var isArray: Bool { bytes.first == UInt8(ascii: "[") }
    package var isTrue: Bool { bytes.first == UInt8(ascii: "t") }

    /// The value as an integer; nil for other values, and for integers that are too large.
    package var int: Int64? { JSONSource.int(bytes) }

    /// The integer that a string holds; nil for other values.
    package var quotedInt: Int64? { quoted.flatMap(JSONSource.int) }

    private static func int(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        let isNegative = bytes.first == UInt8(ascii: "-")
        let digits = isNegative ? UnsafeRawBufferPointer(rebasing: bytes[1...]) : bytes
        guard digits.count >= 1, digits.count <= 19 else { return nil }
        var number: UInt64 = 0
        for byte in digits {
            let digit = byte &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            // 19 digits fit.
            number = number &* 10 &+ UInt64(digit)
        }
        guard isNegative else { return Int64(exactly: number) }
        return number <= UInt64(1) << 63 ? Int64(truncatingIfNeeded: 0 &- number) : nil
    }

    /// The text between the quotes of a string, as it was written; nil for other values.
    package var quoted: UnsafeRawBufferPointer? {
        guard bytes.count >= 2, bytes[0] == UInt8(ascii: "\"") else { return nil }
        return UnsafeRawBufferPointer(rebasing: bytes[1..<bytes.count - 1])
    }

    /// The value as a string; nil for other values. Unpaired surrogates become U+FFFD.
    package var string: String? {
        guard let quoted else { return nil }
        guard JSONSource.hasEscape(quoted) else { return String(decoding: quoted, as: UTF8.self) }
        var text: [UInt8] = []
        JSONSource.unescape(quoted) { text.append(contentsOf: $0) }
        return String(decoding: text, as: UTF8.self)
    }

    package static func hasEscape(_ quoted: UnsafeRawBufferPointer) -> Bool {
        quoted.baseAddress.map { memchr($0, 0x5C, quoted.count) != nil } ?? false
    }

    /// Hands over the pieces of a valid string in order, without its escapes.
    package static func unescape(_ quoted: UnsafeRawBufferPointer, _ take: (UnsafeRawBufferPointer) -> Void) {
        var index = 0
        while index < quoted.count {
            let plain = quoted[index...].firstIndex(of: UInt8(ascii: "\\")) ?? quoted.count
            if plain > index { take(UnsafeRawBufferPointer(rebasing: quoted[index..<plain])) }
            guard plain + 1 < quoted.count else { return }
            index = plain + 2
            let scalar: UInt32
            switch quoted[plain + 1] {
            case UInt8(ascii: "n"): scalar = 0x0A
            case UInt8(ascii: "t"): scalar = 0x09
            case UInt8(ascii: "r"): scalar = 0x0D
            case UInt8(ascii: "b"): scalar = 0x08
            case UInt8(ascii: "f"): scalar = 0x0C
            case UInt8(ascii: "u"): scalar = unicode(quoted, &index)
            case let other: scalar = UInt32(other)
            }
            var utf8 = UTF8Bytes(Unicode.Scalar(scalar) ?? "\u{FFFD}")
            utf8.withBytes(take)
        }
    }

    /// Reads four hexadecimal digits at `index`, and the second half of a surrogate pair after a first one.
    private static func unicode(_ quoted: UnsafeRawBufferPointer, _ index: inout Int) -> UInt32 {
        let unit = hexadecimal(quoted, index)
        index += 4
        guard (0xD800..<0xDC00).contains(unit), index + 1 < quoted.count, quoted[index] == UInt8(ascii: "\\"),
            quoted[index + 1] == UInt8(ascii: "u")
        else { return unit }
        let second = hexadecimal(quoted, index + 2)
        guard (0xDC00..<0xE000).contains(second) else { return unit }
        index += 6
        return 0x10000 + (unit - 0xD800) << 10 + (second - 0xDC00)
    }

    private static func hexadecimal(_ quoted: UnsafeRawBufferPointer, _ index: Int) -> UInt32 {
        guard index + 4 <= quoted.count else { return 0xFFFD }
        return quoted[index..<index + 4].reduce(0) { value, byte in
            let digit = byte <= UInt8(ascii: "9") ? byte &- UInt8(ascii: "0") : (byte | 0x20) &- UInt8(ascii: "a") &+ 10
            return value << 4 | UInt32(digit & 15)
        }
    }
}

/// Holds the bytes of one character without an allocation.
private struct UTF8Bytes {
    private var bytes: UInt32 = 0
    private var count = 0

    init(_ scalar: Unicode.Scalar) {
        for (index, byte) in scalar.utf8.enumerated() { bytes |= UInt32(byte) << (8 * UInt32(index)) }
        count = UTF8.width(scalar)
    }

    mutating func withBytes(_ take: (UnsafeRawBufferPointer) -> Void) {
        withUnsafeBytes(of: bytes.littleEndian) { take(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
    }
}

extension UnsafeRawBufferPointer {
    /// Returns whether the bytes are these of an ASCII text.
    package func isText(_ text: StaticString) -> Bool {
        guard let baseAddress else { return text.utf8CodeUnitCount == 0 }
        return count == text.utf8CodeUnitCount && memcmp(baseAddress, text.utf8Start, count) == 0
    }
}
