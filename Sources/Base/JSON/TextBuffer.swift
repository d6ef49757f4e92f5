/// Collects JSON text in raw memory that grows, for output of many short pieces: an array would count references and check
/// its bounds for each piece.
///
/// It is not for two threads at once.
package final class TextBuffer {
    /// The memory, and the place where the next byte is written.
    package struct Memory {
        package var start: UnsafeMutableRawPointer
        package var at: UnsafeMutableRawPointer
        package var end: UnsafeMutableRawPointer
    }

    /// Other modules may write here directly, after `reserve`: calls between modules cannot be inlined.
    package let memory: UnsafeMutablePointer<Memory>

    private static let firstBytes = 1 << 12
    /// Memory above this size is released by `clear`.
    private static let keptBytes = 1 << 20

    package init() {
        memory = .allocate(capacity: 1)
        memory.initialize(to: TextBuffer.allocated(TextBuffer.firstBytes))
    }

    deinit {
        memory.pointee.start.deallocate()
        memory.deallocate()
    }

    private static func allocated(_ count: Int) -> Memory {
        let start = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 16)
        return Memory(start: start, at: start, end: start + count)
    }

    package var count: Int { memory.pointee.at - memory.pointee.start }

    /// The text, valid until the next change.
    package var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: memory.pointee.start, count: memory.pointee.at - memory.pointee.start)
    }

    /// Removes what was written after the first `count` bytes.
    package func truncate(to count: Int) {
        precondition(0 <= count && count <= self.count)
        memory.pointee.at = memory.pointee.start + count
    }

    /// Removes all text.
    package func clear() {
        if memory.pointee.end - memory.pointee.start > TextBuffer.keptBytes {
            memory.pointee.start.deallocate()
            memory.pointee = TextBuffer.allocated(TextBuffer.firstBytes)
        }
        memory.pointee.at = memory.pointee.start
    }

    /// Makes room for so many bytes.
    package func reserve(_ count: Int) {
        if memory.pointee.end - memory.pointee.at < count { grow(count) }
    }

    @inline(never)
    private func grow(_ count: Int) {
        let old = memory.pointee
        let used = old.at - old.start
        var larger = TextBuffer.allocated(max(used + count, 2 * (old.end - old.start)))
        larger.start.copyMemory(from: old.start, byteCount: used)
        larger.at += used
        old.start.deallocate()
        memory.pointee = larger
    }
}

// MARK: Pieces

extension TextBuffer {
    package func put(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress else { return }
        reserve(bytes.count)
        memory.pointee.at.copyMemory(from: start, byteCount: bytes.count)
        memory.pointee.at += bytes.count
    }

    package func put(_ bytes: [UInt8]) { bytes.withUnsafeBytes { put($0) } }

    package func put(literal: StaticString) {
        put(UnsafeRawBufferPointer(start: literal.utf8Start, count: literal.utf8CodeUnitCount))
    }

    /// Appends a part of the text once more.
    package func put(again range: Range<Int>) {
        precondition(range.upperBound <= count)
        reserve(range.count)
        memory.pointee.at.copyMemory(from: memory.pointee.start + range.lowerBound, byteCount: range.count)
        memory.pointee.at += range.count
    }

    /// Appends a number in decimal digits.
    package func put(integer: Int64) {
        reserve(24)
        var at = memory.pointee.at
        var rest = integer.magnitude
        if integer < 0 {
            at.storeBytes(of: UInt8(ascii: "-"), as: UInt8.self)
            at += 1
        }
        let count = TextBuffer.digits(of: rest)
        var place = at + count
        while rest >= 100 {
            let (more, two) = rest.quotientAndRemainder(dividingBy: 100)
            place -= 2
            place.storeBytes(of: TextBuffer.pair(Int(two)), as: UInt16.self)
            rest = more
        }
        if rest >= 10 {
            at.storeBytes(of: TextBuffer.pair(Int(rest)), as: UInt16.self)
        } else {
            at.storeBytes(of: UInt8(ascii: "0") + UInt8(rest), as: UInt8.self)
        }
        memory.pointee.at = at + count
    }

    private static func digits(of number: UInt64) -> Int {
        var (count, limit) = (1, UInt64(10))
        while number >= limit {
            count += 1
            guard count < 20 else { break }
            limit &*= 10
        }
        return count
    }

    /// Returns two decimal digits in the order in which they are stored in memory.
    private static func pair(_ number: Int) -> UInt16 {
        let (tens, ones) = number.quotientAndRemainder(dividingBy: 10)
        return UInt16(0x3030) + UInt16(truncatingIfNeeded: tens) + UInt16(truncatingIfNeeded: ones) << 8
    }

    /// Appends a value of a parsed document as compact JSON text.
    package func put(_ value: JSONView) {
        if let text = value.text {
            put(jsonString: text)
        } else if let integer = value.plainInteger {
            put(integer: integer)
        } else if value.isObject {
            put(literal: "{")
            var isFirst = true
            for (key, value) in value.members {
                if !isFirst { put(literal: ",") }
                isFirst = false
                put(jsonString: key)
                put(literal: ":")
                put(value)
            }
            put(literal: "}")
        } else {
            put(tree: value.json)
        }
    }

