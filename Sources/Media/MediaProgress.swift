package import Payloads
import Synchronization

/// Receives progress from time to time, on any thread, with one call at a time for one job. The progress does not name
/// the kind of media.
package typealias ProgressHandler = @Sendable (MediaProgress) -> Void

/// Turns the byte counts of a caller's fetch into progress, on any thread.
final class ByteCountReports: Sendable {
    private let state = Mutex((meter: RateMeter(), most: Int64(0)))
    private let sizeBytes: Int64?
    private let onProgress: ProgressHandler

    init(_ sizeBytes: Int64?, _ onProgress: @escaping ProgressHandler) {
        (self.sizeBytes, self.onProgress) = (sizeBytes, onProgress)
    }

    @Sendable func add(_ doneBytes: Int64) {
        state.withLock { state in
            state.most = max(state.most, doneBytes)
            guard let rate = state.meter.report(at: state.most) else { return }
            let fraction = sizeBytes.flatMap { $0 > 0 ? min(1, Double(state.most) / Double($0)) : nil }
            onProgress(
                MediaProgress(
                    .downloading, fraction: fraction, doneBytes: state.most, totalBytes: sizeBytes,
                    bytesPerSecond: rate))
        }
    }
}

/// Measures bytes a second over the last 3 seconds, and limits reports to one in 100 ms.
struct RateMeter {
    private var samples: [(time: ContinuousClock.Instant, bytes: Int64)] = []
    private var lastReport: ContinuousClock.Instant?
    private let interval = Duration.milliseconds(100)
    private let window = Duration.seconds(3)

    /// Returns the rate to report, or nil when it is too early for a report.
    mutating func report(at bytes: Int64) -> Double?? {
        let now = ContinuousClock.now
        if let lastReport, now - lastReport < interval { return nil }
        lastReport = now
        samples.append((now, bytes))
        let oldest = now - window
        samples.removeAll { $0.time < oldest }
        guard let first = samples.first, now > first.time else { return .some(nil) }
        let elapsed = (now - first.time) / .seconds(1)
        return .some(max(0, Double(bytes - first.bytes) / elapsed))
    }
}
