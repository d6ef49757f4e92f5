import ChatCommands
import Synchronization

/// Remembers the preferences that people have just set. tg-talk stores them, but it sees a message only after the gate, so that the next
/// command could come too early.
final class RecentPreferences: Sendable {
    /// The time after which tg-talk has stored a preference.
    private static let rememberedFor = Duration.seconds(30)
    private static let mostUsers = 1000

    private let known = Mutex<[Int64: (preferences: MediaPreferences, time: ContinuousClock.Instant)]>([:])

    func note(_ preferences: MediaPreferences, of user: Int64) {
        known.withLock { known in
            let now = ContinuousClock.now
            if known.count >= RecentPreferences.mostUsers {
                known = known.filter { now - $0.value.time < RecentPreferences.rememberedFor }
            }
            guard known.count < RecentPreferences.mostUsers else { return }
            known[user] = (preferences, now)
        }
    }

    /// Returns what a user has just set; nil if that is nothing, or long ago.
    subscript(user: Int64) -> MediaPreferences? {
        known.withLock { known in
            guard let found = known[user] else { return nil }
            guard .now - found.time < RecentPreferences.rememberedFor else {
                known[user] = nil
                return nil
            }
            return found.preferences
        }
    }
}
