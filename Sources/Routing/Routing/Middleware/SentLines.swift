/// The end of what was written into a pipe, long enough to hold whatever may still be unread there: so that a reader that died
/// costs only what it had taken.
struct SentLines {
    private let pipeBytes: Int
    /// Begins with the beginning of a line.
    private var bytes: [UInt8] = []
    private var hasDropped = false

    /// - Parameter pipeBytes: how much the pipe can hold.
    init(pipeBytes: Int) { self.pipeBytes = pipeBytes }

    mutating func append(_ written: some Collection<UInt8>) {
        bytes.append(contentsOf: written)
        guard bytes.count > 4 * pipeBytes else { return }
        let start = lineStart(at: bytes.count - pipeBytes)
        guard start > bytes.count / 2 else { return }
        bytes.removeFirst(start)
        hasDropped = true
    }

    /// The lines that the reader has not taken, or not as a whole, when `unread` bytes are still in the pipe.
    func untaken(unread: Int) -> ArraySlice<UInt8> { bytes[lineStart(at: bytes.count - min(unread, bytes.count))...] }

    /// Whether the reader took a whole line.
    func hasTakenLine(unread: Int) -> Bool { hasDropped || untaken(unread: unread).startIndex > 0 }

    private func lineStart(at index: Int) -> Int {
        bytes[..<index].lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
    }
}
