import Redis
import Synchronization
import TestSupport
import Testing

@Suite struct RedisCrashTests {
    private final class End: Sendable {
        let isReached = Mutex(false)
    }

    private struct Count: Sendable {
        var acknowledged: Int64 = 0
        var uncertain: Int64 = 0
    }

    @Test func `Crashes of Redis lose no acknowledged write and repeat none silently`() async throws {
        let server = try RedisServer(configuration: RedisServer.durable)
        let redis = Redis(try RedisAddress(parsing: server.address), clientName: "test")
        try await redis.send("SET", "n", "0")
        let end = End()
        let count = try await withThrowingTaskGroup(of: Count.self) { group in
            for _ in 0..<8 { group.addTask { try await Self.increment(redis, until: end) } }
            for _ in 0..<6 {
                try await Task.sleep(for: .milliseconds(.random(in: 20...120)))
                server.kill()
                try server.start()
            }
            end.isReached.withLock { $0 = true }
            return try await group.reduce(into: Count()) { sum, part in
                sum.acknowledged += part.acknowledged
                sum.uncertain += part.uncertain
            }
        }
        let value = try #require(try await redis.send("GET", "n").int)
        #expect(count.acknowledged > 0)
        #expect((count.acknowledged...count.acknowledged + count.uncertain).contains(value))
    }

    private static func increment(_ redis: Redis, until end: End) async throws -> Count {
        var count = Count()
        while !end.isReached.withLock({ $0 }) {
            do throws(RedisError) {
                _ = try await redis.send("INCR", "n")
                count.acknowledged += 1
            } catch {
                #expect(error.code == .unreachable)
                count.uncertain += 1
                try await Task.sleep(for: .milliseconds(1))
            }
        }
        return count
    }
}
