import Glibc
package import JSON
package import System

/// Reads lines from standard input, a file or a FIFO on the caller's own thread; ends at the end of the file or at shutdown.
package final class LineReader {
    private var descriptor: Int32?
    private let path: String
    private let shutdown: Shutdown
    private var splitter: LineSplitter
    private var isAtEnd = false

    /// - Parameters:
    ///   - endpoint: `-` or a path; a FIFO or file is opened at the first read.
    ///   - blockBytes: the size of one read at most, unless a line is longer.
    package init(endpoint: String, maxLineBytes: Int, blockBytes: Int = 256 << 10, shutdown: Shutdown) {
        descriptor = endpoint == "-" ? STDIN_FILENO : nil
        path = endpoint
        self.shutdown = shutdown
        splitter = LineSplitter(maxLineBytes: maxLineBytes, blockBytes: blockBytes)
        // A larger pipe makes fewer and larger reads; one that cannot be enlarged still works.
        if let descriptor { PipeCalls.resize(descriptor, bytes: Int32(clamping: min(blockBytes, 1 << 20))) }
    }

    deinit { if let descriptor, descriptor != STDIN_FILENO { close(descriptor) } }

    /// Returns the lines that are readable now; waits for the first. Returns nil at the end.
    package func next() throws(ToolError) -> [LineSplitter.Output]? {
        while !isAtEnd {
            guard let descriptor = try opened(), try isReadable(descriptor) else { break }
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

    /// Waits for data or the end of the file.
    ///
    /// - Returns: false if the shutdown is requested.
    private func isReadable(_ descriptor: Int32) throws(ToolError) -> Bool {
        var set = [
            pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: shutdown.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        while poll(&set, 2, -1) < 0 {
            guard errno == EINTR else { throw ToolError.localIO("unable to wait for \(name)") }
        }
        return set[1].revents == 0
    }

    private var name: String { path == "-" ? "standard input" : path }
}
