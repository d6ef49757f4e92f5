import Logging
import Redis
import Stage
import System

/// Stores a listener's position: one line of text.
protocol ProgressStore: Sendable {
    /// Returns the position; nil when none was ever saved.
    func load() async throws -> String?
    /// Writes the position to a file of this machine, right after the output was written.
    func note(_ progress: String) throws
    /// Stores the position, and returns when it is stored.
    func save(_ progress: String) async throws
    /// The key that holds the position, if it is stored in Redis.
    var redisKey: String? { get }
}

/// Stores a listener's position in a file.
protocol ProgressFile: ProgressStore {
    var path: String { get }
}

extension ProgressFile {
    var redisKey: String? { nil }

    func save(_ progress: String) {}
}

/// Stores a listener's position in Redis, so that it may start on another machine, and in a file, in case it is killed between an update's
/// emission and Redis's answer.
struct RedisProgress: ProgressStore {
    private let runtime: Runtime
    private let key: String
    private let file: any ProgressFile
    private let newer: @Sendable (_ kept: String, _ noted: String) -> String
    var redisKey: String? { key }

    /// - Parameter newer: returns the further one of the positions in Redis and in the file.
    /// - Throws: when Redis cannot be reached.
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
            // Redis has lost its data, or is another one. The file may be behind, but Telegram no longer has the updates before it.
            if noted != nil { runtime.log.notice("Redis has no offset: continuing from \(file.path)") }
            return noted
        }
        guard let kept = value.string else {
            throw ToolError(.configuration, "the Redis key \(key) does not hold an offset: remove it to start afresh")
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
