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
        writeMembers(to: &output)
        output.append(UInt8(ascii: "}"))
    }

    /// Appends the members with commas between them, and without the braces around them.
    package func writeMembers(to output: inout [UInt8]) {
        for (index, member) in members.enumerated() {
            if index > 0 { output.append(UInt8(ascii: ",")) }
            JSON.write(member.key, to: &output)
            output.append(UInt8(ascii: ":"))
            member.value.write(to: &output)
        }
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
}
