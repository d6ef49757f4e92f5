import JSON

/// Decides when each event of a replay is due, from the times at which the events were recorded.
///
/// All times count from the start of the replay, so that a late event delays no later one. A time before that of the event before
/// it makes no wait.
struct Pace: Sendable {
    /// By how much times may go back, as those of several recorders do, until the clock is taken to have been set.
    private static let jitterMicroseconds: Int64 = 60_000_000

    /// How many times faster than the recording; nil for as fast as possible.
    private let speed: Double?
    private let maxGapMicroseconds: Int64
    /// The latest time so far.
    private var latest: Int64?
    /// The recorded time since the first event, without what was cut from long gaps.
    private var elapsedMicroseconds: Int64 = 0
    /// The number of gaps that were shortened.
    private(set) var shortened = 0

    init(speed: Double?, maxGap: Duration) {
        self.speed = speed
        maxGapMicroseconds = min(maxGap.milliseconds, .max / 1_000_000) * 1000
    }

    /// Is false if no event has to wait.
    var isTimed: Bool { speed != nil }

    /// Returns the time since the start of the replay at which the next event is due, in nanoseconds.
    ///
    /// - Parameter time: the time of the event; nil if it has none and comes right after the event before it.
    mutating func due(_ time: Timestamp?) -> Int64 {
        guard let speed else { return 0 }
        if let time { advance(to: time.microseconds) }
        let nanoseconds = Double(elapsedMicroseconds) * 1000 / speed
        return nanoseconds < 9e18 ? Int64(nanoseconds) : .max
    }

    private mutating func advance(to time: Int64) {
        guard let last = latest else {
            latest = time
            return
        }
        // Times are between the years 0 and 9999, so that no difference overflows.
        let gap = time - last
        if gap >= 0 {
            if gap > maxGapMicroseconds { shortened += 1 }
            let sum = elapsedMicroseconds.addingReportingOverflow(min(gap, maxGapMicroseconds))
            elapsedMicroseconds = sum.overflow ? .max : sum.partialValue
            latest = time
        } else if -gap > Pace.jitterMicroseconds {
            latest = time
        }
    }
}
