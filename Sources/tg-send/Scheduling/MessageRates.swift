import JSON
import Payloads

/// Counts messages against the rates that Telegram allows a bot: 1 a second to a private chat (bursts of 4), 20 a
/// minute to a group (bursts of 5), and 30 in any second in all.
///
/// The counters of chats are token buckets. Callers pass the time.
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

        mutating func giveBack() { tokens = min(capacity, tokens + 1) }
    }

    /// Holds the messages of the last second: those whose calls run, and those whose calls have ended in it.
    ///
    /// A message reaches Telegram before its call ends. Any second at Telegram therefore has no more messages than the
    /// window holds at its end.
    private struct Window: Sendable {
        private static let length = Duration.seconds(1)
        /// The wait for a call that runs, whose end is not known.
        private static let look = Duration.milliseconds(50)

        let capacity: Int
        private var running = 0
        private var ended: [ContinuousClock.Instant] = []

        init(capacity: Int) { self.capacity = capacity }

        mutating func forget(before now: ContinuousClock.Instant) {
            let old = ended.prefix { $0 <= now - Window.length }.count
            if old > 0 { ended.removeFirst(old) }
        }

        /// Returns the time until one message can be sent and `reserve` more remain.
        func wait(leaving reserve: Int, now: ContinuousClock.Instant) -> Duration {
            let missing = running + ended.count + reserve + 1 - capacity
            if missing <= 0 { return .zero }
            return missing <= ended.count ? ended[missing - 1] + Window.length - now : Window.look
        }

        mutating func take() { running += 1 }

        mutating func end(_ count: Int, now: ContinuousClock.Instant) {
            running = max(0, running - count)
            ended += Array(repeating: now, count: count)
        }
    }

    /// The number of messages in any second, in all.
    static let perSecond = 30
    /// The messages that progress leaves for replies.
    static let reserve = 2
    /// The number of chats from which chats with full buckets are forgotten.
    private static let maxChats = 1000

    private var overall = Window(capacity: MessageRates.perSecond)
    private var chats: [ChatID: Bucket] = [:]

    /// Counts one message to a chat, if the rates allow it now.
    ///
    /// - Parameter isReplaceable: whether the message is progress, which leaves room for replies.
    /// - Returns: nil when the message may be sent; else the time at which to ask again.
    mutating func take(
        chat: ChatID, isReplaceable: Bool, now: ContinuousClock.Instant
    ) -> ContinuousClock.Instant? {
        overall.forget(before: now)
        // Ids of groups and channels are negative.
        let name = chat.description
        let isGroup = name.hasPrefix("-") || name.hasPrefix("@")
        var bucket = chats[chat] ?? Bucket(capacity: isGroup ? 5 : 4, perSecond: isGroup ? 1.0 / 3 : 1, now: now)
        bucket.fill(now)
        let reserve = isReplaceable ? MessageRates.reserve : 0
        let wait = max(bucket.wait(leaving: Double(reserve)), overall.wait(leaving: reserve, now: now))
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

    /// Notes that the calls of counted messages have ended.
    mutating func end(_ count: Int, now: ContinuousClock.Instant) { overall.end(count, now: now) }

    /// Takes back the count of a message that was not sent after all.
    mutating func giveBack(chat: ChatID) { chats[chat]?.giveBack() }

    private mutating func forgetQuietChats(_ now: ContinuousClock.Instant) {
        guard chats.count > MessageRates.maxChats else { return }
        chats = chats.filter { _, bucket in
            var bucket = bucket
            bucket.fill(now)
            return !bucket.isFull
        }
    }
}
