package import Envelope
import JSON
import Payloads
import Synchronization

/// Remembers flood waits by account and method, for all processes that use the account.
package protocol FloodLedger: Sendable {
    /// Returns the wait that remains; nil if the method may be called now.
    func wait(account: Int64, method: String) async -> FloodWait?
    func note(account: Int64, _ wait: FloodWait) async
}

/// Remembers flood waits for this process alone.
package final class LocalFloodLedger: FloodLedger {
    private struct Key: Hashable {
        let account: Int64
        let method: String
    }

    /// The number of waits from which on expired ones are removed.
    private static let most = 1000

    private let waits = Mutex<[Key: (until: ContinuousClock.Instant, reason: String)]>([:])

    package init() {}

    package func wait(account: Int64, method: String) async -> FloodWait? {
        guard let wait = waits.withLock({ $0[Key(account: account, method: method)] }) else { return nil }
        let remaining = wait.until - .now
        return remaining > .zero ? FloodWait(method: method, remaining: remaining, reason: wait.reason) : nil
    }

    package func note(account: Int64, _ wait: FloodWait) async {
        waits.withLock { waits in
            if waits.count >= LocalFloodLedger.most { waits = waits.filter { $0.value.until > .now } }
            let key = Key(account: account, method: wait.method)
            let until = ContinuousClock.now + wait.remaining
            // A shorter wait does not end a longer one that was noted before.
            if let known = waits[key], known.until > until { return }
            waits[key] = (until, wait.reason)
        }
    }
}

extension FloodWait {
    /// Tells that something is held up because Telegram wants a wait: `events.telegram.waiting`, caused by the current event.
    ///
    /// - Parameters:
    ///   - account: whose call waits, by its id.
    ///   - chat: that waits for it, as the Bot API writes its id; nil when it is no single one.
    package func event(account: Int64, chat: Int64? = nil) -> Envelope {
        let (whole, rest) = remaining.components
        return .derived(
            TelegramWaiting(
                accountID: account, method: method, until: Timestamp.now + remaining,
                seconds: max(0, rest > 0 ? whole + 1 : whole), reason: reason, chatID: chat))
    }
}
