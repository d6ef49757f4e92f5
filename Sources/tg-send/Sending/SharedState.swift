import ChatCommands
import Envelope
import Glibc
import JSON
import Logging
import Payloads
import Redis
import Stage
import Synchronization

/// Keeps in Redis what the processes of one bot or account share: cached file_ids, placeholder replies, flood waits,
/// and records of what was sent.
///
/// Sending works without any of it. While Redis is away, work from a pipe continues without these entries, and the log
/// warns of it; work from a queue waits for Redis.
final class SharedState: Sendable {
    private static let replySeconds: Int64 = 86_400
    /// Stands for a placeholder reply that a process is creating, for this many seconds at most.
    private static let claim: Int64 = 0
    private static let claimSeconds: Int64 = 30
    private static let fileIDSeconds: Int64 = 30 * 86_400
    private static let recordSeconds: Int64 = 86_400
    /// An event that a killed process leaves comes again within minutes.
    private static let formerRecordSeconds: Int64 = 3600

    private let redis: Redis?
    let waits: Bool
    let runtime: Runtime
    /// The user id of the bot or account.
    let speakerID: Int64
    private let replies = Mutex(RecentReplies())
    let ownMessages = Mutex(OwnMessages())
    /// The name under which this process is known to the others.
    let process = "\(Runtime.host):\(getpid()):\(String(UInt32.random(in: 0...(.max)), radix: 16))"

    /// - Parameters:
    ///   - redis: nil for one-off sends.
    ///   - waits: whether calls wait while Redis is away. A worker of a queue has to: other workers read what it
    ///     writes.
    init(runtime: Runtime, redis: Redis?, waits: Bool = false, speakerID: Int64) {
        self.runtime = runtime
        self.redis = redis
        self.waits = waits
        self.speakerID = speakerID
    }

    /// Calls Redis.
    ///
    /// - Returns: nil when Redis cannot be used.
    func attempt<Value>(_ call: (Redis) async throws(RedisError) -> Value) async -> Value? {
        guard let redis else { return nil }
        do {
            return waits ? try await runtime.untilRedisAnswers { try await call(redis) } : try await call(redis)
        } catch let error as RedisError {
            runtime.log.warning("continuing without Redis: \(error.message)")
        } catch {
            // The time to drain is over.
        }
        return nil
    }

    // MARK: Cached files

    /// A media file that Telegram already has.
    struct CachedFile: Sendable {
        let fileID: String
        /// Telegram's name for the file's kind: `video`, `animation`, `audio`, `voice`, `photo` or `document`. It never changes.
        let type: String

        init(fileID: String, type: String) { (self.fileID, self.type) = (fileID, type) }

        /// Reads the file of a sent message; nil when it has none.
        init?(of message: JSON) {
            // A video without sound comes back as an animation, with a document beside it for old clients.
            for type in ["animation", "video", "audio", "voice", "document"] {
                if let id = message[type]?["file_id"]?.string {
                    self.init(fileID: id, type: type)
                    return
                }
            }
            // Telegram makes several sizes of a photo, of which the last one is the largest.
            guard let id = message["photo"]?.array?.last?["file_id"]?.string else { return nil }
            self.init(fileID: id, type: "photo")
        }
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

    /// Deletes a file_id, unless it has been replaced.
    func forgetFile(_ key: String, _ file: CachedFile) async {
        guard await cachedFile(key)?.fileID == file.fileID else { return }
        _ = await attempt { redis throws(RedisError) in try await redis.send("DEL", .text(fileKey(key))) }
    }

    /// Counts a delivery over all processes.
    ///
    /// - Returns: the number of deliveries so far; nil when Redis cannot be used.
    func countDelivery() async -> Int64? {
        await attempt { redis throws(RedisError) in try await redis.send("INCR", "tgpipe:cleanup:events").int } ?? nil
    }

    private func fileKey(_ key: String) -> String { "tgpipe:{\(key)}:file_id:\(speakerID)" }

    // MARK: Placeholder replies

    /// Returns the message id of a request's placeholder reply; nil when there is none, or while it is being created.
    func replyID(of request: EventID) async -> Int64? {
        let key = replyKey(request)
        if let known = replies.withLock({ $0.ids[key] }) { return known }
        let reply = await attempt { redis throws(RedisError) in try await redis.send("GET", .text(key)).int }
        return (reply ?? nil).flatMap { $0 > SharedState.claim ? $0 : nil }
    }

