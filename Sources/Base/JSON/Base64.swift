/// RFC 4648 base64 with padding.
package enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    package static func encode(_ bytes: [UInt8]) -> String {
        var output: [UInt8] = []
        output.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var word: UInt32 = 0
            for byte in group { word = word << 8 | UInt32(byte) }
            word <<= UInt32(8 * (3 - group.count))
            for position in 0..<4 {
                let used = position <= group.count
                output.append(used ? alphabet[Int(word >> UInt32(18 - 6 * position) & 63)] : UInt8(ascii: "="))
            }
        }
        return String(decoding: output, as: UTF8.self)
    }

    /// The bytes; nil when the text is not base64 with its padding.
    package static func decode(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 4 == 0 else { return nil }
        let padding = digits.suffix(2).count { $0 == UInt8(ascii: "=") }
        var output: [UInt8] = []
        output.reserveCapacity(digits.count / 4 * 3)
        var word: UInt32 = 0
        // A "=" that is not at the end is no digit.
        for (index, digit) in digits.dropLast(padding).enumerated() {
            guard let value = value(of: digit) else { return nil }
            word = word << 6 | value
            if index % 4 == 3 {
                output.append(UInt8(word >> 16 & 255))
                output.append(UInt8(word >> 8 & 255))
                output.append(UInt8(word & 255))
            }
        }
        if padding == 1 { output.append(UInt8(word >> 10 & 255)) }
        if padding == 1 { output.append(UInt8(word >> 2 & 255)) }
        if padding == 2 { output.append(UInt8(word >> 4 & 255)) }
        return output
    }

    /// With the alphabet for URLs and file names (section 5).
    package static func encodeForURLs(_ bytes: [UInt8], isPadded: Bool) -> String {
        let text = encode(bytes).utf8.map {
            $0 == UInt8(ascii: "+") ? UInt8(ascii: "-") : $0 == UInt8(ascii: "/") ? UInt8(ascii: "_") : $0
        }
        return String(decoding: isPadded ? text[...] : text.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
    }

    /// The bytes of either alphabet, with padding or without; nil when the text is none.
    package static func decodeForURLs(_ text: String) -> [UInt8]? {
        var digits = text.utf8.map {
            $0 == UInt8(ascii: "-") ? UInt8(ascii: "+") : $0 == UInt8(ascii: "_") ? UInt8(ascii: "/") : $0
        }
        while digits.count % 4 != 0 { digits.append(UInt8(ascii: "=")) }
        return decode(String(decoding: digits, as: UTF8.self))
    }

    private static func value(of digit: UInt8) -> UInt32? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - 65)
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - 71)
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit + 4)
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
