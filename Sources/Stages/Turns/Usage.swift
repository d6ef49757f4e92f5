import JSON
import Redis
package import Stage

/// Counts what each user has had today: requests, bytes and time. A day ends at midnight in UTC.
package struct Usage: Sendable {
    package struct Figures: Sendable, Equatable {
        package var requests: Int64 = 0
        package var bytes: Int64 = 0
        /// The time for which downloads have run.
        package var time: Duration = .zero

        package init(requests: Int64 = 0, bytes: Int64 = 0, time: Duration = .zero) {
            (self.requests, self.bytes, self.time) = (requests, bytes, time)
        }
    }

    /// The most that one user gets a day; nil for no limit.
    package struct Limits: Sendable, Equatable {
        package var requests: Int64?
        package var bytes: Int64?
        package var time: Duration?

        package init(requests: Int64? = nil, bytes: Int64? = nil, time: Duration? = nil) {
            (self.requests, self.bytes, self.time) = (requests, bytes, time)
        }

        /// Returns whether nothing is left of a limit.
        package func areUsedUp(by figures: Figures) -> Bool {
            (requests.map { figures.requests >= $0 } ?? false) || (bytes.map { figures.bytes >= $0 } ?? false)
                || (time.map { figures.time >= $0 } ?? false)
        }
    }

    private static let limitsKey = RedisArgument.text("tgpipe:{turns}:limits")

    private let runtime: Runtime

    package init(_ runtime: Runtime) { self.runtime = runtime }

    private func key(_ user: Int64) -> RedisArgument {
        .text("tgpipe:usage:\(user):\(Timestamp.now.description.prefix(10))")
    }

    /// Counts a request of a user.
    package func count(requestOf user: Int64) async throws {
        _ = try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.transaction([
                ["HINCRBY", key(user), "requests", 1], ["EXPIRE", key(user), 172_800],
            ])
        }
    }

    /// Adds to what a user has had. Without Redis, nothing is counted.
    package func add(bytes: Int64 = 0, time: Duration = .zero, to user: Int64) async {
        let key = key(user)
        _ = await runtime.redisIfThere { redis throws(RedisError) in
            try await redis.transaction([
                ["HINCRBY", key, "bytes", .integer(max(0, bytes))],
                ["HINCRBY", key, "ms", .integer(max(0, time.milliseconds))], ["EXPIRE", key, 172_800],
            ])
        }
    }

    package func figures(of user: Int64) async throws -> Figures {
        let values = try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.send("HMGET", key(user), "requests", "bytes", "ms").array
        }
        let numbers = (values ?? []).map { $0.int ?? 0 }
        guard numbers.count == 3 else { return Figures() }
        return Figures(requests: numbers[0], bytes: numbers[1], time: .milliseconds(numbers[2]))
    }

    /// Lets other tools show the limits.
    package func publish(_ limits: Limits) async throws {
        let fields: [(RedisArgument, Int64?)] = [
            ("requests", limits.requests), ("bytes", limits.bytes), ("ms", limits.time?.milliseconds),
        ]
        _ = try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.transaction(
                [["DEL", Usage.limitsKey]]
                    + fields.compactMap { name, value in
                        value.map { ["HSET", Usage.limitsKey, name, .integer($0)] }
                    })
        }
    }

    /// Returns the limits that were published last.
    package func limits() async throws -> Limits {
        let values = try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.send("HMGET", Usage.limitsKey, "requests", "bytes", "ms").array
        }
        let numbers = (values ?? []).map(\.int)
        guard numbers.count == 3 else { return Limits() }
        return Limits(requests: numbers[0], bytes: numbers[1], time: numbers[2].map { .milliseconds($0) })
    }
}