    package func put(tree: JSON) { put(tree.bytes) }
}

// MARK: Strings

extension TextBuffer {
    /// Appends a string, given in UTF-8, in quotes and with escapes.
    package func put(jsonString text: UnsafeRawBufferPointer) {
        reserve(text.count + 16)
        var at = memory.pointee.at
        at.storeBytes(of: UInt8(ascii: "\""), as: UInt8.self)
        at += 1
        if var from = text.baseAddress {
            let end = from + text.count
            while from < end {
                // Eight bytes without a character to escape are copied at once.
                if end - from >= 8 {
                    let eight = from.loadUnaligned(as: UInt64.self)
                    if !TextBuffer.needsEscape(eight) {
                        at.storeBytes(of: eight, as: UInt64.self)
                        (from, at) = (from + 8, at + 8)
                        continue
                    }
                }
                at = put(from: &from, to: end, at)
            }
        }
        at.storeBytes(of: UInt8(ascii: "\""), as: UInt8.self)
        memory.pointee.at = at + 1
    }

    /// Writes up to eight bytes of a string one by one; there is room for the remaining ones before and after the call.
    private func put(
        from: inout UnsafeRawPointer, to end: UnsafeRawPointer, _ start: UnsafeMutableRawPointer
    ) -> UnsafeMutableRawPointer {
        var at = start
        let soon = end - from > 8 ? from + 8 : end
        while from < soon {
            let byte = from.load(as: UInt8.self)
            from += 1
            if byte < 0x20 || byte == 0x22 || byte == 0x5C {
                memory.pointee.at = at
                putEscaped(byte)
                reserve(end - from + 16)
                at = memory.pointee.at
            } else {
                at.storeBytes(of: byte, as: UInt8.self)
                at += 1
            }
        }
        return at
    }

    @inline(never)
    private func putEscaped(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""): put(literal: "\\\"")
        case UInt8(ascii: "\\"): put(literal: "\\\\")
        case 0x0A: put(literal: "\\n")
        case 0x0D: put(literal: "\\r")
        case 0x09: put(literal: "\\t")
        default:
            put(literal: "\\u00")
            put([hexDigits[Int(byte >> 4)], hexDigits[Int(byte & 15)]])
        }
    }

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

    /// Appends bytes as base64 without padding, with the alphabet for URLs and file names.
    ///
    /// Source: RFC 4648, section 5.
    package func put(base64ForURLs bytes: UnsafeRawBufferPointer) {
        guard var from = bytes.baseAddress else { return }
        reserve(bytes.count / 3 * 4 + 8)
        var at = memory.pointee.at
        let end = from + bytes.count
        while end - from >= 3 {
            let word = UInt32(from.load(as: UInt8.self)) << 16 | UInt32((from + 1).load(as: UInt8.self)) << 8
            at.storeBytes(of: TextBuffer.base64(word | UInt32((from + 2).load(as: UInt8.self))), as: UInt32.self)
            (from, at) = (from + 3, at + 4)
        }
        if from < end {
            let isLast = end - from == 1
            let second = isLast ? 0 : (from + 1).load(as: UInt8.self)
            let word = UInt32(from.load(as: UInt8.self)) << 16 | UInt32(second) << 8
            at.storeBytes(of: TextBuffer.base64(word), as: UInt32.self)
            at += isLast ? 2 : 3
        }
        memory.pointee.at = at
    }

    /// Appends the bytes that base64 with padding stands for.
    ///
    /// - Returns: false, with nothing appended, for a text that `Base64` refuses, and for one whose last digit has bits without a
    ///   meaning.
    package func put(decodingBase64 text: UnsafeRawBufferPointer) -> Bool {
        guard text.count % 4 == 0 else { return false }
        let padding = text.suffix(2).reversed().prefix { $0 == UInt8(ascii: "=") }.count
        reserve(text.count / 4 * 3)
        var at = memory.pointee.at
        for place in stride(from: 0, to: text.count, by: 4) {
            let isLast = place + 4 == text.count
            var word: UInt32 = 0
            for index in 0..<4 {
                let isPadding = isLast && index >= 4 - padding
                guard let digit = isPadding ? 0 : TextBuffer.value(ofBase64: text[place + index]) else { return false }
                word = word << 6 | digit
            }
            let bytes = isLast ? 3 - padding : 3
            guard word & (0xFF_FFFF >> UInt32(8 * bytes)) == 0 else { return false }
            for index in 0..<bytes {
                at.storeBytes(of: UInt8(truncatingIfNeeded: word >> UInt32(16 - 8 * index)), as: UInt8.self)
                at += 1
            }
        }
        memory.pointee.at = at
        return true
    }

    private static func value(ofBase64 digit: UInt8) -> UInt32? {
        switch digit {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }

    /// Returns four base64 digits in the order in which they are stored in memory.
    @inline(__always)
    private static func base64(_ word: UInt32) -> UInt32 {
        let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        let digits = alphabet.utf8Start
        let first = UInt32(digits[Int(word >> 18)]) | UInt32(digits[Int(word >> 12 & 63)]) << 8
        return first | UInt32(digits[Int(word >> 6 & 63)]) << 16 | UInt32(digits[Int(word & 63)]) << 24
    }
}
