import Envelope
import JSON
import Logging
import Redis
import Stage
import Synchronization

/// What sending remembers in Redis. None of it is needed to send: without Redis, work from a pipe is slower and forgets, and says so in
/// the log.
final class SharedState: Sendable {
    private static let replySeconds: Int64 = 86_400
    /// Stands for a reply that is just being made, for so long at most.
    private static let claim: Int64 = 0
    private static let claimSeconds: Int64 = 30
    private static let fileIDSeconds: Int64 = 30 * 86_400

    private let redis: Redis?
    private let waits: Bool
    private let runtime: Runtime
    let speakerID: Int64
    private let replies = Mutex(RecentReplies())

    /// - Parameters:
    ///   - redis: nil for one-off sends.
    ///   - waits: for Redis while it is away, as who reads from a queue has to anyway: what one worker forgets, another leaves behind.
    init(runtime: Runtime, redis: Redis?, waits: Bool = false, speakerID: Int64) {
        self.runtime = runtime
        self.redis = redis
        self.waits = waits
        self.speakerID = speakerID
    }

    /// A media object as Telegram already has it.
    struct CachedFile: Sendable {
        let fileID: String
        /// Telegram's name for its kind: `video`, `animation`, `audio`, `document`. It cannot change.
        let type: String
    }

    func cachedFile(_ key: String) async -> CachedFile? {
        let text = await attempt { redis throws(RedisError) in
            try await redis.send("GETEX", .text(fileKey(key)), "EX", .integer(SharedState.fileIDSeconds)).string
        }
        guard let text = text ?? nil, let json = try? JSON(parsing: text), let id = json["file_id"]?.string,
            let type = json["type"]?.string
        else { return nil }
        return CachedFile(fileID: id, type: type)
    }

    func cache(_ file: CachedFile, for key: String) async {
        let text = JSON.object(["file_id": .string(file.fileID), "type": .string(file.type)]).text
        _ = await attempt { redis throws(RedisError) in
            try await redis.send("SET", .text(fileKey(key)), .text(text), "EX", .integer(SharedState.fileIDSeconds))
        }
    }

    /// Forgets a file_id, unless there is a newer one.
    func forgetFile(_ key: String, _ file: CachedFile) async {
        guard await cachedFile(key)?.fileID == file.fileID else { return }
        _ = await attempt { redis throws(RedisError) in try await redis.send("DEL", .text(fileKey(key))) }
    }

    private func fileKey(_ key: String) -> String { "tgpipe:{\(key)}:file_id:\(speakerID)" }

    /// The optimistic reply of the current request.
    func replyID() async -> Int64? {
        guard let key = Correlation.key("reply") else { return nil }
        if let known = replies.withLock({ $0.ids[key] }) { return known }
        let reply = await attempt { redis throws(RedisError) in try await redis.send("GET", .text(key)).int }
        return (reply ?? nil).flatMap { $0 == SharedState.claim ? nil : $0 }
    }

    /// Takes the right to make the optimistic reply.
    ///
    /// - Returns: false when somebody else has it, or when the request has ended; true also without Redis.
    func claimReply(_ kind: String) async -> Bool {
        guard let key = Correlation.key("reply") else { return false }
        if await hasEnded(kind) { return false }
        let claimed = await attempt { redis throws(RedisError) in
            try await redis.send(
                "SET", .text(key), .integer(SharedState.claim), "NX", "EX", .integer(SharedState.claimSeconds))
        }
        return claimed.map { !$0.isNull } ?? true
    }

    /// Notes that there is nothing more to tell about the current request.
    func noteEnd(of kind: String) async {
        guard let key = Correlation.key("ended:\(kind)") else { return }
        _ = await attempt { redis throws(RedisError) in
            try await redis.send("SET", .text(key), 1, "EX", .integer(SharedState.replySeconds))
        }
    }

    func hasEnded(_ kind: String) async -> Bool {
        guard let key = Correlation.key("ended:\(kind)") else { return false }
        let count = await attempt { redis throws(RedisError) in try await redis.send("EXISTS", .text(key)).int }
        return count == 1
    }

    func setReplyID(_ id: Int64) async {
        guard let key = Correlation.key("reply") else { return }
        replies.withLock { $0.set(id, key) }
        _ = await attempt { redis throws(RedisError) in
            try await redis.send("SET", .text(key), .integer(id), "EX", .integer(SharedState.replySeconds))
        }
    }

    /// Whether the optimistic reply says this already: what was told again needs no call.
    func isShown(_ text: String) -> Bool {
        Correlation.key("reply").map { key in replies.withLock { $0.texts[key] == text } } ?? false
    }

    func noteShown(_ text: String) {
        if let key = Correlation.key("reply") { replies.withLock { $0.note(text, key) } }
    }

    func forgetReply() async {
        guard let key = Correlation.key("reply") else { return }
        replies.withLock { $0.forget(key) }
        _ = await attempt { redis throws(RedisError) in try await redis.send("DEL", .text(key)) }
    }

    /// Counts one delivery; true every `every`th time, over all processes.
    func isCleanupDue(every: Int64) async -> Bool {
        let count = await attempt { redis throws(RedisError) in
            try await redis.send("INCR", "tgpipe:cleanup:events").int
        }
        return (count ?? nil).map { $0 % every == 0 } ?? false
    }

    func attempt<Value>(_ call: (Redis) async throws(RedisError) -> Value) async -> Value? {
        guard let redis else { return nil }
        do {
            return waits ? try await runtime.patiently { try await call(redis) } : try await call(redis)
        } catch let error as RedisError {
            runtime.log.warning("going on without Redis: \(error.message)")
        } catch {
            // The end of the time to drain.
        }
        return nil
    }
}

/// The newest optimistic replies, so that an edit needs no question to Redis, and one that changes nothing is left out.
private struct RecentReplies {
    var ids: [String: Int64] = [:]
    var texts: [String: String] = [:]
    private var order: [String] = []

    mutating func set(_ id: Int64, _ key: String) {
        if ids.updateValue(id, forKey: key) == nil { remember(key) }
    }

    mutating func note(_ text: String, _ key: String) {
        if ids[key] == nil, texts[key] == nil { remember(key) }
        texts[key] = text
    }

    mutating func forget(_ key: String) {
        ids[key] = nil
        texts[key] = nil
    }

    private mutating func remember(_ key: String) {
        order.append(key)
        while order.count > 5000 { forget(order.removeFirst()) }
    }
}
