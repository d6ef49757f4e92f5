import JSON
import Logging
package import Redis
import Synchronization
package import System

extension Runtime {
    /// Calls a service again after transient failures, after a growing backoff or the pause that the service asks for.
    ///
    /// Use it only for calls that may be carried out twice.
    /// - Parameter isTransient: whether another attempt may succeed after an error.
    /// - Returns: nil if the shutdown is requested meanwhile.
    /// - Throws: the first permanent failure.
    package func retrying<Value: Sendable>(
        _ backoff: Backoff, while isTransient: (any ReportableError) -> Bool,
        _ call: @escaping @Sendable () async throws -> Value?
    ) async throws -> Value? {
        var backoff = backoff
        while !shutdown.isRequested {
            do {
                return try await shutdown.interrupting(call) ?? nil
            } catch let error as any ReportableError where isTransient(error) {
                let pause = error.retryAfter ?? backoff.next()
                log.warning("\(error.message); trying again in \(pause.spanText)")
                _ = try await shutdown.interrupting { try await Task.sleep(for: pause) }
            }
        }
        return nil
    }

    /// Calls Redis until it answers, and logs the beginning and the end of its outage. Use it only for calls that may be carried
    /// out twice.
    ///
    /// A stage that must not continue without Redis waits here. Its wait holds up the stages before it: events stay where they are.
    ///
    /// - Throws: a permanent failure; the last failure once the shutdown is requested.
    package func untilRedisAnswers<Answer>(
        _ call: (Redis) async throws(RedisError) -> Answer
    ) async throws -> Answer {
        let redis = try await redis()
        return try await untilRedisAnswers { try await call(redis) }
    }

    /// Runs a call to Redis that the stage can do without; returns nil if it failed.
    package func redisIfThere<Value>(_ call: (Redis) async throws(RedisError) -> Value) async -> Value? {
        do {
            return try await call(try await redis())
        } catch {
            log.debug("continuing without Redis: \(error)")
            return nil
        }
    }

    /// Calls Redis over a connection of the caller until it answers.
    ///
    /// - Parameter end: the time at which the last failure is thrown; nil for no limit.
    package func untilRedisAnswers<Answer>(
        until end: ContinuousClock.Instant? = nil, _ call: () async throws -> Answer
    ) async throws -> Answer {
        var backoff = Backoff(first: .milliseconds(100), longest: longestPauseForRedis)
        while true {
            do {
                let answer = try await call()
                outages.redisAnswered()
                return answer
            } catch let error as RedisError {
                if error.code == .cancelled { throw CancellationError() }
                guard error.isTransient, !shutdown.isRequested else { throw error }
                let left = end.map { $0 - .now } ?? .seconds(60)
                guard left > .zero else { throw error }
                let pause = min(backoff.next(), left)
                outages.redisFailed(error.message)
                // A shutdown ends the pause, and the next failure then ends the wait.
                _ = try await shutdown.interrupting { try await Task.sleep(for: pause) }
            }
        }
    }

    /// Checks that Redis can be reached, so that a wrong address is reported when the tool starts.
    package func requireRedis() async throws {
        let redis = try await redis()
        try await retryingAtStart { try await redis.send("PING") }
    }

    /// Calls Redis again for up to 3 seconds: at the start, a longer failure is reported, not waited out.
    @discardableResult
    func retryingAtStart<Answer>(_ call: () async throws -> Answer) async throws -> Answer {
        let end = ContinuousClock.now + .seconds(3)
        var backoff = Backoff(first: .milliseconds(50), longest: .seconds(1))
        while true {
            do {
                return try await call()
            } catch let error as RedisError where error.isTransient && ContinuousClock.now < end {
                try await Task.sleep(for: backoff.next())
            }
        }
    }

    /// Repeats a publication until its queues have room. A shutdown does not end the wait: work in flight is to be published.
    ///
    /// - Parameter attempt: returns nil if there was no room.
    package func untilQueueHasRoom<Answer>(
        in place: String, _ attempt: () async throws -> Answer?
    ) async throws -> Answer {
        var backoff = Backoff(first: .milliseconds(20), longest: .seconds(1))
        var nextNote = ContinuousClock.now
        while true {
            if let answer = try await untilRedisAnswers(attempt) { return answer }
            if nextNote <= .now {
                log.warning("\(place): full; waiting for room")
                nextNote = .now + .seconds(60)
            }
            try await Task.sleep(for: backoff.next())
        }
    }

    /// Logs the settings of Redis that may lose queues, once in each run of a tool.
    func checkRedisSettings() async {
        guard !hasCheckedRedisSettings.exchange(true, ordering: .relaxed) else { return }
        guard let servers = try? await redis().sendEverywhere("INFO") else { return }
        for risk in RedisFacts.risks(of: servers.compactMap(\.string).map(RedisFacts.init(info:))) {
            log.log(level: risk.isSevere ? .warning : .notice, "\(risk.message); \(risk.advice)")
        }
    }
}
