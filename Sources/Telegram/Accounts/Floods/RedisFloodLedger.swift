import JSON
package import Logging
package import Redis
package import Stage
import Synchronization

/// Shares flood waits between all processes that use one Redis: `tgpipe:flood:{ACCOUNT}:METHOD` holds the end of the
/// wait (by Redis's clock, in milliseconds since 1970) and Telegram's error, and expires with the wait.
///
/// Waits that this process was told are also kept locally. During an outage there is one warning, and Redis is tried
/// once a second.
package final class RedisFloodLedger: FloodLedger {
    private static let pause = Duration.seconds(1)

    private let own = LocalFloodLedger()
    private let connect: @Sendable () async throws -> Redis
    private let log: Logger
    /// Shows a wait in the heartbeat of the stage that was told it.
    private let showing: @Sendable (String, Duration) -> Void
    private let outage = Mutex<ContinuousClock.Instant?>(nil)

    /// - Parameter connect: connects to Redis; called at the ledger's first use, and until it succeeds.
    package init(
        log: Logger, showing: @escaping @Sendable (String, Duration) -> Void = { _, _ in },
        connect: @escaping @Sendable () async throws -> Redis
    ) {
        (self.connect, self.log, self.showing) = (connect, log, showing)
    }

    package func wait(account: Int64, method: String) async -> FloodWait? {
        let known = await own.wait(account: account, method: method)
        let key = RedisFloodLedger.key(account, method)
        guard let reply = await ask({ try await $0.run(Self.reading, keys: [key], timeout: Self.pause) }),
            let words = reply.array, words.count == 2, let left = words[0].int, left > 0, let reason = words[1].string
        else { return known }
        let remaining = Duration.milliseconds(left)
        return known.map { $0.remaining >= remaining } == true
            ? known : FloodWait(method: method, remaining: remaining, reason: reason)
    }

    package func note(account: Int64, _ wait: FloodWait) async {
        await own.note(account: account, wait)
        showing("\(wait.method) of \(account)", wait.remaining)
        let milliseconds = max(1, wait.remaining.milliseconds)
        let key = RedisFloodLedger.key(account, wait.method)
        _ = await ask {
            try await $0.run(
                Self.noting, keys: [key], arguments: [RedisArgument(milliseconds), RedisArgument(wait.reason)],
                timeout: Self.pause)
        }
    }

    private static func key(_ account: Int64, _ method: String) -> String { "tgpipe:flood:{\(account)}:\(method)" }

    /// Keeps the longest wait, whichever process noted it.
    private static let noting = RedisScript(
        """
        local span = tonumber(ARGV[1])
        if redis.call('PTTL', KEYS[1]) >= span then return 0 end
        local time = redis.call('TIME')
        local until_ms = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + span)
        redis.call('SET', KEYS[1], until_ms .. ' ' .. ARGV[2], 'PX', span)
        return 1
        """)

    private static let reading = RedisScript(
        """
        local value = redis.call('GET', KEYS[1])
        if not value then return {0, ''} end
        return {redis.call('PTTL', KEYS[1]), string.match(value, '^%d+ (.*)$') or ''}
        """)

    /// Returns nil during an outage: without Redis, calls continue with the local waits.
    private func ask(_ body: (Redis) async throws -> RedisValue) async -> RedisValue? {
        guard outage.withLock({ $0.map { $0 <= .now } ?? true }) else { return nil }
        do {
            let reply = try await body(try await connect())
            if outage.withLock({ $0.take() }) != nil { log.notice("Redis is back: flood waits are shared again") }
            return reply
        } catch {
            let isNew = outage.withLock { outage in
                defer { outage = .now + Self.pause }
                return outage == nil
            }
            if isNew, !Task.isCancelled {
                log.warning("\(error); flood waits are not shared with other processes until Redis is back")
            }
            return nil
        }
    }
}

extension Runtime {
    /// Returns a ledger shared through Redis if there is one, else a local one.
    package func floodLedger() -> any FloodLedger {
        guard hasRedis else { return LocalFloodLedger() }
        return RedisFloodLedger(log: log, showing: activity.waits) { try await self.redis() }
    }
}
