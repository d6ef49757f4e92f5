import CLinux
import Glibc

/// Wakes one thread after a time that other threads set.
///
/// To set it wakes no thread yet, and costs a tenth of what that does.
package final class Alarm: Sendable {
    private let descriptor: Int32
    /// The pause between two looks, without a descriptor for the timer.
    private static let pause = Duration.milliseconds(20)

    package init() { descriptor = tgp_timerfd() }

    deinit { if descriptor >= 0 { close(descriptor) } }

    /// Ends a wait when `delay` is over. Only the last call counts.
    package func set(after delay: Duration) {
        guard descriptor >= 0 else { return }
        let (seconds, attoseconds) = delay.components
        // The time zero would turn the timer off.
        _ = tgp_set_timer(descriptor, max(1, Int64(clamping: seconds) * 1_000_000_000 + attoseconds / 1_000_000_000))
    }

    /// Waits until the time that was set is over, or for at most `limit`. It may return early.
    package func wait(atMost limit: Duration? = nil) {
        let isUsable = descriptor >= 0
        let longest = isUsable ? limit : min(limit ?? Self.pause, Self.pause)
        let milliseconds = longest.map { Int32(clamping: Int64(min(1e9, ($0 / .milliseconds(1)).rounded(.up)))) } ?? -1
        var set = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&set, isUsable ? 1 : 0, milliseconds) > 0 else { return }
        var count: UInt64 = 0
        _ = read(descriptor, &count, MemoryLayout<UInt64>.size)
    }
}
