import Archive
import Glibc
import JSON
import Stage
import System

/// The storing of a batch.
struct Storing {
    /// Kept once the batch is committed, and may be used again.
    let committed = Promise<Void>()
    /// Kept once the commit is on the disk, so that what was stored may be acknowledged.
    let durable = Promise<Void>()
}

/// Runs an archive's writer on a thread of its own.
final class WriterThread: Sendable {
    private let thread = BlockingThread()
    private let writer: ArchiveWriter
    private let syncs: CommitSyncs?
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
        syncs = writer.sync.map { CommitSyncs($0) }
    }

    /// The number of events that were set aside; to be asked when nothing is being stored.
    var failures: Int { writer.failures }

    /// The number of messages that were inserted or updated; to be asked when nothing is being stored.
    var changed: Int { writer.changedMessages }

    /// Begins to store a batch, which must not be changed until it is committed.
    func begin(_ batch: RowBatch) -> Storing {
        let storing = Storing()
        thread.enqueue { [writer, syncs] in
            let result = Result { try writer.store(batch) }
            if case .success = result, let syncs {
                syncs.add(storing.durable)
            } else {
                storing.durable.fulfil(result)
            }
            storing.committed.fulfil(result)
        }
        return storing
    }

    /// Waits, unless the shutdown is requested.
    private static func wait(_ pause: Duration, _ shutdown: Shutdown) -> Bool {
        var set = pollfd(fd: shutdown.descriptor, events: Int16(POLLIN), revents: 0)
        let milliseconds = Int32(clamping: pause.milliseconds)
        while poll(&set, 1, milliseconds) < 0 && errno == EINTR {}
        return !shutdown.isRequested
    }
}
