import Blocking
public import Envelope
import Glibc

/// Where whole lines go, for tasks: standard output, a file (appended to) or a FIFO.
///
/// A write returns when the kernel has all of it; `LineOutput` says more.
public final class EventOutput: Sendable {
    private let thread = BlockingThread()
    private let output: LineOutput

    /// - Parameters:
    ///   - endpoint: `-` or a path; a FIFO is opened when a reader is there.
    ///   - shutdown: ends the wait for that reader.
    /// - Throws: `StageError` (74), and `CancellationError` when the wait was ended.
    public init(endpoint: String, shutdown: Shutdown) async throws {
        let probe = try await EventOutput.waitForReader(of: endpoint, shutdown)
        defer { if let probe { close(probe) } }
        output = try await thread.run { try LineOutput(endpoint: endpoint) }
    }

    /// To block in `open` until a FIFO has a reader would not hear a signal.
    ///
    /// - Returns: a descriptor that keeps the next `open` from blocking; nil for what is no FIFO.
    private static func waitForReader(of path: String, _ shutdown: Shutdown) async throws -> Int32? {
        var status = stat()
        guard path != "-", stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFIFO else { return nil }
        while true {
            let descriptor = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC)
            if descriptor >= 0 { return descriptor }
            guard errno == ENXIO || errno == EINTR else { throw StageError.localIO("unable to open \(path)") }
            _ = try await shutdown.interrupting { try await Task.sleep(for: .milliseconds(20)) }
            guard !shutdown.isRequested else { throw CancellationError() }
        }
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
