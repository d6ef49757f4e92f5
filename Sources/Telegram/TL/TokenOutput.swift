import Glibc
import JSON

/// Collects a value as the tokens of a parsed JSON document. It takes a third of the time of writing its text and parsing that.
///
/// Texts are not copied: the tokens refer to the schema and to the decoded bytes, except for texts that those do not hold.
struct TokenOutput: ~Copyable {
    /// The tokens of a value, and the texts made for it.
    private var made = TokenMemory()
    private var at: UnsafeMutablePointer<JSONToken>
    private var end: UnsafeMutablePointer<JSONToken>
    private var texts = JSONOutput(maximum: 1 << 26)
    private let maximum: Int

    /// - Parameter maximum: the most bytes of tokens for one value.
    init(maximum: Int) {
        self.maximum = maximum
        (at, end) = (made.tokens, made.tokens)
    }

    /// Returns the last value, which is then forgotten. It holds no more memory than it needs, because many may wait.
    mutating func take() -> TokenMemory {
        made.resize(to: at - made.tokens)
        defer { clear() }
        return made
    }

    private mutating func clear() {
        made = TokenMemory()
        (at, end) = (made.tokens, made.tokens)
    }

    @inline(__always)
    private mutating func reserve(_ count: Int) throws(TLFault) {
        if end - at < count { try grow(to: max(at - made.tokens + count, 2 * (end - made.tokens))) }
    }

    @inline(never)
    private mutating func grow(to count: Int) throws(TLFault) {
        let used = at - made.tokens
        let capacity = min(count, maximum / MemoryLayout<JSONToken>.stride)
        guard capacity > end - made.tokens else { throw .oversized }
        made.resize(to: capacity)
        (at, end) = (made.tokens + used, made.tokens + capacity)
    }

    /// There is room for the token.
    @inline(__always)
    private mutating func put(_ kind: JSONToken.Kind, _ text: UnsafeRawPointer, count: Int) {
        at.pointee.kind = kind
        at.pointee.count = count
        at.pointee.bits = UInt64(UInt(bitPattern: text))
        at += 1
    }

    @inline(__always)
    private mutating func begin(_ kind: JSONToken.Kind) -> Int {
        defer { at += 1 }
        at.pointee.kind = kind
        return at - made.tokens
    }

    @inline(__always)
    private mutating func end(_ container: Int, count: Int) {
        made.tokens[container].count = count
        made.tokens[container].bits = UInt64(at - made.tokens - container)
    }

    /// Adds a text without its quotes, which `texts` holds.
    private mutating func putMadeText() {
        let text = UnsafeRawBufferPointer(rebasing: texts.bytes.dropFirst().dropLast())
        put(.string, made.keep(text), count: text.count)
    }
}

extension TokenOutput: DecodingOutput {
    mutating func begin(bytes: Int) throws(TLFault) {
        clear()
        // A key and a number take two tokens and four bytes, a long text no more tokens.
        try grow(to: max(16, bytes / 8))
    }

    @inline(__always)
    mutating func beginObject(_ head: UnsafePointer<UInt8>, count: Int) throws(TLFault) -> Int {
        try reserve(3)
        let object = begin(.object)
        // {"_":"name"
        put(.string, head + 2, count: 1)
        put(.string, head + 6, count: count - 7)
        return object
    }

    @inline(__always)
    mutating func putKey(_ key: UnsafePointer<UInt8>, count: Int) throws(TLFault) {
        try reserve(2)
        // ,"name":
        put(.string, key + 2, count: count - 4)
    }

    @inline(__always)
    mutating func endObject(_ object: Int, count: Int) throws(TLFault) { end(object, count: count) }

    mutating func beginArray() throws(TLFault) -> Int {
        try reserve(1)
        return begin(.array)
    }

    @inline(__always)
    mutating func beginElement(isFirst: Bool) throws(TLFault) { try reserve(1) }

    mutating func endArray(_ array: Int, count: Int) throws(TLFault) { end(array, count: count) }

    @inline(__always)
    mutating func put(integer: Int64) {
        at.pointee.kind = .integer
        at.pointee.count = 0
        at.pointee.bits = UInt64(bitPattern: integer)
        at += 1
    }

