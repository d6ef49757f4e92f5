/// Formats JSON text for people: one member per line, indented by two spaces a level.
struct PrettyJSON {
    private var output: [UInt8] = []
    private var depth = 0
    private var isString = false
    private var isEscaped = false
    private var last: UInt8 = 0

    /// Formats one document.
    ///
    /// - Parameter text: well-formed JSON without white space outside of strings.
    static func text(_ text: [UInt8]) -> [UInt8] {
        var pretty = PrettyJSON()
        pretty.output.reserveCapacity(text.count * 2)
        for byte in text { pretty.take(byte) }
        return pretty.output
    }

    private mutating func take(_ byte: UInt8) {
        if isString {
            isString = isEscaped || byte != UInt8(ascii: "\"")
            isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
            return output.append(byte)
        }
        defer { last = byte }
        let isClosing = byte == UInt8(ascii: "}") || byte == UInt8(ascii: "]")
        let wasOpening = last == UInt8(ascii: "{") || last == UInt8(ascii: "[")
        if isClosing { depth -= 1 }
        // Empty objects and arrays stay on one line.
        if wasOpening != isClosing || last == UInt8(ascii: ",") { newLine() }
        output.append(byte)
        switch byte {
        case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
        case UInt8(ascii: ":"): output.append(UInt8(ascii: " "))
        case UInt8(ascii: "\""): isString = true
        default: break
        }
    }

    private mutating func newLine() {
        output.append(UInt8(ascii: "\n"))
        output.append(contentsOf: repeatElement(UInt8(ascii: " "), count: 2 * max(0, depth)))
    }
}