    /// Takes a request's placeholder reply for the request's last message: from now on no process shows progress in it
    /// or deletes it. The key keeps the id, as a negative number, for a later attempt.
    ///
    /// - Returns: the reply's message id; nil when there is none, or while it is being created.
    func takeReply(of request: EventID) async -> Int64? {
        await runOnReply(of: request, SharedState.takeScript)
    }

    /// Takes away a placeholder reply that came after the end of its request, for its deletion.
    ///
    /// - Returns: the reply's message id; nil when the request's last message has taken its place.
    func withdrawReply(of request: EventID) async -> Int64? {
        let id = await runOnReply(of: request, SharedState.withdrawScript)
        replies.withLock { $0.forget(replyKey(request)) }
        _ = await attempt { redis throws(RedisError) in try await redis.pipeline(noteClosed(request)) }
        return id
    }

    private func runOnReply(of request: EventID, _ script: RedisScript) async -> Int64? {
        let key = replyKey(request)
        let answer = await attempt { redis throws(RedisError) in
            try await redis.run(script, keys: [key]).int
        }
        // Without Redis no other process knows the reply.
        guard let id = answer ?? nil else { return replies.withLock { $0.ids[key] } }
        return id == SharedState.claim ? nil : id
    }

    private static let takeScript = RedisScript(
        """
        local id = tonumber(redis.call('GET', KEYS[1]) or '0')
        if id > 0 then redis.call('SET', KEYS[1], -id, 'KEEPTTL') end
        return math.abs(id)
        """)

    private static let withdrawScript = RedisScript(
        """
        local id = tonumber(redis.call('GET', KEYS[1]) or '0')
        if id <= 0 then return 0 end
        redis.call('DEL', KEYS[1])
        return id
        """)

    /// Claims the right to create a request's placeholder reply.
    ///
    /// - Returns: false when another process has claimed it, or when the request has ended; true also without Redis.
    func claimReply(of request: EventID, kind: String) async -> Bool {
        if await hasEnded(request, kind: kind) { return false }
        let claimed = await attempt { redis throws(RedisError) in
            try await redis.send(
                "SET", .text(replyKey(request)), .integer(SharedState.claim), "NX", "EX",
                .integer(SharedState.claimSeconds))
        }
        return claimed.map { !$0.isNull } ?? true
    }

    /// Records the placeholder reply of a job's request.
    func setReplyID(_ id: Int64, for job: Job) async {
        let request = job.event.correlationID
        let key = replyKey(request)
        replies.withLock { $0.set(id, key) }
        _ = await attempt { redis throws(RedisError) in
            try await redis.pipeline(
                [["SET", .text(key), .integer(id), "EX", .integer(SharedState.replySeconds)]]
                    + noteOpen(request, for: job) + noteShown(id, for: job))
        }
    }

    /// Prevents further placeholder replies of a request after the answer to the first one was lost.
    func doubtReply(of request: EventID) async {
        _ = await attempt { redis throws(RedisError) in
            try await redis.send(
                "SET", .text(replyKey(request)), .integer(SharedState.claim), "EX",
                .integer(SharedState.replySeconds))
        }
    }

    func forgetReply(of request: EventID) async {
        let key = replyKey(request)
        replies.withLock { $0.forget(key) }
        _ = await attempt { redis throws(RedisError) in
            try await redis.pipeline([["DEL", .text(key)]] + noteClosed(request))
        }
    }

    /// Returns whether a request's placeholder reply has this text already, as far as this process has seen.
    func isShown(_ text: String, for request: EventID) -> Bool {
        replies.withLock { $0.texts[replyKey(request)] == text }
    }

    func noteShown(_ text: String, for request: EventID) { replies.withLock { $0.note(text, replyKey(request)) } }

    /// Records that a request has ended, so that no process shows progress for it any more.
    func noteEnd(of request: EventID, kind: String) async {
        _ = await attempt { redis throws(RedisError) in
            try await redis.send("SET", .text(endKey(request, kind)), 1, "EX", .integer(SharedState.replySeconds))
        }
    }

