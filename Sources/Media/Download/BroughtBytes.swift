import Synchronization

/// Turns what somebody else tells of a file on its way into reports, from whichever thread that comes.
final class BroughtBytes: Sendable {
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
