import Blocking
public import Envelope

/// Where whole lines go, for tasks: standard output, a file (appended to) or a FIFO.
///
/// A write returns when the kernel has all of it; `LineOutput` says more.
public final class EventOutput: Sendable {
    private let thread = BlockingThread()
    private let output: LineOutput

    /// - Parameter endpoint: `-` or a path; a FIFO is opened when a reader is there.
    public init(endpoint: String) async throws {
        output = try await thread.run { try LineOutput(endpoint: endpoint) }
    }

    /// Writes whole lines, line feeds included.
    public func write(_ lines: [UInt8]) async throws {
        guard !lines.isEmpty else { return }
        try await thread.run { try self.writeNow(lines) }
    }

    public func write(_ envelopes: [Envelope]) async throws {
        try await write(envelopes.flatMap(\.line))
    }

    /// Writes an envelope and at once, before anything else can happen, runs `note`: what it notes down and what was written part
    /// only when the process is killed between two system calls.
    public func write(_ envelope: Envelope, noting note: @escaping @Sendable () throws -> Void) async throws {
        let line = envelope.line
        try await thread.run {
            try self.writeNow(line)
            try note()
        }
    }

    private func writeNow(_ lines: [UInt8]) throws {
        try lines.withUnsafeBytes { try output.write($0) }
    }
}
