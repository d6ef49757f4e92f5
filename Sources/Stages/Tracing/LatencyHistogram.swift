/// Counts durations by their size, in steps of about a fifth, from a microsecond to some days.
///
/// Adding costs some instructions and no memory, so quantiles of any number of durations are free of lists.
package struct LatencyHistogram: Sendable, Equatable {
    /// Each power of two is divided into this many steps.
    private static let steps = 4
    private static let powers = 40

    private var counts = [UInt32](repeating: 0, count: powers * steps)
    package private(set) var count = 0

    package init() {}

    /// Adds a duration; a negative one counts as zero.
    ///
    /// - Parameter times: the number of events that took it.
    package mutating func add(_ duration: Duration, times: Int = 1) {
        let (seconds, attoseconds) = duration.components
        let limit: Int64 = 1_000_000_000
        let whole = min(max(0, seconds), limit) * 1_000_000
        add(microseconds: UInt64(max(0, whole + (seconds < 0 ? 0 : attoseconds / 1_000_000_000_000))), times: times)
    }

    package mutating func add(microseconds: UInt64, times: Int = 1) {
        let index = LatencyHistogram.index(of: microseconds)
        counts[index] = UInt32(clamping: Int(counts[index]) + times)
        count += times
    }

    /// Returns the durations that were added since an earlier state of this histogram.
    package func since(_ earlier: LatencyHistogram) -> LatencyHistogram {
        var rest = self
        for index in counts.indices { rest.counts[index] = counts[index] &- min(earlier.counts[index], counts[index]) }
        rest.count = max(0, count - earlier.count)
        return rest
    }

    /// Returns the duration that a part of all durations does not exceed, up to the width of a step; nil without durations.
    ///
    /// - Parameter part: from 0 to 1.
    package func quantile(_ part: Double) -> Duration? {
        let total = counts.reduce(0) { $0 + Int($1) }
        guard total > 0 else { return nil }
        let rank = max(1, Int((Double(total) * min(1, max(0, part))).rounded(.up)))
        var sum = 0
        for (index, count) in counts.enumerated() {
            sum += Int(count)
            if sum >= rank { return .microseconds(LatencyHistogram.highest(of: index)) }
        }
        return nil
    }

    private static func index(of microseconds: UInt64) -> Int {
        guard microseconds >= UInt64(steps) else { return Int(microseconds) }
        let power = 63 - microseconds.leadingZeroBitCount
        // The two bits below the highest one select the step.
        let step = Int(microseconds >> UInt64(power - 2) & 3)
        return min((power - 1) * steps + step, powers * steps - 1)
    }

    /// Returns the largest number of microseconds that counts at an index.
    private static func highest(of index: Int) -> Int64 {
        guard index >= steps else { return Int64(index) }
        let (power, step) = (index / steps + 1, index % steps)
        return (Int64(steps + step + 1) << Int64(power - 2)) - 1
    }
}
