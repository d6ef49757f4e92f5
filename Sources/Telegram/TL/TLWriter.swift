/// Writes TL values by hand, for what is better not made of JSON: frames of messages, parts of files.
package struct TLWriter: Sendable {
    package private(set) var bytes: [UInt8]

    package init(reserving count: Int = 0) {
        bytes = []
        bytes.reserveCapacity(count)
    }

    /// A constructor's id, flags, or a count.
    package mutating func word(_ value: UInt32) { append(value.littleEndian) }

    package mutating func int(_ value: Int32) { append(value.littleEndian) }

    package mutating func long(_ value: Int64) { append(value.littleEndian) }

    package mutating func double(_ value: Double) { append(value.bitPattern.littleEndian) }

    package mutating func bool(_ value: Bool) { word(value ? TLNumber.boolTrue : TLNumber.boolFalse) }

    /// The beginning of a vector; its elements follow.
    package mutating func vector(count: Int) {
        word(TLNumber.vector)
        word(UInt32(truncatingIfNeeded: count))
    }

    /// Bytes as they are: whole objects, or integers of 128 and 256 bits.
    package mutating func raw(_ value: some Collection<UInt8>) { bytes.append(contentsOf: value) }

    package mutating func string(_ value: String) { bytes(Array(value.utf8)) }

    /// Bytes with their length, filled up with zeros to a multiple of four; at most `longestBytes` of them.
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

    /// The length has three bytes.
    package static let longestBytes = 1 << 24 - 1

    private mutating func append(_ value: some BitwiseCopyable) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }
}
