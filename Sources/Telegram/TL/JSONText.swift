// Strings and bytes as JSON strings.
import JSON

extension JSONOutput {
    /// Text in quotes. What is not UTF-8 becomes U+FFFD, one for each maximal piece of a character, as the Unicode standard has it.
    @inline(__always)
    mutating func put(text: UnsafeRawPointer, count: Int) throws(TLFault) {
        try reserve(count + 16)
        put(UInt8(ascii: "\""))
        var at = text
        let end = text + count
        // One look at all of it, when it is not plain ASCII, instead of one at each character.
        var isLookedAt = false
        var isUTF8 = false
        while end - at >= 8 {
            let eight = at.loadUnaligned(as: UInt64.self)
            if !isLookedAt && JSONOutput.hasOther(eight) {
                isUTF8 = UnsafeRawBufferPointer(start: at, count: end - at).isUTF8
                isLookedAt = true
            }
            if JSONOutput.needsEscape(eight) || (!isUTF8 && JSONOutput.hasOther(eight)) {
                try put(from: &at, to: end, isUTF8: isUTF8)
            } else {
                put(eight: eight)
                at += 8
            }
        }
        while at < end { try put(from: &at, to: end, isUTF8: isUTF8) }
        put(UInt8(ascii: "\""))
    }

    /// Whether one of eight bytes is not ASCII.
    @inline(__always)
    private static func hasOther(_ eight: UInt64) -> Bool { eight & 0x8080_8080_8080_8080 != 0 }

    /// Whether one of eight bytes is a control character, a quote or a backslash.
    ///
    /// Source: "Bit Twiddling Hacks", haszero and hasless.
    @inline(__always)
    private static func needsEscape(_ eight: UInt64) -> Bool {
        let ones: UInt64 = 0x0101_0101_0101_0101
        let control = eight &- ones &* 0x20
        let (quote, backslash) = (eight ^ ones &* 0x22, eight ^ ones &* 0x5C)
        let found = (control & ~eight) | ((quote &- ones) & ~quote) | ((backslash &- ones) & ~backslash)
        return found & 0x8080_8080_8080_8080 != 0
    }

    /// A few bytes, one by one; room for the rest is there before and after.
    @inline(__always)
    private mutating func put(
        from at: inout UnsafeRawPointer, to end: UnsafeRawPointer, isUTF8: Bool
    ) throws(TLFault) {
        let soon = end - at > 8 ? at + 8 : end
        while at < soon {
            let byte = at.load(as: UInt8.self)
            if byte >= 0x80 && !isUTF8 {
                try put(characterAt: &at, end)
            } else if byte < 0x20 || byte == 0x22 || byte == 0x5C {
                try reserve((end - at) + 16)
                putEscaped(byte)
                at += 1
            } else {
                put(byte)
                at += 1
            }
        }
    }

    @inline(never)
    private mutating func put(characterAt at: inout UnsafeRawPointer, _ end: UnsafeRawPointer) throws(TLFault) {
        let (count, isWhole) = JSONOutput.character(at, end)
        if isWhole {
            put(at, count: count)
        } else {
            try reserve((end - at) + 16)
            put("\u{FFFD}")
        }
        at += count
    }

    /// How many bytes from here on are one character, or would be the beginning of one.
    ///
    /// Source: the Unicode Standard, table 3-7.
    @inline(__always)
    private static func character(_ at: UnsafeRawPointer, _ end: UnsafeRawPointer) -> (count: Int, isWhole: Bool) {
        let lead = at.load(as: UInt8.self)
        let length: Int
        var second: ClosedRange<UInt8> = 0x80...0xBF
        switch lead {
        case 0xC2...0xDF: length = 2
        case 0xE0...0xEF:
            length = 3
            if lead == 0xE0 { second = 0xA0...0xBF } else if lead == 0xED { second = 0x80...0x9F }
        case 0xF0...0xF4:
            length = 4
            if lead == 0xF0 { second = 0x90...0xBF } else if lead == 0xF4 { second = 0x80...0x8F }
        default: return (1, false)
        }
        var count = 1
        while count < length, at + count < end {
            let byte = (at + count).load(as: UInt8.self)
            guard count == 1 ? second.contains(byte) : byte & 0xC0 == 0x80 else { return (count, false) }
            count += 1
        }
        return (count, count == length)
    }

    @inline(never)
    private mutating func putEscaped(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): put("\\\"")
        case UInt8(ascii: "\\"): put("\\\\")
        case 0x0A: put("\\n")
        case 0x0D: put("\\r")
        case 0x09: put("\\t")
        default:
            put("\\u00")
            put(hexDigit(byte >> 4))
            put(hexDigit(byte & 15))
        }
    }

    /// Base64 with padding, in quotes.
    mutating func put(base64 bytes: UnsafeRawPointer, count: Int) throws(TLFault) {
        try reserve(count / 3 * 4 + 16)
        put(UInt8(ascii: "\""))
        var at = bytes
        let end = bytes + count
        while end - at >= 3 {
            let word = UInt32(at.load(as: UInt8.self)) << 16 | UInt32((at + 1).load(as: UInt8.self)) << 8
            put(four: JSONOutput.digits(of: word | UInt32((at + 2).load(as: UInt8.self))))
            at += 3
        }
        if at < end {
            let isLast = end - at == 1
            let second = isLast ? 0 : (at + 1).load(as: UInt8.self)
            var digits = JSONOutput.digits(of: UInt32(at.load(as: UInt8.self)) << 16 | UInt32(second) << 8)
            digits = digits & 0x00FF_FFFF | UInt32(UInt8(ascii: "=")) << 24
            if isLast { digits = digits & 0xFF00_FFFF | UInt32(UInt8(ascii: "=")) << 16 }
            put(four: digits)
        }
        put(UInt8(ascii: "\""))
    }

    /// Four digits of base64, as they stand in memory.
    @inline(__always)
    private static func digits(of word: UInt32) -> UInt32 {
        let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        let digits = alphabet.utf8Start
        let first = UInt32(digits[Int(word >> 18)]) | UInt32(digits[Int(word >> 12 & 63)]) << 8
        return first | UInt32(digits[Int(word >> 6 & 63)]) << 16 | UInt32(digits[Int(word & 63)]) << 24
    }

    /// The bytes in the order in which they came, as hexadecimal digits in quotes; at most 32 of them.
    mutating func put(hexadecimal bytes: UnsafeRawPointer, count: Int) throws(TLFault) {
        try reserve(2 * count + 16)
        put(UInt8(ascii: "\""))
        for index in 0..<count {
            let byte = (bytes + index).load(as: UInt8.self)
            put(hexDigit(byte >> 4))
            put(hexDigit(byte & 15))
        }
        put(UInt8(ascii: "\""))
    }
}

@inline(__always)
private func hexDigit(_ value: UInt8) -> UInt8 { value < 10 ? value &+ 0x30 : value &+ 0x57 }
