package import JSON
import System
import Synchronization

/// Lines from standard input, a file or a FIFO, for tasks; ends at end of file or at shutdown.
package final class EventInput: Sendable {
    private let thread = BlockingThread()
    private let reader: Mutex<LineReader>

    /// - Parameter endpoint: `-` or a path.
    package init(endpoint: String, maxLineBytes: Int, shutdown: Shutdown) {
        reader = Mutex(LineReader(endpoint: endpoint, maxLineBytes: maxLineBytes, shutdown: shutdown))
    }

    /// What is readable now, at least one line; waits until there is one. nil: the end.
    package func next() async throws -> [LineSplitter.Output]? {
        try await thread.run { try self.reader.withLock { try $0.next() } }
    }
}
