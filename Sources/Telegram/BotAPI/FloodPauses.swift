import Synchronization

/// Holds back calls that many events make, until the wait is over that Telegram required of one of them.
///
/// Calls that concern a chat are paced elsewhere; these concern none.
final class FloodPauses: Sendable {
    /// A longer wait is not waited for here: the event can do that in a queue.
    private static let longest = Duration.seconds(60)
    private static let attempts = 5

    private let ends = Mutex<[String: ContinuousClock.Instant]>([:])

    /// Makes a call when no wait is left, and again after the wait that Telegram requires of it.
    ///
    /// - Throws: the error of the call; a flood wait that is too long or that comes again and again.
    func during<Value>(
        _ method: String, _ call: () async throws(TelegramError) -> Value
    ) async throws(TelegramError) -> Value {
        var attempt = 1
        while true {
            try await waitForEnd(method)
            do {
                return try await call()
            } catch {
                guard let wait = error.retryAfter else { throw error }
                let end = ContinuousClock.now + wait
                ends.withLock { $0[method] = max($0[method] ?? end, end) }
                guard attempt < FloodPauses.attempts else { throw error }
                attempt += 1
            }
        }
    }

    private func waitForEnd(_ method: String) async throws(TelegramError) {
        while let end = ends.withLock({ $0[method] }), end > .now {
            let left = end - .now
            guard left <= FloodPauses.longest else {
                throw TelegramError(.floodWait, number: 429, "Telegram requires a wait", retryAfter: left)
            }
            do { try await Task.sleep(for: left) } catch { throw TelegramError(.network, "cancelled") }
        }
    }
}
