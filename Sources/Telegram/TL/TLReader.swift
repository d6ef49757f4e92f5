/// Reads single TL values one after the other, for messages that are handled without a schema.
///
/// Every read checks that the bytes are there.
package struct TLReader: Sendable {
    private let content: ArraySlice<UInt8>
    private var at: Int

    package init(_ bytes: [UInt8]) { self.init(bytes[...]) }

    package init(_ bytes: ArraySlice<UInt8>) {
        content = bytes
        at = bytes.startIndex
    }

    /// The number of bytes read.
    package var offset: Int { at - content.startIndex }
    /// The bytes not read yet.
    package var rest: ArraySlice<UInt8> { content[at...] }

    /// The next constructor's id, which stays unread; nil at the end.
    package var next: UInt32? {
        var copy = self
        return try? copy.word()
    }

    /// Reads a constructor's id, flags, or a count.
    package mutating func word() throws(TLError) -> UInt32 { try number(UInt32.self) }

    package mutating func int() throws(TLError) -> Int32 { Int32(bitPattern: try word()) }

    package mutating func long() throws(TLError) -> Int64 { try number(Int64.self) }

    package mutating func double() throws(TLError) -> Double { Double(bitPattern: try number(UInt64.self)) }

    package mutating func bool() throws(TLError) -> Bool {
        switch next {
        case TLNumber.boolTrue: at += 4
        case TLNumber.boolFalse:
            at += 4
            return false
        default: throw unexpected(next)
        }
        return true
    }

    /// Reads bytes without a length: integers of 128 and 256 bits.
    package mutating func raw(_ count: Int) throws(TLError) -> ArraySlice<UInt8> {
        guard count >= 0, content.endIndex - at >= count else { throw truncated }
        defer { at += count }
        return content[at..<at + count]
    }

    package mutating func bytes() throws(TLError) -> ArraySlice<UInt8> {
        var copy = self
        let first = try copy.raw(1)
        var (head, count) = (1, Int(first[first.startIndex]))
        guard count < 255 else { throw TLError(.oversized, "bytes too long for a message", offset: offset) }
        if count == 254 {
            copy = self
            (head, count) = (4, Int(try copy.word() >> 8))
        }
        let whole = (head + count + 3) & ~3
        guard content.endIndex - at >= whole else { throw truncated }
        defer { at += whole }
        return content[at + head..<at + head + count]
    }

    /// Reads text; invalid UTF-8 becomes U+FFFD.
    package mutating func string() throws(TLError) -> String { String(decoding: try bytes(), as: UTF8.self) }

    /// Reads the beginning of a vector, and returns the number of elements that follow, each with at least `elementBytes` bytes.
    package mutating func vector(elementBytes: Int = 4) throws(TLError) -> Int {
        guard next == TLNumber.vector else { throw unexpected(next) }
        at += 4
        return try count(elementBytes: elementBytes)
    }

    /// Reads the beginning of a vector without an id, as `vector` does.
    package mutating func count(elementBytes: Int = 4) throws(TLError) -> Int {
        let count = Int(try word())
        guard count <= (content.endIndex - at) / elementBytes else {
            throw TLError(.oversized, "a length exceeds the remaining bytes", offset: offset - 4)
        }
        return count
    }

    /// Checks that all bytes were read.
    ///
    /// - Throws: `TLError`, `trailingBytes`, when bytes are left.
    package func end() throws(TLError) {
        guard at == content.endIndex else {
            throw TLError(.trailingBytes, "there are bytes after the end of the value", offset: offset)
        }
    }

    private mutating func number<Number: FixedWidthInteger & BitwiseCopyable>(
        _ type: Number.Type
    ) throws(TLError) -> Number {
        let raw = try raw(MemoryLayout<Number>.size)
        return Number(littleEndian: raw.withUnsafeBytes { $0.loadUnaligned(as: Number.self) })
    }

    private var truncated: TLError { TLError(.truncated, "the bytes end too early", offset: offset) }

    private func unexpected(_ id: UInt32?) -> TLError {
        guard let id else { return truncated }
        return TLError(
            .unexpectedConstructor, "a constructor of another type (\(TLSchema.hexadecimal(id)))", offset: offset)
    }
}
