import JSON

/// Collects JSON text in raw memory that grows, so that the hot path neither counts references nor checks bounds twice.
///
/// Call `reserve` before `put`: the `put` functions do not check that there is room.
struct JSONOutput: ~Copyable {
    private var start: UnsafeMutableRawPointer
    private var at: UnsafeMutableRawPointer
    private var end: UnsafeMutableRawPointer
    private let maximum: Int
    private let firstBytes: Int

    /// Memory above this size is released after use.
    private static let keptBytes = 1 << 20

    /// - Parameter maximum: the most bytes of text; `reserve` refuses more.
    init(maximum: Int) {
        self.maximum = maximum
        firstBytes = min(1 << 14, maximum)
        start = .allocate(byteCount: firstBytes, alignment: 16)
        at = start
        end = start + firstBytes
    }

    deinit { start.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: start, count: at - start) }

    mutating func clear() {
        if end - start > JSONOutput.keptBytes {
            start.deallocate()
            start = .allocate(byteCount: firstBytes, alignment: 16)
            end = start + firstBytes
        }
        at = start
    }

    @inline(__always)
    mutating func reserve(_ count: Int) throws(TLFault) {
        if end - at < count { try grow(count) }
    }

    @inline(never)
    private mutating func grow(_ count: Int) throws(TLFault) {
        let used = at - start
        guard used + count <= maximum else { throw .oversized }
        let capacity = min(maximum, max(used + count, 2 * (end - start)))
        let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
        larger.copyMemory(from: start, byteCount: used)
        start.deallocate()
        start = larger
        at = larger + used
        end = larger + capacity
    }

    @inline(__always)
    mutating func put(_ byte: UInt8) {
        at.storeBytes(of: byte, as: UInt8.self)
        at += 1
    }

    mutating func put(_ text: StaticString) {
        at.copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
        at += text.utf8CodeUnitCount
    }

    @inline(__always)
    mutating func put(_ source: UnsafeRawPointer, count: Int) {
        at.copyMemory(from: source, byteCount: count)
        at += count
    }

    /// Copies a short piece in steps of fixed size. At least 32 bytes must be readable and writable, even when `count` is less.
    @inline(__always)
    mutating func putShort(_ source: UnsafeRawPointer, count: Int) {
        let (one, two) = (
            source.loadUnaligned(as: SIMD2<UInt64>.self), (source + 16).loadUnaligned(as: SIMD2<UInt64>.self)
        )
        at.storeBytes(of: one, as: SIMD2<UInt64>.self)
        (at + 16).storeBytes(of: two, as: SIMD2<UInt64>.self)
        if count > 32 { (at + 32).copyMemory(from: source + 32, byteCount: count - 32) }
        at += count
    }

    @inline(__always)
    mutating func put(four: UInt32) {
        at.storeBytes(of: four, as: UInt32.self)
        at += 4
    }

    /// Copies eight bytes.
    @inline(__always)
    mutating func put(eight: UInt64) {
        at.storeBytes(of: eight, as: UInt64.self)
        at += 8
    }
}

extension JSONOutput: DecodingOutput {
    mutating func begin(bytes: Int) throws(TLFault) {
        clear()
        try reserve(JSONOutput.numberBytes)
    }

    @inline(__always)
    mutating func beginObject(_ head: UnsafePointer<UInt8>, count: Int) throws(TLFault) {
        try reserve(count + 32)
        putShort(head, count: count)
    }

    @inline(__always)
    mutating func putKey(_ key: UnsafePointer<UInt8>, count: Int) throws(TLFault) {
        try reserve(count + 32 + JSONOutput.numberBytes)
        putShort(key, count: count)
    }

    @inline(__always)
    mutating func endObject(_ object: Void, count: Int) throws(TLFault) {
        try reserve(1)
        put(UInt8(ascii: "}"))
    }

    mutating func beginArray() throws(TLFault) {
        try reserve(1)
        put(UInt8(ascii: "["))
    }

