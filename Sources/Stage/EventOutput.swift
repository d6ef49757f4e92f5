import Blocking
import Envelope
import Glibc

/// Where whole lines go: standard output, a file (appended to) or a FIFO.
///
/// A write returns when the kernel has all of it. On pipes and FIFOs it holds an advisory lock, so that several stages may write
/// into one FIFO without mixing lines longer than the 4,096 bytes that a pipe keeps together by itself.
public final class EventOutput: Sendable {
    private let thread = BlockingThread()
    private let descriptor: Int32
    private let name: String
    private let isPipe: Bool
    private let ownsDescriptor: Bool

    /// - Parameter endpoint: `-` or a path; a FIFO is opened when a reader is there.
    public init(endpoint: String) async throws {
        name = endpoint == "-" ? "standard output" : endpoint
        ownsDescriptor = endpoint != "-"
        let (thread, name) = (thread, name)
        descriptor = endpoint == "-" ? STDOUT_FILENO : try await thread.run { try EventOutput.open(endpoint, name) }
        var status = stat()
        isPipe = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT == S_IFIFO
    }

    deinit { if ownsDescriptor { close(descriptor) } }

    private static func open(_ path: String, _ name: String) throws -> Int32 {
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw StageError.localIO("unable to open \(name)") }
        return descriptor
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
        if isPipe { flock(descriptor, LOCK_EX) }
        defer { if isPipe { flock(descriptor, LOCK_UN) } }
        var written = 0
        while written < lines.count {
            let count = lines.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress.map { $0 + written }, lines.count - written) }
            if count >= 0 {
                written += count
            } else if errno == EAGAIN {
                var set = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
                poll(&set, 1, -1)
            } else if errno == EPIPE {
                throw StageError(.localIO, "nobody reads \(name) any more")
            } else if errno != EINTR {
                throw StageError.localIO("unable to write to \(name)")
            }
        }
    }
}
