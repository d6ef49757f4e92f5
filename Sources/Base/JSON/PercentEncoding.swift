/// The text as RFC 3986 percent-encoded UTF-8: letters, digits and `-._~` stay, and the ASCII characters in `keeping`.
package func percentEncoded(_ text: some StringProtocol, keeping: String = "") -> String {
    percentEncoded(bytes: text.utf8, keeping: keeping)
}

/// The bytes as RFC 3986 percent-encoded text: unreserved characters stay, and those in `keeping`.
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

/// The bytes that percent-encoded text stands for; a `%` that no two hex digits follow stands for itself.
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

/// The text that percent-encoded text stands for, or nil when that is not UTF-8.
package func percentDecoded(_ text: some StringProtocol) -> String? {
    String(validating: percentDecodedBytes(text), as: UTF8.self)
}

/// As `percentDecoded`; nil also when two hex digits do not follow each `%`.
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

private func hexValue(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
}
