import JSON
import Redis

extension SharedState {
    /// Has all who send for this bot or account leave a chat alone for so long: Telegram said so.
    func hold(chat: String, _ kind: Pacing.Kind, for wait: Duration) async {
        _ = await attempt { redis throws(RedisError) in
            try await redis.send("SET", .text(holdKey(chat, kind)), 1, "PX", .integer(max(1, wait.milliseconds)))
        }
    }

    /// What is left of such a time.
    func held(chat: String, _ kind: Pacing.Kind) async -> Duration? {
        let rest = await attempt { redis throws(RedisError) in
            try await redis.send("PTTL", .text(holdKey(chat, kind))).int
        }
        return (rest ?? nil).flatMap { $0 > 0 ? .milliseconds($0) : nil }
    }

    private func holdKey(_ chat: String, _ kind: Pacing.Kind) -> String { "tgpipe:hold:\(speakerID):\(kind):{\(chat)}" }
}
