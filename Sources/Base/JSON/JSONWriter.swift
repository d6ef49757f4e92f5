extension JSON {
    /// The value as compact JSON text.
    package var text: String { String(decoding: bytes, as: UTF8.self) }

    package var bytes: [UInt8] {
        var output: [UInt8] = []
        write(to: &output)
        return output
    }

    package func write(to output: inout [UInt8]) {
        switch self {
        case .null: output.append(literal: "null")
        case .bool(let value): output.append(literal: value ? "true" : "false")
        case .integer(let value): output.append(contentsOf: value.description.utf8)
        case .unsigned(let value): output.append(contentsOf: value.description.utf8)
        case .number(let value): JSON.write(value, to: &output)
        case .numeral(let text): output.append(contentsOf: text.utf8)
        case .string(let value): JSON.write(value, to: &output)
        case .escaped(_, let source):
            output.append(UInt8(ascii: "\""))
            output.append(contentsOf: source.utf8)
            output.append(UInt8(ascii: "\""))
        case .array(let items): JSON.write(items, to: &output)
        case .object(let object): object.write(to: &output)
        }
    }

    private static func write(_ number: Double, to output: inout [UInt8]) {
        // JSON has no text for infinities and NaN, and a parser never returns them.
        guard number.isFinite else { return output.append(literal: "null") }
        output.append(contentsOf: number.description.utf8)
    }

    private static func write(_ items: [JSON], to output: inout [UInt8]) {
        output.append(UInt8(ascii: "["))
        for (index, item) in items.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            item.write(to: &output)
        }
        output.append(UInt8(ascii: "]"))
    }

    static func write(_ string: String, to output: inout [UInt8]) {
        output.append(UInt8(ascii: "\""))
        var string = string
        string.withUTF8 { text in
            var plain = 0
            for index in text.indices where text[index] < 0x20 || text[index] == 0x22 || text[index] == 0x5C {
                output.append(contentsOf: UnsafeBufferPointer(rebasing: text[plain..<index]))
                output.appendEscaped(text[index])
                plain = index + 1
            }
            output.append(contentsOf: UnsafeBufferPointer(rebasing: text[plain...]))
        }
        output.append(UInt8(ascii: "\""))
    }
}

extension JSONObject {
    package func write(to output: inout [UInt8]) {
        output.append(UInt8(ascii: "{"))
        for (index, member) in members.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            JSON.write(member.key, to: &output)
            output.append(UInt8(ascii: ":"))
            member.value.write(to: &output)
        }
        output.append(UInt8(ascii: "}"))
    }
}

package let hexDigits = Array("0123456789abcdef".utf8)

extension [UInt8] {
    fileprivate mutating func appendEscaped(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): append(literal: "\\\"")
        case UInt8(ascii: "\\"): append(literal: "\\\\")
        case 0x0A: append(literal: "\\n")
        case 0x0D: append(literal: "\\r")
        case 0x09: append(literal: "\\t")
        default:
            append(literal: "\\u00")
            append(hexDigits[Int(byte >> 4)])
            append(hexDigits[Int(byte & 15)])
        }
    }

    package mutating func append(literal: StaticString) {
        append(contentsOf: UnsafeBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    /// Appends a number in decimal digits.
    package mutating func append(integer: Int64) {
        guard integer.magnitude >= 10 else {
            if integer < 0 { append(UInt8(ascii: "-")) }
            return append(UInt8(ascii: "0") + UInt8(integer.magnitude))
        }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var (rest, start) = (integer.magnitude, digits.count)
            while rest > 0 {
                start -= 1
                digits[start] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            }
            if integer < 0 { append(UInt8(ascii: "-")) }
            append(contentsOf: UnsafeBufferPointer(rebasing: digits[start...]))
        }
    }

    /// Appends a string, given in UTF-8, in quotes and with escapes.
    package mutating func append(jsonString text: UnsafeRawBufferPointer) {
        append(UInt8(ascii: "\""))
        var (plain, at) = (0, 0)
        while at < text.count {
            // Eight bytes without a character to escape are passed over at once.
            if text.count - at >= 8, !Self.needsEscape(text.loadUnaligned(fromByteOffset: at, as: UInt64.self)) {
                at += 8
                continue
            }
            if text[at] < 0x20 || text[at] == 0x22 || text[at] == 0x5C {
                append(contentsOf: UnsafeRawBufferPointer(rebasing: text[plain..<at]))
                appendEscaped(text[at])
                plain = at + 1
            }
            at += 1
        }
        append(contentsOf: UnsafeRawBufferPointer(rebasing: text[plain...]))
        append(UInt8(ascii: "\""))
    }

    /// Returns whether one of eight bytes is a control character, a quote or a backslash.
    ///
    /// Source: "Bit Twiddling Hacks", haszero and hasless.
    private static func needsEscape(_ eight: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let control = eight &- ones &* 0x20
        let (quote, backslash) = (eight ^ ones &* 0x22, eight ^ ones &* 0x5C)
        let found = (control & ~eight) | ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash)
        return found & 0x8080_8080_8080_8080 != 0
    }

    /// Appends a value of a parsed document as compact JSON text.
    package mutating func append(_ value: JSONView) {
        if let text = value.text {
            append(jsonString: text)
        } else if let integer = value.plainInteger {
            append(integer: integer)
        } else {
            value.json.write(to: &self)
        }
    }
}
