import JSON
import Logging
package import Redis
package import System

extension Runtime {
    /// Calls a service until it answers, with growing pauses, and exactly as long ones as it asks for; only for what may be done twice.
    ///
    /// - Parameter mayPass: whether another attempt may help.
    /// - Returns: nil when the shutdown is requested meanwhile.
    /// - Throws: what does not pass by itself.
    package func persistently<Value: Sendable>(
        _ backoff: Backoff, while mayPass: (any ReportableError) -> Bool,
        _ call: @escaping @Sendable () async throws -> Value?
    ) async throws -> Value? {
        var backoff = backoff
        while !shutdown.isRequested {
            do {
                return try await shutdown.interrupting(call) ?? nil
            } catch let error as any ReportableError where mayPass(error) {
                let pause = error.retryAfter ?? backoff.next()
                log.warning("\(error.message); trying again in \(pause.spanText)")
                _ = try await shutdown.interrupting { try await Task.sleep(for: pause) }
            }
        }
        return nil
    }

    /// Calls Redis until it answers, telling the log meanwhile; only for what may be done twice.
    ///
    /// A stage that must not go on without Redis waits here, and by waiting holds up those before it: events stay where they are.
    ///
    /// - Throws: what does not pass by itself, and the last failure when the shutdown is requested.
    package func patiently<Answer>(
        _ call: (Redis) async throws(RedisError) -> Answer
    ) async throws -> Answer {
        let redis = try await redis()
        return try await patiently { try await call(redis) }
    }

    /// As above, for calls that have a connection already.
    ///
    /// - Parameter end: when to give up and throw the last failure; nil: never.
    package func patiently<Answer>(
        until end: ContinuousClock.Instant? = nil, _ call: () async throws -> Answer
    ) async throws -> Answer {
        var backoff = Backoff(first: .milliseconds(100), longest: .seconds(10))
        while true {
            do {
                return try await call()
            } catch let error as RedisError {
                if error.code == .cancelled { throw CancellationError() }
                guard error.isTemporary, !shutdown.isRequested else { throw error }
                let left = end.map { $0 - .now } ?? .seconds(60)
                guard left > .zero else { throw error }
                let pause = min(backoff.next(), left)
                log.warning("\(error.message); trying again in \(pause.spanText)")
                // A shutdown ends the pause, and the next failure then ends the wait.
                _ = try await shutdown.interrupting { try await Task.sleep(for: pause) }
            }
        }
    }

    /// Fails at once when Redis cannot be reached: a wrong address should be told at the start.
    package func requireRedis() async throws {
        let redis = try await redis()
        try await atStart { try await redis.send("PING") }
    }

    /// Tries for a few seconds only: what cannot be used at the start is told, not waited for.
    @discardableResult
    func atStart<Answer>(_ call: () async throws -> Answer) async throws -> Answer {
        let end = ContinuousClock.now + .seconds(3)
        var backoff = Backoff(first: .milliseconds(50), longest: .seconds(1))
        while true {
            do {
                return try await call()
            } catch let error as RedisError where error.isTemporary && ContinuousClock.now < end {
                try await Task.sleep(for: backoff.next())
            }
        }
    }
}