    @inline(__always)
    mutating func beginElement(isFirst: Bool) throws(TLFault) {
        try reserve(1 + JSONOutput.numberBytes)
        if !isFirst { put(UInt8(ascii: ",")) }
    }

    mutating func endArray(_ array: Void, count: Int) throws(TLFault) {
        try reserve(1)
        put(UInt8(ascii: "]"))
    }

    @inline(__always)
    mutating func put(isTrue: Bool) { put(isTrue ? "true" : "false") }
}

// MARK: Numbers

extension JSONOutput {
    /// The bytes to reserve for a number.
    static let numberBytes = 64

    /// Writes a number, or a string if JavaScript would round the number.
    @inline(__always)
    mutating func put(_ number: Int64) {
        guard number.magnitude > 9_007_199_254_740_991 else { return put(integer: number) }
        put(UInt8(ascii: "\""))
        put(integer: number)
        put(UInt8(ascii: "\""))
    }

    @inline(__always)
    mutating func put(integer: Int64) {
        if integer < 0 { put(UInt8(ascii: "-")) }
        let (upper, last) = integer.magnitude.quotientAndRemainder(dividingBy: 100_000_000)
        guard upper > 0 else { return put(trimmed: last) }
        let (first, middle) = upper.quotientAndRemainder(dividingBy: 100_000_000)
        if first > 0 {
            put(trimmed: first)
            put(eight: JSONOutput.digits(of: middle) | JSONOutput.zeros)
        } else {
            put(trimmed: middle)
        }
        put(eight: JSONOutput.digits(of: last) | JSONOutput.zeros)
    }

    /// Writes a number below 100,000,000 without leading zeros.
    @inline(__always)
    private mutating func put(trimmed number: UInt64) {
        let digits = JSONOutput.digits(of: number)
        let leading = min(digits.trailingZeroBitCount & ~7, 56)
        put(eight: (digits | JSONOutput.zeros) >> UInt64(leading))
        at -= leading / 8
    }

    private static let zeros: UInt64 = 0x3030_3030_3030_3030

    /// Returns the eight digits of a number below 100,000,000, the first in the lowest byte. The number is split into halves of four
    /// digits, these into two and these into one, all halves at once.
    @inline(__always)
    private static func digits(of number: UInt64) -> UInt64 {
        let (high, low) = number.quotientAndRemainder(dividingBy: 10_000)
        let fours = high | low << 32
        let hundreds = (fours &* 10_486) >> 20 & 0x0000_007F_0000_007F
        let twos = hundreds | (fours &- hundreds &* 100) << 16
        let tens = (twos &* 103) >> 10 & 0x000F_000F_000F_000F
        return tens | (twos &- tens &* 10) << 8
    }

    /// Writes a number, or one of the strings "NaN", "Infinity" and "-Infinity", for which JSON has no numbers.
    mutating func put(_ number: Double) {
        guard number.isFinite else {
            return put(number.isNaN ? "\"NaN\"" : number > 0 ? "\"Infinity\"" : "\"-Infinity\"")
        }
        var text = number.description
        text.withUTF8 { digits in
            guard let first = digits.baseAddress else { return }
            put(first, count: digits.count)
        }
    }
}

// MARK: Strings

extension JSONOutput {
    /// Writes text in quotes. Invalid UTF-8 becomes U+FFFD, one for each maximal subpart, as the Unicode standard recommends.
    @inline(__always)
    mutating func put(text: UnsafeRawPointer, count: Int) throws(TLFault) {
        try reserve(count + 16)
        put(UInt8(ascii: "\""))
        var at = text
        let end = text + count
        // Text that is not plain ASCII is checked once as a whole instead of once for each character.
        var isChecked = false
        var isUTF8 = false
        while end - at >= 8 {
            let eight = at.loadUnaligned(as: UInt64.self)
            if !isChecked && JSONOutput.hasOther(eight) {
                isUTF8 = UnsafeRawBufferPointer(start: at, count: end - at).isUTF8
                isChecked = true
            }
            if JSONOutput.needsEscape(eight) || (!isUTF8 && JSONOutput.hasOther(eight)) {
                try put(from: &at, to: end, isUTF8: isUTF8)
            } else {
                put(eight: eight)
                at += 8
            }
        }
        if at < end && !putLast(end - at, from: text, to: end, isUTF8: isUTF8) {
            while at < end { try put(from: &at, to: end, isUTF8: isUTF8) }
        }
        put(UInt8(ascii: "\""))
    }

