// Percent-encoding is written here because FoundationEssentials, which every tool links already, has no public function for
// it; the whole of Foundation has one, and would add its data for all languages to each tool.

/// Percent-encodes text as UTF-8, except letters, digits, `-._~` and the ASCII characters in `keeping`.
///
/// Source: RFC 3986, section 2.
package func percentEncoded(_ text: some StringProtocol, keeping: String = "") -> String {
    percentEncoded(bytes: text.utf8, keeping: keeping)
}

/// Percent-encodes bytes, except letters, digits, `-._~` and the ASCII characters in `keeping`.
package func percentEncoded(bytes: some Sequence<UInt8>, keeping: String = "") -> String {
    var result: [UInt8] = []
    for byte in bytes {
        if isUnreserved(byte) || (byte < 0x80 && keeping.utf8.contains(byte)) {
            result.append(byte)
        } else {
            result.append(UInt8(ascii: "%"))
            result.append(upperHexDigits[Int(byte >> 4)])
            result.append(upperHexDigits[Int(byte & 15)])
        }
    }
    return String(decoding: result, as: UTF8.self)
}

/// Decodes percent-encoded text to bytes. A `%` without two hex digits after it stands for itself.
package func percentDecodedBytes(_ text: some StringProtocol) -> [UInt8] {
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count)
    var index = 0
    while index < bytes.count {
        if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
            let high = hexValue(bytes[index + 1]), let low = hexValue(bytes[index + 2])
        {
            result.append(high << 4 | low)
            index += 3
        } else {
            result.append(bytes[index])
            index += 1
        }
    }
    return result
}

/// Decodes percent-encoded text; nil if the result is not UTF-8. A `%` without two hex digits after it stands for itself.
package func percentDecoded(_ text: some StringProtocol) -> String? {
    String(validating: percentDecodedBytes(text), as: UTF8.self)
}

/// Decodes percent-encoded text; nil if the result is not UTF-8, or a `%` has no two hex digits after it.
package func strictlyPercentDecoded(_ text: some StringProtocol) -> String? {
    let parts = text.utf8.split(separator: UInt8(ascii: "%"), omittingEmptySubsequences: false)
    let isWhole = parts.dropFirst().allSatisfy { $0.count >= 2 && $0.prefix(2).allSatisfy { hexValue($0) != nil } }
    return isWhole ? percentDecoded(text) : nil
}

private let upperHexDigits = Array("0123456789ABCDEF".utf8)

private func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"),
        UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"):
        true
    default: false
    }
}

/// Returns the value of a hexadecimal digit in ASCII; nil for another byte.
package func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
