import Logging
import Redis
import Stage
import System

/// Where it is kept how far a listener has come: one line of text.
protocol ProgressStore: Sendable {
    /// nil: nothing was ever saved.
    func load() async throws -> String?
    /// Notes it down on this machine; called in the same breath as the output's write.
    func note(_ progress: String) throws
    /// Returns when it is where it is kept.
    func save(_ progress: String) async throws
    /// The key that holds it, when it is kept in Redis.
    var redisKey: String? { get }
}

/// A file that holds it.
protocol ProgressFile: ProgressStore {
    var path: String { get }
}

extension ProgressFile {
    var redisKey: String? { nil }

    func save(_ progress: String) {}
}

/// In Redis, so that a listener may start on another machine; and in a file beside, for the moment in which a kill would come between an
/// update's emission and Redis's answer.
struct RedisProgress: ProgressStore {
    private let runtime: Runtime
    private let key: String
    private let file: any ProgressFile
    private let newer: @Sendable (_ kept: String, _ noted: String) -> String
    var redisKey: String? { key }

    /// - Parameters:
    ///   - key: in Redis.
    ///   - newer: of what Redis and the file say, that which is further.
    init(
        runtime: Runtime, key: String, file: any ProgressFile,
        newer: @escaping @Sendable (_ kept: String, _ noted: String) -> String
    ) async throws {
        (self.runtime, self.key, self.file, self.newer) = (runtime, key, file, newer)
        try await runtime.requireRedis()
    }

    func load() async throws -> String? {
        let value = try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.send("GET", .text(key))
        }
        let noted = try await file.load()
        guard !value.isNull else {
            // A Redis that lost its data, or another one. At worst the file is behind, and Telegram has forgotten what is before.
            if noted != nil { runtime.log.notice("Redis has no offset: going on from \(file.path)") }
            return noted
        }
        guard let kept = value.string else {
            throw ToolError(.configuration, "the Redis key \(key) holds no offset")
        }
        return noted.map { newer(kept, $0) } ?? kept
    }

    func note(_ progress: String) throws { try file.note(progress) }

    func save(_ progress: String) async throws {
        _ = try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.send("SET", .text(key), .text(progress))
        }
    }
}