    /// Writes the last bytes of a text, fewer than eight, together with those before them, instead of one by one.
    ///
    /// - Returns: false, with nothing written, for a text of fewer than four bytes, and if one of the bytes needs more than a copy.
    @inline(__always)
    private mutating func putLast(
        _ count: Int, from text: UnsafeRawPointer, to end: UnsafeRawPointer, isUTF8: Bool
    ) -> Bool {
        if end - text >= 8 {
            // The bytes before the last ones are copied again. As none of the eight has an escape, those were written as they are.
            let eight = (end - 8).loadUnaligned(as: UInt64.self)
            guard !JSONOutput.needsEscape(eight), isUTF8 || !JSONOutput.hasOther(eight) else { return false }
            (at + count - 8).storeBytes(of: eight, as: UInt64.self)
        } else if count >= 4 {
            // Two halves, which overlap unless there are eight bytes.
            let (first, last) = (text.loadUnaligned(as: UInt32.self), (end - 4).loadUnaligned(as: UInt32.self))
            let eight = UInt64(first) | UInt64(last) << 32
            guard !JSONOutput.needsEscape(eight), !JSONOutput.hasOther(eight) else { return false }
            at.storeBytes(of: first, as: UInt32.self)
            (at + count - 4).storeBytes(of: last, as: UInt32.self)
        } else {
            return false
        }
        at += count
        return true
    }

    /// Returns whether one of eight bytes is not ASCII.
    @inline(__always)
    private static func hasOther(_ eight: UInt64) -> Bool { eight & 0x8080_8080_8080_8080 != 0 }

    /// Returns whether one of eight bytes is a control character, a quote or a backslash.
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

    /// Writes up to eight bytes one by one; there is room for the remaining text before and after the call.
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

    /// Returns the number of bytes from here on that are one character, or the beginning of one.
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

    /// Writes base64 with padding, in quotes.
    mutating func put(base64 bytes: UnsafeRawPointer, count: Int) throws(TLFault) {
        try reserve(count / 3 * 4 + 16)
        put(UInt8(ascii: "\""))
        var at = bytes
        let end = bytes + count
        JSONOutput.base64Pairs.withUnsafeBufferPointer { pairs in
            // Six bytes at a time; the load takes two more than are used.
            while end - at >= 8 {
                let word = UInt64(bigEndian: at.loadUnaligned(as: UInt64.self)) >> 16
                let first = UInt64(pairs[Int(word >> 36)]) | UInt64(pairs[Int(word >> 24 & 0xFFF)]) << 16
                let last = UInt64(pairs[Int(word >> 12 & 0xFFF)]) | UInt64(pairs[Int(word & 0xFFF)]) << 16
                put(eight: first | last << 32)
                at += 6
            }
        }
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

    /// The two base64 digits of each number of twelve bits, the first digit in the lower byte.
    private static let base64Pairs: [UInt16] = (UInt32(0)..<4096).map { word in
        let four: UInt32 = digits(of: word)
        return UInt16(truncatingIfNeeded: four >> 16)
    }

    /// Returns four base64 digits in the order in which they are stored in memory.
    @inline(__always)
    private static func digits(of word: UInt32) -> UInt32 {
        let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        let digits = alphabet.utf8Start
        let first = UInt32(digits[Int(word >> 18)]) | UInt32(digits[Int(word >> 12 & 63)]) << 8
        return first | UInt32(digits[Int(word >> 6 & 63)]) << 16 | UInt32(digits[Int(word & 63)]) << 24
    }

    /// Writes up to 32 bytes in their order as hexadecimal digits in quotes.
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
