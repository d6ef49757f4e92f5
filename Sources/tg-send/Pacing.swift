import JSON

/// How fast Telegram lets a bot speak: about a message a second to a chat, 20 a minute to a group, 30 a second in all, with short bursts.
///
/// Pure: it is told the time.
struct Pacing: Sendable {
    enum Priority: Sendable {
        case reply
        /// Leaves room for replies.
        case progress
    }

    struct Bucket: Sendable {
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

        /// How long until one token can go and `reserve` stay.
        func wait(leaving reserve: Double) -> Duration {
            tokens >= 1 + reserve ? .zero : .seconds((1 + reserve - tokens) / perSecond)
        }

        mutating func take() { tokens -= 1 }
    }

    /// What Telegram tells to wait for: it may hold back edits for hours and take messages meanwhile.
    enum Kind: Sendable, Hashable {
        case message, edit
    }

    private struct Hold: Hashable {
        let chat: String
        let kind: Kind
    }

    private var holds: [Hold: ContinuousClock.Instant] = [:]
    private var overall: Bucket
    private var chats: [String: Bucket] = [:]

    init(now: ContinuousClock.Instant) { overall = Bucket(capacity: 30, perSecond: 30, now: now) }

    /// Nothing of this kind goes to the chat for so long: Telegram said so.
    mutating func hold(chat: String, _ kind: Kind, for wait: Duration, now: ContinuousClock.Instant) {
        if holds.count > 1000 { holds = holds.filter { $0.value > now } }
        let hold = Hold(chat: chat, kind: kind)
        holds[hold] = max(holds[hold] ?? now, now + wait)
    }

    /// What is left of a hold; nil when there is none.
    func held(chat: String, _ kind: Kind, now: ContinuousClock.Instant) -> Duration? {
        guard let end = holds[Hold(chat: chat, kind: kind)], end > now else { return nil }
        return end - now
    }

    /// Takes a turn now, or tells how long to wait before asking again.
    mutating func turn(chat: String, _ priority: Priority, now: ContinuousClock.Instant) -> Duration? {
        overall.fill(now)
        // Ids of groups and channels are negative.
        let isGroup = chat.hasPrefix("-") || chat.hasPrefix("@")
        var bucket = chats[chat] ?? Bucket(capacity: isGroup ? 5 : 4, perSecond: isGroup ? 1.0 / 3 : 1, now: now)
        bucket.fill(now)
        let reserve: Double = priority == .progress ? 2 : 0
        let wait = max(bucket.wait(leaving: reserve), overall.wait(leaving: reserve))
        if wait > .zero {
            chats[chat] = bucket
            return wait
        }
        bucket.take()
        overall.take()
        chats[chat] = bucket
        forgetQuietChats(now)
        return nil
    }

    private mutating func forgetQuietChats(_ now: ContinuousClock.Instant) {
        guard chats.count > 1000 else { return }
        chats = chats.filter { _, bucket in
            var bucket = bucket
            bucket.fill(now)
            return !bucket.isFull
        }
    }
}
