import JSON

/// Describes a rate limit: the number of events that are allowed in a window of time.
package struct RateLimit: Sendable, Equatable {
    package enum Algorithm: String, Sendable, CaseIterable {
        /// The window starts at a key's first event and ends for all of its events at once. It keeps one number for each key; around the
        /// end of a window, up to twice the limit is allowed within a short time.
        case fixed
        /// Any window, wherever it starts, has at most the limit. It is exact and keeps the times of the allowed events, about ten bytes
        /// each. Two weighted counters would be smaller, but they only estimate: they refuse people who keep to the limit, and cannot
        /// tell when the next event is allowed.
        case sliding
        /// A burst is allowed at once, then events at the limit's pace. It keeps one number for each key: the time at which the bucket is
        /// full.
        case tokenBucket = "token-bucket"
    }

    package let name: String
    package let algorithm: Algorithm
    package let limit: Int
    package let window: Duration
    /// The size of a token bucket, in events.
    package let burst: Int

    /// - Parameters:
    ///   - name: a part of the keys in Redis: `A-Z a-z 0-9 . _ * # + -`, 200 bytes at most.
    ///   - limit: from 1 to 1,000,000,000; a sliding window takes 100,000, a token bucket 100,000 a second at most.
    ///   - window: from 1 ms to 366 days.
    ///   - burst: the size of a token bucket; by default the limit.
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
            return "a rate limit's name must have 1 to 200 of the characters A-Z a-z 0-9 . _ * # + -"
        }
        if !(1...1_000_000_000).contains(limit) { return "a rate limit must be from 1 to 1000000000" }
        if window < .milliseconds(1) || window > .seconds(366 * 86400) {
            return "a rate limit's window must be from 1 ms to 366 days"
        }
        if !(1...1_000_000_000).contains(burst) { return "a burst must be from 1 to 1000000000" }
        if algorithm == .sliding && limit > 100_000 {
            return
                "a sliding window stores the time of every event, so its limit must be at most 100000: use a fixed window"
        }
        if algorithm == .tokenBucket && Double(limit) > 100 * Double(windowMilliseconds) {
            return "a token bucket must gain at most 100000 tokens a second: use a fixed window"
        }
        return nil
    }

    var windowMilliseconds: Int64 { window.milliseconds }
}

/// Holds the decision of a rate limit on one event.
package struct RateDecision: Sendable, Equatable {
    package let isAllowed: Bool
    /// The number of further events that are allowed now.
    package let remaining: Int
    /// The time until the next event is allowed; 0 if one is allowed now.
    package let retryAfterMilliseconds: Int64
    /// Is true if this is the first refusal of the key in a window: the one to answer, where answering each would be too much.
    package let isFirstRefusal: Bool

    package init(isAllowed: Bool, remaining: Int, retryAfterMilliseconds: Int64, isFirstRefusal: Bool) {
        self.isAllowed = isAllowed
        self.remaining = remaining
        self.retryAfterMilliseconds = retryAfterMilliseconds
        self.isFirstRefusal = isFirstRefusal
    }
}

/// Holds what Redis answers about the events of one key in a batch, which have been decided on in one step.
struct RateAnswer {
    /// The number of events that were allowed before these.
    let free: Int64
    /// The event of the batch, counted from 1, whose refusal is the first one of the window; nil if none is.
    private let firstRefusal: Int64?
    private let retryAfterMilliseconds: Int64
    private let mode: RateMode
    /// The number of these events that have been decided on.
    private var decided: Int64 = 0

    /// - Parameter refusal: twice the ms to wait after the allowed events, plus 1 if the refusal after them is the first one.
    init(free: Int64, refusal: Int64, _ mode: RateMode) {
        self.free = max(0, free)
        retryAfterMilliseconds = refusal / 2
        firstRefusal = refusal % 2 == 0 ? nil : self.free &+ 1
        self.mode = mode
    }

    /// Returns the decision on the next event.
    mutating func next() -> RateDecision {
        decided += 1
        let isAllowed = mode == .count || (mode == .check ? free > 0 : decided <= free)
        if isAllowed {
            return RateDecision(
                isAllowed: true, remaining: Int(mode == .check ? free : max(0, free - decided)),
                retryAfterMilliseconds: 0, isFirstRefusal: false)
        }
        return RateDecision(
            isAllowed: false, remaining: 0, retryAfterMilliseconds: retryAfterMilliseconds,
            isFirstRefusal: decided == firstRefusal)
    }
}

/// Tells whether a decision counts an event, refuses it, or both.
package enum RateMode: String, Sendable, CaseIterable {
    /// An allowed event counts.
    case checkAndCount = "check-and-count"
    /// No event counts.
    case check
    /// The event has already happened: it counts and is never refused.
    case count
}
