import Synchronization

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
