import Glibc

/// Finds secrets by their form, in lines of programs that do not remove their own: passwords in URLs, tokens of bots, phone
/// numbers in international form, and keys of sessions.
package enum SecretPatterns {
    private static let replacement = Array("[secret]".utf8)
    /// The fewest characters of a token after its colon.
    private static let shortestToken = 30
    /// The fewest characters of a word that is taken for a key: digests and ids are shorter.
    private static let shortestKey = 200

    /// Returns the line with `[secret]` in place of each secret; nil if it has none.
    package static func removed(from line: UnsafeRawBufferPointer) -> [UInt8]? {
        // Most lines have none, and this finds that out several times as fast.
        guard mayHoldSecret(line) else { return nil }
        var output: [UInt8]?
        var kept = 0
        var index = 0
        var wordStart = 0
        while index < line.count {
            let byte = line[index]
            var found: Range<Int>?
            if isWord(byte) {
                index += 1
                if index < line.count, isWord(line[index]) { continue }
                if index - wordStart >= shortestKey { found = wordStart..<index }
            } else {
                if byte == UInt8(ascii: ":") { found = password(line, index) ?? token(line, index) }
                index += 1
            }
            if let found = found ?? phoneNumber(line, wordStart, index), found.lowerBound >= kept {
                output = (output ?? []) + line[kept..<found.lowerBound] + replacement
                kept = found.upperBound
                index = max(index, kept)
            }
            wordStart = index
        }
        guard var output else { return nil }
        output += line[kept...]
        return output
    }

    /// Returns false for a line that has no secret.
    private static func mayHoldSecret(_ line: UnsafeRawBufferPointer) -> Bool {
        // A word that is long enough covers one of these places.
        for place in stride(from: shortestKey - 1, to: line.count, by: shortestKey) where isWord(line[place]) {
            return true
        }
        var index = 0
        while let colon = next(UInt8(ascii: ":"), line, from: index) {
            if password(line, colon) != nil || token(line, colon) != nil { return true }
            index = colon + 1
        }
        index = 0
        while let plus = next(UInt8(ascii: "+"), line, from: index) {
            if plus + 1 < line.count, isDigit(line[plus + 1]) { return true }
            index = plus + 1
        }
        return false
    }

    /// Returns the next place of a byte.
    private static func next(_ byte: UInt8, _ line: UnsafeRawBufferPointer, from index: Int) -> Int? {
        guard let base = line.baseAddress, index < line.count,
            let found = memchr(base + index, Int32(byte), line.count - index)
        else { return nil }
        return UnsafeRawPointer(found) - base
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2B, 0x2D, 0x2F, 0x3D, 0x5F: true
        default: false
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }

    /// Returns the part of a URL between `://` and `@`.
    private static func password(_ line: UnsafeRawBufferPointer, _ colon: Int) -> Range<Int>? {
        guard colon + 3 < line.count, line[colon + 1] == 0x2F, line[colon + 2] == 0x2F else { return nil }
        var last: Int?
        var index = colon + 3
        loop: while index < line.count {
            switch line[index] {
            case 0x40: last = index
            case 0x00...0x20, 0x22, 0x2F, 0x3C, 0x3E, 0x3F, 0x23, 0x5C: break loop
            default: break
            }
            index += 1
        }
        guard let last, last > colon + 3 else { return nil }
        return colon + 3..<last
    }

    /// Returns the token of a bot: digits, a colon, and a long word.
    private static func token(_ line: UnsafeRawBufferPointer, _ colon: Int) -> Range<Int>? {
        var start = colon
        while start > 0, isDigit(line[start - 1]) { start -= 1 }
        guard (6...16).contains(colon - start) else { return nil }
        var end = colon + 1
        while end < line.count, isWord(line[end]), line[end] != 0x2B, line[end] != 0x2F, line[end] != 0x3D { end += 1 }
        return end - colon - 1 >= shortestToken ? start..<end : nil
    }

    /// Returns a number of 8 to 15 digits after a plus sign at the beginning of a word.
    private static func phoneNumber(_ line: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Range<Int>? {
        guard end - start >= 9, end - start <= 16, line[start] == 0x2B else { return nil }
        for index in start + 1..<end where !isDigit(line[index]) { return nil }
        return start..<end
    }
}
