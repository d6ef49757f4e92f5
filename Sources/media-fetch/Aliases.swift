import Logging
import Media
import Payloads
import Redis
import Stage

/// Keeps aliases in Redis: URLs that lead to media whose own page has another normalized URL.
///
/// Earlier versions believed the pages that claimed this; their aliases have no `2` in their keys, and are not read.
/// Aliases only save work. Without Redis, the media behind an alias are fetched and found to be in the store.
struct Aliases: Sendable {
    private static let seconds: Int64 = 30 * 86_400
    private let runtime: Runtime

    init(runtime: Runtime) { self.runtime = runtime }

    private func key(_ identity: SourceIdentity) -> RedisArgument {
        .text("tgpipe:alias:2:\(ContentAddress(.video, identity).hash)")
    }

    /// Returns the identity that the site gives the media; the given identity if it is not a known alias.
    func resolve(_ identity: SourceIdentity) async -> SourceIdentity {
        guard identity.domain != "telegram" else { return identity }
        let canonical = await runtime.redisIfThere { redis throws(RedisError) in
            try await redis.send("GET", key(identity)).string
        }
        return (canonical ?? nil).flatMap { SourceIdentity($0) } ?? identity
    }

    /// Notes that an identity is an alias of a URL.
    func add(_ identity: SourceIdentity, _ canonicalURL: String) async {
        _ = await runtime.redisIfThere { redis throws(RedisError) in
            try await redis.send("SET", key(identity), .text(canonicalURL), "EX", .integer(Aliases.seconds))
        }
    }
}
