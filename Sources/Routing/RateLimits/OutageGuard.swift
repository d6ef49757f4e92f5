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
    /// - Parameter requests: for each key, the correlation id of a request that may be given back: see `RateLimiter.decide`.
    /// - Throws: `RedisError` for a permanent failure, such as a refused password or a server that is not Redis.
    func decide(
        _ keys: [String], _ mode: RateMode, requests: [String?] = []
    ) async throws(RedisError) -> [RateDecision] {
        if mayTryRedis {
            do throws(RedisError) {
                let decisions = try await limiter.decide(keys, mode, requests: requests, timeout: Self.pause)
                end()
                return decisions
            } catch {
                guard error.isTransient else { throw error }
                begin(error)
            }
        }
        return keys.map { substitute(for: $0, mode) }
    }

    /// Is true if Redis may be tried: there is no outage, or its next attempt is due.
    private var mayTryRedis: Bool {
        outage.withLock { $0.map { $0.nextTry <= .now } ?? true }
    }

    private func begin(_ error: RedisError) {
        let isNew = outage.withLock { outage in
            defer { outage = outage ?? Outage(nextTry: .now) }
            outage?.nextTry = .now + Self.pause
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
