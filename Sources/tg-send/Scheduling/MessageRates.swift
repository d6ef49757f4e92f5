import JSON
import Payloads

/// Counts messages against the rates that Telegram allows a bot: 1 a second to a private chat (bursts of 4), 20 a
/// minute to a group (bursts of 5), and 30 a second in all.
///
/// The counters are token buckets. Callers pass the time.
struct MessageRates: Sendable {
    private struct Bucket: Sendable {
        let capacity: Double
        let perSecond: Double
        private var tokens: Double
        private var filledAt: ContinuousClock.Instant

        init(capacity: Double, perSecond: Double, now: ContinuousClock.Instant) {
            self.capacity = capacity
            self.perSecond = perSecond
            tokens = capacity
            filledAt = now
        }

        mutating func fill(_ now: ContinuousClock.Instant) {
            tokens = min(capacity, tokens + (now - filledAt).seconds * perSecond)
            filledAt = now
        }

        var isFull: Bool { tokens >= capacity }

        /// Returns the time until one token can be taken and `reserve` tokens remain.
        func wait(leaving reserve: Double) -> Duration {
            tokens >= 1 + reserve ? .zero : .seconds((1 + reserve - tokens) / perSecond)
        }

        mutating func take() { tokens -= 1 }
    }

    /// The tokens that progress leaves for replies.
    private static let reserve = 2.0
    /// The number of chats from which chats with full buckets are forgotten.
    private static let maxChats = 1000

    private var overall: Bucket
    private var chats: [ChatID: Bucket] = [:]

    init(now: ContinuousClock.Instant) { overall = Bucket(capacity: 30, perSecond: 30, now: now) }

    /// Counts one message to a chat, if the rates allow it now.
    ///
    /// - Parameter isReplaceable: whether the message is progress, which leaves room for replies.
    /// - Returns: nil when the message may be sent; else the time at which to ask again.
    mutating func take(
        chat: ChatID, isReplaceable: Bool, now: ContinuousClock.Instant
    ) -> ContinuousClock.Instant? {
        overall.fill(now)
        // Ids of groups and channels are negative.
        let name = chat.description
        let isGroup = name.hasPrefix("-") || name.hasPrefix("@")
        var bucket = chats[chat] ?? Bucket(capacity: isGroup ? 5 : 4, perSecond: isGroup ? 1.0 / 3 : 1, now: now)
        bucket.fill(now)
        let reserve = isReplaceable ? MessageRates.reserve : 0
        let wait = max(bucket.wait(leaving: reserve), overall.wait(leaving: reserve))
        if wait > .zero {
            chats[chat] = bucket
            return now + wait
        }
        bucket.take()
        overall.take()
        chats[chat] = bucket
        forgetQuietChats(now)
        return nil
    }

    private mutating func forgetQuietChats(_ now: ContinuousClock.Instant) {
        guard chats.count > MessageRates.maxChats else { return }
        chats = chats.filter { _, bucket in
            var bucket = bucket
            bucket.fill(now)
            return !bucket.isFull
        }
    }
}
