import ChatCommands
import Envelope
import Redis
import Stage

/// Keeps in Redis what people have chosen, and how often they were answered.
struct TalkSettings: Sendable {
    /// The number of answers to one person within a minute: more than anybody needs, and too few to fill a chat.
    private static let answersPerMinute: Int64 = 10

    let runtime: Runtime

    func set(language: String, of user: Int64) async throws {
        try await set(UserSettings.languageKey(of: user), language)
    }

    func set(asks: Bool, in id: Int64) async throws { try await set(UserSettings.askKey(of: id), asks ? "1" : "0") }

    /// Returns what a user prefers.
    func preferences(of user: Int64) async throws -> MediaPreferences {
        let text = try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.send("GET", .text(UserSettings.preferencesKey(of: user))).string
        }
        return MediaPreferences(stored: text)
    }

    func set(_ preferences: MediaPreferences, of user: Int64) async throws {
        let key = UserSettings.preferencesKey(of: user)
        guard preferences == .none else { return try await set(key, preferences.text) }
        _ = try await runtime.untilRedisAnswers { redis throws(RedisError) in try await redis.send("DEL", .text(key)) }
    }

    private func set(_ key: String, _ value: String) async throws {
        _ = try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.send("SET", .text(key), .text(value))
        }
    }

    /// Counts an answer, and returns whether the person may get it.
    func mayAnswer(_ user: Int64) async throws -> Bool {
        let key = RedisArgument.text("tgpipe:{talk}:answers:\(user)")
        return try await runtime.untilRedisAnswers { redis throws(RedisError) in
            let replies = try await redis.transaction([["SET", key, "0", "NX", "EX", "60"], ["INCR", key]])
            guard replies.count == 2 else { return true }
            return try redis.checked(replies[1]).int ?? 0 <= TalkSettings.answersPerMinute
        }
    }

    /// Returns whether a stranger was not answered within the last hour, and notes that it happens now.
    ///
    /// - Parameter event: the event that is answered. It may come again, and so may the call.
    func mayAnswer(stranger user: Int64, _ event: EventID) async throws -> Bool {
        let (key, id) = (RedisArgument.text("tgpipe:{talk}:stranger:\(user)"), event.description)
        return try await runtime.untilRedisAnswers { redis throws(RedisError) in
            let replies = try await redis.transaction([["SET", key, .text(id), "NX", "EX", "3600"], ["GET", key]])
            guard replies.count == 2 else { return false }
            return try redis.checked(replies[1]).string == id
        }
    }
}
