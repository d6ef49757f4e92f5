import Payloads
import Synchronization

/// Collects the progress of a fetch.
final class ProgressLog: Sendable {
    private let reports = Mutex<[MediaProgress]>([])

    @Sendable func add(_ progress: MediaProgress) { reports.withLock { $0.append(progress) } }

    var all: [MediaProgress] { reports.withLock { $0 } }
}
