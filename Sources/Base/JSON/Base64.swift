import FoundationEssentials

/// Encodes and decodes base64 with padding.
///
/// Source: RFC 4648, section 4.
package enum Base64 {
    package static func encode(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }

    /// Returns the bytes of base64 text; nil if the text is not base64, or lacks its padding.
    package static func decode(_ text: String) -> [UInt8]? {
        guard hasPaddingAtEndOnly(text), let data = Data(base64Encoded: text) else { return nil }
        return [UInt8](data)
    }

    /// Returns whether the text has whole groups of four characters, and `=` only as its last character or its last two. The library
    /// itself also accepts `AA=A`, `AAAA=` and `====`.
    private static func hasPaddingAtEndOnly(_ text: String) -> Bool {
        guard text.utf8.count % 4 == 0 else { return false }
        guard let first = text.utf8.firstIndex(of: UInt8(ascii: "=")) else { return true }
        let padding = text.utf8[first...]
        return padding.count <= 2 && padding.allSatisfy { $0 == UInt8(ascii: "=") }
    }

    /// Encodes with the alphabet for URLs and file names.
    ///
    /// Source: RFC 4648, section 5.
    package static func encodeForURLs(_ bytes: [UInt8], isPadded: Bool) -> String {
        let text = encode(bytes).utf8.map {
            $0 == UInt8(ascii: "+") ? UInt8(ascii: "-") : $0 == UInt8(ascii: "/") ? UInt8(ascii: "_") : $0
        }
        return String(decoding: isPadded ? text[...] : text.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
    }

    /// Decodes text of either alphabet, with padding or without; nil if the text is not base64.
    package static func decodeForURLs(_ text: String) -> [UInt8]? {
        var digits = text.utf8.map {
            $0 == UInt8(ascii: "-") ? UInt8(ascii: "+") : $0 == UInt8(ascii: "_") ? UInt8(ascii: "/") : $0
        }
        while digits.count % 4 != 0 { digits.append(UInt8(ascii: "=")) }
        return decode(String(decoding: digits, as: UTF8.self))
    }
}
