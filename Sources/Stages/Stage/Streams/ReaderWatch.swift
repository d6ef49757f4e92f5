import Glibc
import Synchronization
import System

/// Ends a stage that waits for events of others (updates, entries of a queue) when the last reader of its standard output has ended.
///
/// Such a stage would notice only at its next write, which may be hours away: `tg-listen | head -1` would not end. A stage that reads
/// from a pipe needs no watch, because its pipeline ends from the front.
package final class ReaderWatch: Sendable {
    private struct State {
        var writes = false
        var waits = false
        var isWatching = false
    }

    private let shutdown: Shutdown
    private let state = Mutex(State())
    private let ended = Atomic(false)

    init(_ shutdown: Shutdown) { self.shutdown = shutdown }

    /// Is true if the reader has ended, which has requested the shutdown.
    var hasEnded: Bool { ended.load(ordering: .acquiring) }

    /// - Throws: `ToolError` (74) if the reader has ended.
    func check() throws(ToolError) {
        if hasEnded { throw ToolError(endOfReaderOf: "standard output") }
    }

    /// Notes that the stage writes its events to standard output.
    package func noteOutput() { begin { $0.writes = true } }

    /// Notes that the stage waits for events of others.
    package func noteWaiting() { begin { $0.waits = true } }

    private func begin(_ note: (inout State) -> Void) {
        let starts = state.withLock { state in
            note(&state)
            // Readers of a FIFO with a name may come back, and a socket may be that of a service manager.
            guard state.writes, state.waits, !state.isWatching, PipeCalls.isUnnamed("/dev/stdout") else { return false }
            state.isWatching = true
            return true
        }
        if starts { BlockingThread.start { [self] in watch() } }
    }

    private func watch() {
        var set = [
            pollfd(fd: STDOUT_FILENO, events: 0, revents: 0),
            pollfd(fd: shutdown.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        while poll(&set, 2, -1) < 0 { guard errno == EINTR else { return } }
        guard set[1].revents == 0, set[0].revents != 0 else { return }
        ended.store(true, ordering: .releasing)
        shutdown.request()
    }
}
