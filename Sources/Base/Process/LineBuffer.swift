/// Cuts a stream of bytes into lines, and drops the part of a line beyond 256 KiB.
struct LineBuffer: Sendable {
    private var bytes: [UInt8] = []
    private let maxLineBytes = 256 << 10

    /// Takes bytes and hands out the lines that they complete, except empty ones.
    mutating func append(_ more: UnsafeRawBufferPointer, _ onLine: (String) -> Void) {
        var rest = more[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            take(rest[..<end])
            finish(onLine)
            rest = rest[(end + 1)...]
        }
        take(rest)
    }

    /// Hands out a last line that has no line feed.
    mutating func finish(_ onLine: (String) -> Void) {
        guard !bytes.isEmpty else { return }
        onLine(String(decoding: bytes, as: UTF8.self))
        bytes.removeAll(keepingCapacity: true)
    }

    private mutating func take(_ part: Slice<UnsafeRawBufferPointer>) {
        bytes.append(contentsOf: part.prefix(max(0, maxLineBytes - bytes.count)))
    }
}

/// Keeps the last 16 KiB of a stream of bytes, to be read as lines.
struct LineTail {
    private var bytes: [UInt8] = []
    private let maxBytes = 16 << 10

    mutating func append(_ more: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: more.suffix(maxBytes))
        if bytes.count > 2 * maxBytes { bytes.removeFirst(bytes.count - maxBytes) }
    }

    var lines: [String] {
        bytes.suffix(maxBytes).split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) }
    }
}
