/// How far a fetch is.
public struct MediaProgress: Sendable, Equatable {
    /// The words of `events.media.progress`.
    public enum State: String, Sendable {
        /// As many fetches as may are under way.
        case queued
        /// The same is being fetched for somebody else; this one waits for it.
        case waiting
        case downloading
        case converting
    }

    public var state: State
    /// 0…1, when it is known.
    public var fraction: Double?
    public var doneBytes: Int64?
    public var totalBytes: Int64?
    public var bytesPerSecond: Double?
    public var title: String?

    public init(
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
public typealias ProgressHandler = @Sendable (MediaProgress) -> Void
