import Glibc
import System

/// Waits until a moment of the monotonic clock, precisely.
enum PreciseWait {
    /// The rest of a wait that is slept without looking at the descriptor.
    private static let uninterruptedNanoseconds: Int64 = 2_000_000

    /// Blocks until a moment.
    ///
    /// - Parameters:
    ///   - deadline: in nanoseconds of `SystemClocks.monotonicNanoseconds`.
    ///   - descriptor: ends the wait once it is readable.
    /// - Returns: false if the descriptor ended the wait.
    static func until(_ deadline: Int64, interruptedBy descriptor: Int32) -> Bool {
        while true {
            let left = deadline.subtractingReportingOverflow(SystemClocks.monotonicNanoseconds)
            let rest = left.overflow ? .max : left.partialValue
            if rest <= 0 { return true }
            guard rest > uninterruptedNanoseconds else {
                usleep(UInt32(rest / 1000 + 1))
                continue
            }
            var set = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let milliseconds = (rest - uninterruptedNanoseconds) / 1_000_000
            if poll(&set, 1, Int32(clamping: milliseconds + 1)) > 0 { return false }
        }
    }
}
