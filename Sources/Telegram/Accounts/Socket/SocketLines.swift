import JSON
import NIOCore
import Synchronization

/// Splits the bytes from a socket into lines.
struct SocketLines: ~Copyable {
    private let maxLineBytes: Int
    private var splitter: LineSplitter

    init(maxLineBytes: Int) {
        self.maxLineBytes = maxLineBytes
        splitter = LineSplitter(maxLineBytes: maxLineBytes, blockBytes: 64 << 10)
    }

    /// - Returns: the lines that the buffer completes.
    /// - Throws: `AccountError`, `socketProtocol`, if a line is too long.
    mutating func take(_ buffer: ByteBuffer) throws(AccountError) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        var rest = buffer.readableBytesView
        while !rest.isEmpty {
            let free = splitter.free
            let count = min(free.count, rest.count)
            rest.prefix(count).withUnsafeBytes { free.copyMemory(from: $0) }
            rest = rest.dropFirst(count)
            try collect(splitter.take(count), &lines)
        }
        return lines
    }

    /// Returns the last line, if it has no line feed.
    mutating func finish() throws(AccountError) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        try collect(splitter.finish(), &lines)
        return lines
    }

    private func collect(_ outputs: [LineSplitter.Output], _ lines: inout [[UInt8]]) throws(AccountError) {
        for output in outputs {
            switch output {
            case .lines(let block): lines += block.lines.map(\.bytes)
            case .tooLong:
                throw AccountError(.socketProtocol, "a line over the socket is longer than \(maxLineBytes) bytes")
            }
        }
    }
}

/// The writes to one client that have not completed. One timer watches all of them: a timer for each would stay in
/// memory until it expires, even if the write completes at once.
final class PendingWrites: Sendable {
    private struct State {
        var next = 0
        var begun: [Int: ContinuousClock.Instant] = [:]
    }

    private let state = Mutex(State())

    func during(_ write: () async throws -> Void) async throws {
        let number = state.withLock { state in
            state.next += 1
            state.begun[state.next] = .now
            return state.next
        }
        defer { _ = state.withLock { $0.begun.removeValue(forKey: number) } }
        try await write()
    }

    /// Returns when a write has waited for the time limit, or the task is cancelled.
    func waitUntilStuck(_ limit: Duration) async {
        while !Task.isCancelled {
            let oldest = state.withLock { $0.begun.values.min() }
            let left = limit - (oldest.map { .now - $0 } ?? .zero)
            guard left > .zero else { return }
            try? await Task.sleep(for: left)
        }
    }
}
