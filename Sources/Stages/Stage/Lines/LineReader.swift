import Glibc
package import JSON
package import System

/// Reads lines from standard input, a file or a FIFO on the caller's own thread; ends at the end of the file or at shutdown.
package final class LineReader {
    private var descriptor: Int32?
    private let path: String
    private let name: String
    private let shutdown: Shutdown
    private var splitter: LineSplitter
    private var isAtEnd = false

    /// - Parameters:
    ///   - endpoint: `-` or a path; a FIFO or file is opened at the first read.
    ///   - blockBytes: the size of one read at most, unless a line is longer.
    package init(endpoint: String, maxLineBytes: Int, blockBytes: Int = 256 << 10, shutdown: Shutdown) {
        descriptor = endpoint == "-" ? STDIN_FILENO : nil
        (path, name) = (endpoint, endpoint == "-" ? "standard input" : endpoint)
        self.shutdown = shutdown
        splitter = LineSplitter(maxLineBytes: maxLineBytes, blockBytes: blockBytes)
        // A larger pipe makes fewer and larger reads; one that cannot be enlarged still works.
        if let descriptor { PipeCalls.resize(descriptor, bytes: Int32(clamping: min(blockBytes, 1 << 20))) }
    }

    /// Reads an open pipe, which closes with this object.
    ///
    /// - Parameter name: the pipe's name in errors.
    package init(descriptor: Int32, name: String, maxLineBytes: Int, shutdown: Shutdown) {
        (self.descriptor, path, self.name, self.shutdown) = (descriptor, "", name, shutdown)
        splitter = LineSplitter(maxLineBytes: maxLineBytes, blockBytes: 256 << 10)
    }

    deinit { if let descriptor, descriptor != STDIN_FILENO { close(descriptor) } }

    /// Returns the lines that are readable now; waits for the first. Returns nil at the end.
    ///
    /// - Parameter limit: the longest wait, after which there are no lines; nil for no limit.
    package func next(within limit: Duration? = nil) throws(ToolError) -> [LineSplitter.Output]? {
        let deadline = limit.map { ContinuousClock.now + $0 }
        while !isAtEnd {
            guard let descriptor = try opened() else { break }
            switch try waitUntilReadable(descriptor, deadline) {
            case .readable: break
            case .late: return []
            case .ending: return end()
            }
            let free = splitter.free
            let count = read(descriptor, free.baseAddress, free.count)
            if count < 0 {
                if errno == EINTR || errno == EAGAIN { continue }
                throw ToolError.localIO("unable to read \(name)")
            }
            if count == 0 { break }
            let outputs = splitter.take(count)
            if !outputs.isEmpty { return outputs }
        }
        return end()
    }

    private func end() -> [LineSplitter.Output]? {
        guard !isAtEnd else { return nil }
        isAtEnd = true
        // After a signal, an unfinished line is not taken as the last line, because its writer may still be writing it.
        let rest = shutdown.isRequested ? [] : splitter.finish()
        return rest.isEmpty ? nil : rest
    }

    /// Is true if more can be read without waiting.
    package var hasMore: Bool {
        guard !isAtEnd, let descriptor else { return false }
        var set = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&set, 1, 0) > 0
    }

    /// Opens the input at the first call. A FIFO is opened without waiting for a writer, since a signal would not end that wait.
    private func opened() throws(ToolError) -> Int32? {
        if let descriptor { return descriptor }
        let opened = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)
        guard opened >= 0 else { throw ToolError.localIO("unable to open \(path)") }
        descriptor = opened
        return opened
    }

    private enum Readiness {
        case readable
        /// The deadline came first.
        case late
        /// The shutdown is requested.
        case ending
    }

    /// Waits for data or the end of the file.
    private func waitUntilReadable(
        _ descriptor: Int32, _ deadline: ContinuousClock.Instant?
    ) throws(ToolError) -> Readiness {
        var set = [
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: shutdown.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        while true {
            let left = deadline.map { Int32(clamping: Int64((($0 - .now) / .milliseconds(1)).rounded(.up))) }
            let count = poll(&set, 2, left.map { max(0, $0) } ?? -1)
            if count > 0 { return set[1].revents == 0 ? .readable : .ending }
            if count == 0 { return .late }
            guard errno == EINTR else { throw ToolError.localIO("unable to wait for \(name)") }
        }
    }
}
