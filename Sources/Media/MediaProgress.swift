/// How far a fetch is.
package struct MediaProgress: Sendable, Equatable {
    /// The words of `events.media.progress`.
    package enum State: String, Sendable {
        /// As many fetches as may are under way.
        case queued
        /// The same is being fetched for somebody else; this one waits for it.
        case waiting
        case downloading
        case converting
    }

    package var state: State
    /// 0…1, when it is known.
    package var fraction: Double?
    package var doneBytes: Int64?
    package var totalBytes: Int64?
    package var bytesPerSecond: Double?
    package var title: String?

    package init(
        _ state: State, fraction: Double? = nil, doneBytes: Int64? = nil, totalBytes: Int64? = nil,
        bytesPerSecond: Double? = nil, title: String? = nil
    ) {
        self.state = state
        self.fraction = fraction
        self.doneBytes = doneBytes
        self.totalBytes = totalBytes
        self.bytesPerSecond = bytesPerSecond
        self.title = title
    }
}

/// Called now and then, on any thread, never at the same time for one job.
package typealias ProgressHandler = @Sendable (MediaProgress) -> Void
