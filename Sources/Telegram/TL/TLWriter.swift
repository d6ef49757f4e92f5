/// Writes single TL values, for data that is not made from JSON: message frames, parts of files.
package struct TLWriter: Sendable {
    package private(set) var bytes: [UInt8]

    package init(reserving count: Int = 0) {
        bytes = []
        bytes.reserveCapacity(count)
    }

    /// Takes what was written, so that it can be changed without a copy; the writer is empty then.
    package mutating func take() -> [UInt8] {
        defer { bytes = [] }
        return bytes
    }

    /// Writes a constructor's id, flags, or a count.
    package mutating func word(_ value: UInt32) { append(value.littleEndian) }

    package mutating func int(_ value: Int32) { append(value.littleEndian) }

    package mutating func long(_ value: Int64) { append(value.littleEndian) }

    package mutating func double(_ value: Double) { append(value.bitPattern.littleEndian) }

    package mutating func bool(_ value: Bool) { word(value ? TLNumber.boolTrue : TLNumber.boolFalse) }

    /// Writes the beginning of a vector; the caller writes the elements.
    package mutating func vector(count: Int) {
        word(TLNumber.vector)
        word(UInt32(truncatingIfNeeded: count))
    }

    /// Writes bytes without a length: whole objects, or integers of 128 and 256 bits.
    package mutating func raw(_ value: some Collection<UInt8>) { bytes.append(contentsOf: value) }

    package mutating func string(_ value: String) { bytes(Array(value.utf8)) }

    /// Writes at most `maxBytesCount` bytes with their length, and zeros up to a multiple of four.
    package mutating func bytes(_ value: some Collection<UInt8>) {
        let count = value.count
        if count < 254 {
            bytes.append(UInt8(count))
        } else {
            word(UInt32(truncatingIfNeeded: count << 8 | 254))
        }
        bytes.append(contentsOf: value)
        let head = count < 254 ? 1 : 4
        bytes.append(contentsOf: repeatElement(0, count: -(head + count) & 3))
    }

    /// The most bytes of a string, whose length has three bytes.
    package static let maxBytesCount = 1 << 24 - 1

    private mutating func append(_ value: some BitwiseCopyable) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }
}
