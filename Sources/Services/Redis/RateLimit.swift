/// How many events are allowed in how much time.
package struct RateLimit: Sendable, Equatable {
    package enum Algorithm: String, Sendable, CaseIterable {
        /// The window starts at a key's first event and ends for all of its events at once. One number a key; around
        /// the end of a window up to twice the limit may pass in a short time.
        case fixed
        /// Never more than the limit in any window, wherever it starts. Exact: it keeps the times of the allowed
        /// events, about ten bytes each. Two weighted counters would be smaller, but only estimate: they refuse
        /// people who keep to the limit and cannot tell when to come back.
        case sliding
        /// A burst at once, then evenly at the limit's pace. One number a key (the time at which the bucket is full).
        case tokenBucket = "token-bucket"
    }

    package let name: String
    package let algorithm: Algorithm
    package let limit: Int
    package let window: Duration
    /// The bucket's size, of a token bucket.
    package let burst: Int

    /// - Parameters:
    ///   - name: part of the keys in Redis: `A-Z a-z 0-9 . _ * # + -`, 200 bytes at most.
    ///   - limit: from 1 to 1,000,000,000; a sliding window takes 100,000, a token bucket 100,000 a second at most.
    ///   - window: from 1 ms to 366 days.
    ///   - burst: for a token bucket; as large as the limit by default.
    package init(
        name: String, algorithm: Algorithm = .fixed, limit: Int, window: Duration, burst: Int? = nil
    ) throws(RedisError) {
        (self.name, self.algorithm, self.limit, self.window) = (name, algorithm, limit, window)
        self.burst = burst ?? limit
        if let problem { throw RedisError(.configuration, problem) }
    }

    package static func isAllowedInName(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || ".-_*#+".contains(character))
    }

    private var problem: String? {
        if !name.allSatisfy(Self.isAllowedInName) || !(1...200).contains(name.utf8.count) {
            return "a rate limit's name has 1 to 200 of A-Z a-z 0-9 . _ * # + -"
        }
        if !(1...1_000_000_000).contains(limit) { return "a rate limit is from 1 to 1000000000" }
        if window < .milliseconds(1) || window > .seconds(366 * 86400) {
            return "a rate limit's window is from 1 ms to 366 days"
        }
        if !(1...1_000_000_000).contains(burst) { return "a burst is from 1 to 1000000000" }
        if algorithm == .sliding && limit > 100_000 {
            return "a sliding window keeps every event's time: its limit is 100000 at most; use a fixed window"
        }
        if algorithm == .tokenBucket && Double(limit) > 100 * Double(windowMilliseconds) {
            return "a token bucket fills with 100000 a second at most; use a fixed window"
        }
        return nil
    }

    var windowMilliseconds: Int64 { window.wholeMilliseconds }
}

/// What a rate limit says of one event.
package struct RateDecision: Sendable, Equatable {
    package let isAllowed: Bool
    /// How many more would be allowed now.
    package let remaining: Int
    /// When the next one is allowed; 0 when one is allowed now.
    package let retryAfterMilliseconds: Int64
    /// The first refusal of this key in a window: the one to answer, when each would be too many.
    package let isFirstRefusal: Bool

    package init(isAllowed: Bool, remaining: Int, retryAfterMilliseconds: Int64, isFirstRefusal: Bool) {
        self.isAllowed = isAllowed
        self.remaining = remaining
        self.retryAfterMilliseconds = retryAfterMilliseconds
        self.isFirstRefusal = isFirstRefusal
    }

    /// Reads the one number that the scripts answer: what remains, or below zero, twice the milliseconds to wait and 1
    /// for a first refusal. One number costs a third of a list's time.
    init(packed number: Int64) {
        let isAllowed = number >= 0
        self.init(
            isAllowed: isAllowed, remaining: isAllowed ? Int(number) : 0,
            retryAfterMilliseconds: isAllowed ? 0 : -number / 2, isFirstRefusal: !isAllowed && number % 2 != 0)
    }
}

/// What happens to an event that is asked about.
package enum RateMode: String, Sendable, CaseIterable {
    /// An allowed event counts.
    case checkAndCount = "check-and-count"
    /// Nothing counts.
    case check
    /// The event counts, and has happened: it is not refused.
    case count
}
