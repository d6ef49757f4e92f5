import Blocking
import Envelope
import Glibc
import Synchronization

/// Lines from standard input, a file or a FIFO; ends at end of file or at shutdown.
final class EventInput: Sendable {
    private let thread = BlockingThread()
    private let reader: Mutex<LineReader>

    /// - Parameter endpoint: `-` or a path.
    init(endpoint: String, maxLineBytes: Int, shutdown: Shutdown) throws {
        reader = Mutex(LineReader(descriptor: endpoint == "-" ? STDIN_FILENO : nil, path: endpoint, maxLineBytes: maxLineBytes, shutdown: shutdown))
    }

    /// What is readable now, at least one line; waits until there is one. nil: the end.
    func next() async throws -> [LineSplitter.Output]? {
        try await thread.run { try self.reader.withLock { try $0.next() } }
    }
}

private struct LineReader: ~Copyable {
    private var descriptor: Int32?
    private let path: String
    private let shutdown: Shutdown
    private var splitter: LineSplitter
    private var isAtEnd = false

    init(descriptor: Int32?, path: String, maxLineBytes: Int, shutdown: Shutdown) {
        self.descriptor = descriptor
        self.path = path
        self.shutdown = shutdown
        splitter = LineSplitter(maxLineBytes: maxLineBytes)
    }

    deinit { if let descriptor, descriptor != STDIN_FILENO { close(descriptor) } }

    mutating func next() throws -> [LineSplitter.Output]? {
        while !isAtEnd {
            guard let descriptor = try opened(), try isReadable(descriptor) else { break }
            let free = splitter.free
            let count = read(descriptor, free.baseAddress, free.count)
            if count < 0 {
                if errno == EINTR || errno == EAGAIN { continue }
                throw StageError.localIO("unable to read \(name)")
            }
            if count == 0 { break }
            let outputs = splitter.take(count)
            if !outputs.isEmpty { return outputs }
        }
        guard !isAtEnd else { return nil }
        isAtEnd = true
        // After a signal an unfinished line is not the last line of anything.
        let rest = shutdown.isRequested ? [] : splitter.finish()
        return rest.isEmpty ? nil : rest
    }

    /// A FIFO is opened at the first read, without blocking for a writer: a signal must be heard meanwhile.
    private mutating func opened() throws -> Int32? {
        if let descriptor { return descriptor }
        let opened = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard opened >= 0 else { throw StageError.localIO("unable to open \(path)") }
        descriptor = opened
        return opened
    }

    /// Waits for data or the end of file. False: shutdown was requested.
    private func isReadable(_ descriptor: Int32) throws -> Bool {
        var set = [
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: shutdown.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        while poll(&set, 2, -1) < 0 {
            guard errno == EINTR else { throw StageError.localIO("unable to wait for \(name)") }
        }
        return set[1].revents == 0
    }

    private var name: String { path == "-" ? "standard input" : path }
}
