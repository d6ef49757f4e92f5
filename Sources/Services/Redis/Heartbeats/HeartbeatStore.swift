import CHiredis
import JSON

/// Keeps a key for each live process, which expires soon after its process has died, and an index of all.
///
/// `tgpipe:{heartbeats}:NAME` holds what the process tells about itself. `tgpipe:{heartbeats}` is a sorted set of the names by the
/// time of their last heartbeats, in ms. A process that ends in order removes both, so a name without a key belongs to one that was
/// killed.
package struct HeartbeatStore: Sendable {
    /// The time for which the index remembers a process that was killed.
    package static let memory = Duration.seconds(3600)

    private static let index = "tgpipe:{heartbeats}"

    private let redis: Redis
    private let timeout: Duration

    /// - Parameter timeout: the longest wait for an answer.
    package init(_ redis: Redis, timeout: Duration = .seconds(2)) { (self.redis, self.timeout) = (redis, timeout) }

    /// Returns whether the library that speaks to Redis is installed: without it, a program that does not need Redis goes on.
    package static var isSupported: Bool { tgp_has_hiredis() }

    private static func key(_ name: String) -> String { "\(index):\(name)" }

    /// Writes a heartbeat in one step.
    ///
    /// - Parameter lifetime: the time after which the process counts as dead.
    package func beat(_ name: String, _ value: [UInt8], lifetime: Duration) async throws(RedisError) {
        _ = try await redis.run(
            HeartbeatStore.beating, keys: [HeartbeatStore.key(name), HeartbeatStore.index],
            arguments: [
                .text(name), .bytes(value), .integer(max(1, lifetime.milliseconds)),
                .integer(HeartbeatStore.memory.milliseconds),
            ], timeout: timeout)
    }

    /// Removes a heartbeat, as its process ends in order.
    package func end(_ name: String) async throws(RedisError) {
        _ = try await redis.transaction(
            [["DEL", .text(HeartbeatStore.key(name))], ["ZREM", .text(HeartbeatStore.index), .text(name)]],
            timeout: timeout)
    }

    package struct Entry: Sendable {
        package let name: String
        /// The last heartbeat of the process; nil if it was killed.
        package let value: [UInt8]?
        /// The time since the last heartbeat.
        package let age: Duration
    }

    /// Returns the processes that live and those that were killed in the last hour, in the order of their names.
    package func entries() async throws(RedisError) -> [Entry] {
        let answer = try await redis.run(HeartbeatStore.reading, keys: [HeartbeatStore.index], timeout: timeout)
        guard let rows = answer.array, let now = rows.first?.int else { return [] }
        var found: [(name: String, milliseconds: Int64)] = []
        for place in stride(from: 1, to: rows.count - 1, by: 2) {
            guard let name = rows[place].string, let time = rows[place + 1].string.flatMap({ Double($0) }) else {
                continue
            }
            found.append((name, Int64(clamping: Int(max(0, min(time, 1e15))))))
        }
        var entries: [Entry] = []
        for start in stride(from: 0, to: found.count, by: 500) {
            let part = found[start..<min(start + 500, found.count)]
            let values = try await redis.pipeline(
                part.map { ["GET", .text(HeartbeatStore.key($0.name))] }, timeout: timeout)
            for (entry, value) in zip(part, values) {
                var bytes: [UInt8]?
                if case .bytes(let found) = value { bytes = found }
                entries.append(
                    Entry(name: entry.name, value: bytes, age: .milliseconds(max(0, now - entry.milliseconds))))
            }
        }
        return entries.sorted { $0.name < $1.name }
    }

    private static let beating = RedisScript(
        """
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
        redis.call('ZADD', KEYS[2], now, ARGV[1])
        redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[4])
        redis.call('PEXPIRE', KEYS[2], ARGV[4])
        return 1
        """)

    private static let reading = RedisScript(
        """
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        local rows = redis.call('ZRANGE', KEYS[1], 0, 9999, 'WITHSCORES')
        table.insert(rows, 1, now)
        return rows
        """)
}
