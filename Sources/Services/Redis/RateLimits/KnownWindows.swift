import Synchronization

/// Remembers which fixed windows are open, so that fewer commands are sent for them.
///
/// It may forget a window, or take one key for another: commands are chosen by it, and no decision depends on it. A counter that Redis has
/// lost is noticed by its count.
final class KnownWindows: Sendable {
    /// Tells what is known about the counter of a key.
    enum State {
        case unknown
        /// Its window is open for a while.
        case open
        /// Its window is open, and events were refused in it.
        case over
    }

    private struct Slot {
        /// 0 for none.
        var hash: UInt64 = 0
        var end = ContinuousClock.now
        var isOver = false
    }

    private static let slots = 1 << 15
    /// A window that ends sooner counts as unknown: commands take some time to reach the server.
    private static let margin = Duration.milliseconds(100)

    private let slots = Mutex<[Slot]>([])

    /// Returns what is known about each key.
    func states(of keys: [RateKeys.Key]) -> [State] {
        let limit = ContinuousClock.now + KnownWindows.margin
        return slots.withLock { slots in
            guard !slots.isEmpty else { return keys.map { _ in .unknown } }
            return keys.map { key in
                let slot = slots[KnownWindows.place(of: key)]
                guard slot.hash == key.hash, slot.end > limit else { return .unknown }
                return slot.isOver ? .over : .open
            }
        }
    }

    /// Notes windows.
    ///
    /// - Parameter windows: each key with the time that its window lasts from now on, and whether events were refused in it.
    func note(_ windows: [(key: RateKeys.Key, rest: Duration, isOver: Bool)]) {
        guard !windows.isEmpty else { return }
        let now = ContinuousClock.now
        slots.withLock { slots in
            if slots.isEmpty { slots = Array(repeating: Slot(), count: KnownWindows.slots) }
            for window in windows {
                slots[KnownWindows.place(of: window.key)] = Slot(
                    hash: window.key.hash, end: now + window.rest, isOver: window.isOver)
            }
        }
    }

    private static func place(of key: RateKeys.Key) -> Int {
        Int(truncatingIfNeeded: key.hash >> 16) & (slots - 1)
    }
}