    /// Gives a failed request back to the limits that counted it.
    func giveBack(_ request: EventID) async {
        _ = await attempt { redis throws(RedisError) in try await RateRefund(redis).giveBack(request.description) }
    }

    func hasEnded(_ request: EventID, kind: String) async -> Bool {
        let count = await attempt { redis throws(RedisError) in
            try await redis.send("EXISTS", .text(endKey(request, kind))).int
        }
        return count == 1
    }

    private func replyKey(_ request: EventID) -> String { ShownRequest.replyKey(request) }
    private func endKey(_ request: EventID, _ kind: String) -> String { ShownRequest.endKey(request, kind) }

    /// Returns the calls that note which request a placeholder reply belongs to, and the message that it answers.
    private func noteShown(_ reply: Int64, for job: Job) -> [[RedisArgument]] {
        guard let chat = job.chat.number else { return [] }
        let shown = ShownRequest(job.event.correlationID, user: job.event.actor?.id)
        return [reply, job.origin?.messageID].compactMap { $0 }.map { message in
            [
                "SET", .text(ShownRequest.key(speaker: speakerID, chat: chat, message: message)), .text(shown.text),
                "EX", .integer(SharedState.replySeconds),
            ]
        }
    }

    // MARK: Records of sent events

    /// Records what was done for an event of a queue, so that it is not done again when the queue delivers the event
    /// again. A crash between Telegram's answer and this record makes a duplicate message.
    func record(_ job: Job) async {
        let record: JSON = .object([
            "left": .array(job.steps.map { .string($0.rawValue) }), "reason": job.failureReason.map { .string($0) },
            "results": .array(job.results.map(\.json)), "speaker": .integer(speakerID),
        ])
        func set(_ key: String, for seconds: Int64) -> [RedisArgument] {
            ["SET", .text(key), .bytes(record.bytes), "EX", .integer(seconds)]
        }
        _ = await attempt { redis throws(RedisError) in
            try redis.checked(
                try await redis.pipeline([
                    set(recordKey(job), for: SharedState.recordSeconds),
                    set(formerRecordKey(job), for: SharedState.formerRecordSeconds),
                ]))
        }
    }

    /// Restores a job's remaining steps and its results from the record of an earlier attempt, if there is one.
    func restore(_ job: inout Job) async {
        let texts = await attempt { redis throws(RedisError) in
            try redis.checked(
                try await redis.pipeline([recordKey(job), formerRecordKey(job)].map { ["GET", .text($0)] }))
        }
        let records = (texts ?? []).map { reply in reply.string.flatMap { try? JSON(parsing: $0) } }
        // Of another bot's event, this one has sent nothing. An earlier version does not say whose record it is.
        let record = records.compactMap(\.self).first { ($0["speaker"]?.int ?? speakerID) == speakerID }
        guard let record, let left = record["left"]?.array else { return }
        job.restore(
            steps: left.compactMap(\.string).compactMap { Step(rawValue: $0) },
            results: (record["results"]?.array ?? []).compactMap { try? Envelope($0) },
            failureReason: record["reason"]?.string)
    }

    /// Forgets what was done for an event, so that a later attempt does it again.
    func forgetRecord(_ job: Job) async {
        _ = await attempt { redis throws(RedisError) in
            try redis.checked(
                try await redis.pipeline([recordKey(job), formerRecordKey(job)].map { ["DEL", .text($0)] }))
        }
    }

    /// Several bots and accounts can get the same event, each from a queue of its own.
    private func recordKey(_ job: Job) -> String { "tgpipe:sent:\(speakerID):\(job.event.id)" }

    /// The key under which versions up to 0.2.0 keep their records, for those that share a queue with this one during an upgrade.
    private func formerRecordKey(_ job: Job) -> String { "tgpipe:sent:\(job.event.id)" }
}

/// Keeps the newest 5000 placeholder replies in memory: an edit then needs no call to Redis, and an edit that changes
/// nothing needs no call to Telegram.
private struct RecentReplies {
    private static let maxReplies = 5000

    private(set) var ids: [String: Int64] = [:]
    private(set) var texts: [String: String] = [:]
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
        while order.count > RecentReplies.maxReplies { forget(order.removeFirst()) }
    }
}
