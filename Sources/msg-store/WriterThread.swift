import Archive
import Glibc
import JSON
import Stage
import System

/// Runs an archive's writer on a thread of its own.
final class WriterThread: Sendable {
    private let thread = BlockingThread()
    private let writer: ArchiveWriter
    /// Is true if batches are to keep all figures of messages.
    let keepsCounters: Bool

    /// Opens the archive; see `ArchiveWriter`.
    init(_ address: ArchiveAddress, _ settings: ArchiveWriter.Settings, _ runtime: Runtime) async throws {
        let shutdown = runtime.shutdown
        let log = runtime.log
        keepsCounters = settings.keepsCounters
        writer = try await thread.run {
            try ArchiveWriter(address, name: MsgStore.toolName, settings: settings, log: log) { pause in
                WriterThread.wait(pause, shutdown)
            }
        }
    }

    /// The number of events that were set aside; to be asked when nothing is being stored.
    var failures: Int { writer.failures }

    /// The number of messages that were inserted or updated; to be asked when nothing is being stored.
    var changed: Int { writer.changedMessages }

    /// Begins to store a batch, which must not be changed until the promise is kept.
    func begin(_ batch: RowBatch) -> Promise<Void> {
        let promise = Promise<Void>()
        thread.enqueue { [writer] in promise.fulfil(Result { try writer.store(batch) }) }
        return promise
    }

    /// Waits, unless the shutdown is requested.
    private static func wait(_ pause: Duration, _ shutdown: Shutdown) -> Bool {
        var set = pollfd(fd: shutdown.descriptor, events: Int16(POLLIN), revents: 0)
        let milliseconds = Int32(clamping: pause.milliseconds)
        while poll(&set, 1, milliseconds) < 0 && errno == EINTR {}
        return !shutdown.isRequested
    }
}
