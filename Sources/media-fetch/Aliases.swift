import Logging
import Media
import Redis
import Stage

/// Links that turned out to be other names of something: yt-dlp knows the media's own page. Kept in Redis, and not needed.
struct Aliases: Sendable {
    private static let seconds: Int64 = 30 * 86_400
    private let runtime: Runtime

    init(runtime: Runtime) { self.runtime = runtime }

    private func key(_ identity: SourceIdentity) -> RedisArgument {
        .text("tgpipe:alias:\(ContentAddress(.video, identity).hash)")
    }

    /// The media's own identity, where it is known, with the link that was given.
    func resolve(_ identity: SourceIdentity) async -> SourceIdentity {
        guard identity.domain != "telegram" else { return identity }
        let canonical = await attempt { redis throws(RedisError) in try await redis.send("GET", key(identity)).string }
        return (canonical ?? nil).flatMap { SourceIdentity($0) } ?? identity
    }

    func add(_ identity: SourceIdentity, _ canonicalURL: String) async {
        _ = await attempt { redis throws(RedisError) in
            try await redis.send("SET", key(identity), .text(canonicalURL), "EX", .integer(Aliases.seconds))
        }
    }

    private func attempt<Value>(_ call: (Redis) async throws(RedisError) -> Value) async -> Value? {
        do {
            return try await call(try await runtime.redis())
        } catch {
            runtime.log.debug("going on without Redis: \(error)")
            return nil
        }
    }
}
