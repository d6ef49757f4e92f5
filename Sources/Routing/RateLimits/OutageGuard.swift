import JSON
package import Logging
package import Options
package import Redis
import Synchronization

/// Asks the rate limiter for decisions, and decides by `--fail` while Redis cannot be reached.
///
/// During an outage it tries Redis once a second, and for one second at most, so that events are not delayed.
package final class OutageGuard: Sendable {
    private struct Outage {
        var nextTry: ContinuousClock.Instant
        var undecided = 0
        /// The keys that were refused during the outage. Their number is bounded, because keys come from strangers.
        var refused: Set<String> = []
    }

    static let pause = Duration.seconds(1)

    private let limiter: RateLimiter
    private let log: Logger
    private let failure: FailureMode
    private let outage = Mutex<Outage?>(nil)

    package init(limiter: RateLimiter, log: Logger, failure: FailureMode) {
        (self.limiter, self.log, self.failure) = (limiter, log, failure)
    }

    var rule: RateLimit { limiter.rule }
    var isRedisAway: Bool { outage.withLock { $0 != nil } }

    /// Tries Redis at the start, so that an outage is logged at once.
    ///
    /// - Throws: `RedisError` for a permanent failure.
    package func start(_ redis: Redis) async throws(RedisError) {
        do throws(RedisError) {
            try await redis.send(["PING"], timeout: Self.pause)
        } catch {
            guard error.isTransient else { throw error }
            begin(error)
        }
    }

    /// Returns one decision for each key, in order.
    ///
    /// - Throws: `RedisError` for a permanent failure, such as a refused password or a server that is not Redis.
    func decide(_ keys: [String], _ mode: RateMode) async throws(RedisError) -> [RateDecision] {
        var batch = RateKeys(events: keys.count)
        for key in keys { batch.add(key) }
        return try await ask(batch, mode).decisions()
    }

    /// Asks for one decision for each event, in order, without waiting for the answer.
    ///
    /// - Throws: `RedisError` for a permanent failure.
    func ask(_ keys: RateKeys, _ mode: RateMode) async throws(RedisError) -> Question {
        var question = Question(counter: self, keys: keys, mode: mode, isTrial: isRedisAway)
        guard mayTryRedis() else { return question }
        do throws(RedisError) {
            question.asked = try await limiter.ask(keys, mode, timeout: Self.pause)
        } catch {
            guard error.isTransient else { throw error }
            begin(error, isTrial: question.isTrial)
        }
        return question
    }

    /// Represents decisions that were asked for.
    struct Question: Sendable {
        fileprivate let counter: OutageGuard
        fileprivate let keys: RateKeys
        fileprivate let mode: RateMode
        /// Is true if Redis was away when the question was asked, so that its answer tells whether the outage is over.
        fileprivate let isTrial: Bool
        /// The question to Redis; nil if Redis could not be asked.
        fileprivate var asked: RateLimiter.Question?

        /// Waits for one decision for each event, in order.
        ///
        /// - Parameter request: returns the correlation id of the request of an event, given by its place, if the request may be given
        ///   back: see `RateLimiter.Question.decisions`.
        /// - Throws: `RedisError` for a permanent failure.
        func decisions(request: (Int) -> String? = { _ in nil }) async throws(RedisError) -> [RateDecision] {
            var asked = self.asked
            // Redis may have come back since the question was asked.
            if asked == nil, !counter.isRedisAway { asked = try await counter.ask(keys, mode).asked }
            if let asked {
                do throws(RedisError) {
                    let decisions = try await asked.decisions(request: request)
                    counter.end()
                    return decisions
                } catch {
                    guard error.isTransient else { throw error }
                    counter.begin(error, isTrial: isTrial)
                }
            }
            return (0..<keys.count).map { counter.substitute(for: keys.escapedKey(ofEvent: $0), mode) }
        }
    }

    /// Returns whether Redis may be tried: there is no outage, or its next attempt is due. During an outage, one question at a time tries.
    private func mayTryRedis() -> Bool {
        outage.withLock { outage in
            guard let nextTry = outage?.nextTry else { return true }
            guard nextTry <= .now else { return false }
            outage?.nextTry = .now + Self.pause
            return true
        }
    }

    /// - Parameter isTrial: false for a question that was asked before the outage began: it tells nothing about the next one.
    private func begin(_ error: RedisError, isTrial: Bool = false) {
        let isNew = outage.withLock { outage in
            defer { outage = outage ?? Outage(nextTry: .now) }
            if isTrial { outage?.nextTry = .now + Self.pause }
            return outage == nil
        }
        guard isNew else { return }
        let consequence = failure == .open ? "events are forwarded uncounted" : "events count as over the limit"
        log.warning("\(error.message); until it is back, \(consequence)")
    }

    private func end() {
        guard let past = outage.withLock({ $0.take() }) else { return }
        log.notice("Redis is back", metadata: ["undecided": .stringConvertible(past.undecided)])
    }

    private func substitute(for key: String, _ mode: RateMode) -> RateDecision {
        let isFirst = outage.withLock { outage in
            outage?.undecided += 1
            guard failure == .closed, (outage?.refused.count ?? 0) < 10_000 else { return false }
            return outage?.refused.insert(key).inserted ?? false
        }
        let passes = failure == .open || mode == .count
        return RateDecision(
            isAllowed: passes, remaining: 0, retryAfterMilliseconds: passes ? 0 : Self.pause.milliseconds,
            isFirstRefusal: !passes && isFirst)
    }
}
