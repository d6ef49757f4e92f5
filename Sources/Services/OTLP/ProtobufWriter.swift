/// Writes the wire format of protobuf into one buffer.
///
/// Source: https://protobuf.dev/programming-guides/encoding/
struct ProtobufWriter {
    private(set) var bytes: [UInt8] = []

    mutating func put(_ field: UInt64, varint value: UInt64) {
        putTag(field, 0)
        putVarint(value)
    }

    mutating func put(_ field: UInt64, fixed64 value: UInt64) {
        putTag(field, 1)
        withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }

    mutating func put(_ field: UInt64, fixed32 value: UInt32) {
        putTag(field, 5)
        withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    }

    mutating func put(_ field: UInt64, _ content: [UInt8]) {
        putTag(field, 2)
        putVarint(UInt64(content.count))
        bytes += content
    }

    mutating func put(_ field: UInt64, _ text: String) {
        var text = text
        text.withUTF8 { content in
            putTag(field, 2)
            putVarint(UInt64(content.count))
            bytes += UnsafeRawBufferPointer(content)
        }
    }

    /// Writes a message, whose length is known only when its fields are written.
    mutating func put(_ field: UInt64, _ message: (inout ProtobufWriter) -> Void) {
        putTag(field, 2)
        let start = bytes.count
        // One byte is enough for the length of most messages; a longer one moves what was written.
        bytes.append(0)
        message(&self)
        let length = UInt64(bytes.count - start - 1)
        if length < 0x80 {
            bytes[start] = UInt8(length)
        } else {
            var prefix = ProtobufWriter()
            prefix.putVarint(length)
            bytes.replaceSubrange(start...start, with: prefix.bytes)
        }
    }

    private mutating func putTag(_ field: UInt64, _ type: UInt64) { putVarint(field << 3 | type) }

    private mutating func putVarint(_ number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}