    @inline(__always)
    mutating func put(_ number: Int64) throws(TLFault) {
        guard number.magnitude > 9_007_199_254_740_991 else { return put(integer: number) }
        texts.clear()
        texts.put(number)
        putMadeText()
    }

    mutating func put(_ number: Double) throws(TLFault) {
        guard number.isFinite else {
            texts.clear()
            texts.put(number)
            return putMadeText()
        }
        at.pointee.kind = .double
        at.pointee.count = 0
        at.pointee.bits = number.bitPattern
        at += 1
    }

    @inline(__always)
    mutating func put(isTrue: Bool) {
        at.pointee.kind = isTrue ? .true : .false
        at.pointee.count = 0
        at += 1
    }

    @inline(__always)
    mutating func put(text: UnsafeRawPointer, count: Int) throws(TLFault) {
        let bytes = UnsafeRawBufferPointer(start: text, count: count)
        if TokenOutput.isASCII(bytes) || bytes.isUTF8 { return put(.string, text, count: count) }
        // Invalid UTF-8 becomes U+FFFD in the same way as in the text.
        var repaired = String(decoding: bytes, as: UTF8.self)
        repaired.withUTF8 { put(.string, made.keep(UnsafeRawBufferPointer($0)), count: $0.count) }
    }

    @inline(__always)
    private static func isASCII(_ bytes: UnsafeRawBufferPointer) -> Bool {
        var at = 0
        while bytes.count - at >= 8 {
            if bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self) & 0x8080_8080_8080_8080 != 0 { return false }
            at += 8
        }
        while at < bytes.count {
            if bytes[at] & 0x80 != 0 { return false }
            at += 1
        }
        return true
    }

    mutating func put(base64 bytes: UnsafeRawPointer, count: Int) throws(TLFault) {
        texts.clear()
        try texts.put(base64: bytes, count: count)
        putMadeText()
    }

    mutating func put(hexadecimal bytes: UnsafeRawPointer, count: Int) throws(TLFault) {
        texts.clear()
        try texts.put(hexadecimal: bytes, count: count)
        putMadeText()
    }
}

/// The tokens of one value, and the texts that were made for it.
final class TokenMemory {
    private(set) var tokens: UnsafeMutablePointer<JSONToken>
    private var texts: [UnsafeMutableRawBufferPointer] = []
    /// The number of bytes of the last of `texts` that are used.
    private var used = 0

    private static let firstTextBytes = 1 << 8

    init() { tokens = TokenMemory.resized(nil, to: 1) }

    deinit {
        free(tokens)
        for text in texts { text.deallocate() }
    }

    /// Keeps the first `count` tokens, and makes room for so many.
    func resize(to count: Int) { tokens = TokenMemory.resized(tokens, to: count) }

    private static func resized(
        _ tokens: UnsafeMutablePointer<JSONToken>?, to count: Int
    ) -> UnsafeMutablePointer<JSONToken> {
        // Mostly stays in place, unlike a copy to new memory.
        guard let memory = realloc(tokens, max(count, 1) * MemoryLayout<JSONToken>.stride) else {
            fatalError("out of memory")
        }
        return memory.assumingMemoryBound(to: JSONToken.self)
    }

    /// Keeps a copy of a text, and returns its place.
    func keep(_ text: UnsafeRawBufferPointer) -> UnsafeRawPointer {
        if texts.last.map({ $0.count - used < text.count }) ?? true {
            let size = max(text.count, TokenMemory.firstTextBytes << min(texts.count, 10))
            texts.append(.allocate(byteCount: size, alignment: 1))
            used = 0
        }
        let room = UnsafeMutableRawBufferPointer(rebasing: texts[texts.count - 1][used...])
        room.copyMemory(from: text)
        used += text.count
        return UnsafeRawPointer(room.baseAddress ?? UnsafeMutableRawPointer(tokens))
    }
}

/// A copy of some bytes that does not move.
///
/// It is `@unchecked Sendable` because it never changes.
final class FixedBytes: @unchecked Sendable {
    private let memory: UnsafeMutableRawBufferPointer
    private let count: Int

    init(_ bytes: [UInt8]) {
        count = bytes.count
        // simdjson may read so many bytes more.
        memory = .allocate(byteCount: count + JSONParser.paddingBytes, alignment: 16)
        memory.copyBytes(from: bytes)
    }

    deinit { memory.deallocate() }

    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[..<count]) }
}
