import Envelope
import Glibc
import JSON
import Payloads
import Redis
import Stage
import Synchronization
import System

/// Holds the newest messages that this process has sent.
struct OwnMessages: Sendable {
    /// The ids that a message can have. A server can answer with any number.
    static let ids: Range<Int64> = 1..<1 << 53

    struct Note: Sendable {
        /// The sequence of ids that the message's id belongs to.
        let sequence: String
        let chat: ChatID
        let id: Int64
    }

    private static let maxSequences = 5000

    private var newest: [String: Int64] = [:]
    /// The messages that Redis does not know yet.
    private var unsaved: [Note] = []

    func newest(in sequence: String) -> Int64? { newest[sequence] }

    mutating func add(_ note: Note) {
        if newest.count >= OwnMessages.maxSequences { newest = [:] }
        newest[note.sequence] = max(newest[note.sequence] ?? note.id, note.id)
        unsaved.append(note)
        if unsaved.count > OwnMessages.maxSequences { unsaved.removeFirst() }
    }

    mutating func takeUnsaved() -> [Note] {
        defer { unsaved = [] }
        return unsaved
    }

    mutating func keep(_ notes: [Note]) { unsaved = notes + unsaved }
}

extension SharedState {
    private var prefix: String { "tgpipe:{speaker:\(speakerID)}" }

    // MARK: Rates and flood waits

    enum Admission: Sendable {
        case now
        /// Other processes have sent as much as Telegram accepts in a second.
        case after(Duration)
        /// Telegram accepts no call for the chat, or none at all, before this time is over.
        case afterFlood(Duration, isForAll: Bool)
    }

    /// Counts a call against the rate of all processes of the bot or account, if no flood wait holds it.
    ///
    /// - Parameter perSecond: the number of messages that may be sent in a second; nil for no limit.
    func admit(_ kind: CallKind, chat: ChatID, perSecond: Int?) async -> Admission {
        let answer = await attempt { redis throws(RedisError) in
            try await redis.run(
                SharedState.admitScript, keys: ["\(prefix):hold", floodWaitKey(chat, kind), "\(prefix):rate"],
                arguments: [
                    .integer(Int64(perSecond ?? 0)), .text("\(process):\(UInt64.random(in: 0...(.max)))"),
                ])
        }
        guard let words = answer?.array, words.count == 2, let rest = words[1].int else { return .now }
        switch words[0].int {
        case 1: return .after(.milliseconds(rest))
        case 2: return .afterFlood(.milliseconds(rest), isForAll: true)
        case 3: return .afterFlood(.milliseconds(rest), isForAll: false)
        default: return .now
        }
    }

    /// Keys: the wait for all chats, the wait for this one, the messages of the last second. Arguments: messages a
    /// second or 0, this message's name. Answer: 0; 1 and the ms until there is room; 2 or 3 and the rest of a wait for
    /// all chats or for this one in ms.
    private static let admitScript = RedisScript(
        """
        local time = redis.call('TIME')
        local now = time[1] * 1000 + math.floor(time[2] / 1000)
        for i = 1, 2 do
          local rest = redis.call('PTTL', KEYS[i])
          if rest > 0 then return {i + 1, rest} end
        end
        local limit = tonumber(ARGV[1])
        if limit == 0 then return {0, 0} end
        -- Messages are counted when they are allowed; they reach Telegram a moment later.
        local window = 1100
        redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - window)
        if redis.call('ZCARD', KEYS[3]) >= limit then
          local first = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')
          return {1, math.max(1, first[2] + window - now)}
        end
        redis.call('ZADD', KEYS[3], now, ARGV[2])
        redis.call('PEXPIRE', KEYS[3], window)
        return {0, 0}
        """)

    /// Records a flood wait for all processes of the bot or account.
    ///
    /// - Parameter isForAll: whether no call at all is accepted before its end.
    func setFloodWait(chat: ChatID, _ kind: CallKind, for wait: Duration, isForAll: Bool) async {
        runtime.activity.waits(isForAll ? "all messages" : "\(kind) in \(chat)", for: wait)
        let rest = RedisArgument.integer(max(1, wait.milliseconds))
        _ = await attempt { redis throws(RedisError) in
            try await redis.send("SET", .text(floodWaitKey(chat, kind)), 1, "PX", rest)
            if isForAll { try await redis.send("SET", .text("\(prefix):hold"), 1, "PX", rest) }
        }
    }

    private func floodWaitKey(_ chat: ChatID, _ kind: CallKind) -> String { "\(prefix):hold:\(kind):\(chat)" }

    // MARK: Own messages

    /// Returns the name of the sequence that the ids of a chat's messages belong to. Private chats and basic groups
    /// share one; each channel and supergroup has its own.
    private static func sequence(of chat: ChatID) -> String {
        if let number = chat.number, number > -1_000_000_000_000 { return "common" }
        return chat.description
    }

    func newestOwnMessage(in chat: ChatID) -> Int64? {
        ownMessages.withLock { $0.newest(in: SharedState.sequence(of: chat)) }
    }

    /// Notes messages that this process has sent, also for the other processes of the bot, which may be looking for a
    /// lost message in the same chat.
    func noteOwnMessages(_ ids: [Int64], in chat: ChatID) async {
        let sequence = SharedState.sequence(of: chat)
        ownMessages.withLock { own in
            for id in ids where OwnMessages.ids.contains(id) {
                own.add(OwnMessages.Note(sequence: sequence, chat: chat, id: id))
            }
        }
        await saveOwnMessages()
    }

    /// Writes the notes that Redis does not have yet. They wait for the next call if Redis is away.
    private func saveOwnMessages() async {
        let notes = ownMessages.withLock { $0.takeUnsaved() }
        guard !notes.isEmpty else { return }
        let (key, now) = (RedisArgument.text("\(prefix):own"), RedisArgument.integer(Timestamp.now.microseconds / 1000))
        let additions: [RedisArgument] = notes.flatMap { [now, .text("\($0.sequence)/\($0.chat)/\($0.id)")] }
        let saved = await attempt { redis throws(RedisError) in
            try await redis.pipeline([
                ["ZADD", key] + additions, ["ZREMRANGEBYRANK", key, 0, -1001], ["EXPIRE", key, 3600],
            ])
        }
        if saved == nil { ownMessages.withLock { $0.keep(notes) } }
    }

    /// Returns the messages in a chat that the processes of the bot have sent, and the newest id in its sequence; nil
    /// without Redis.
    func ownMessages(near chat: ChatID) async -> (ids: Set<Int64>, newest: Int64?)? {
        await saveOwnMessages()
        let answer = await attempt { redis throws(RedisError) in
            try await redis.send("ZRANGE", .text("\(prefix):own"), 0, -1).array
        }
        guard let rows = answer ?? nil else { return nil }
        var (ids, newest): (Set<Int64>, Int64?) = ([], nil)
        for row in rows {
            guard let words = row.string?.split(separator: "/"), words.count == 3, let id = Int64(words[2]),
                OwnMessages.ids.contains(id),
                words[0] == SharedState.sequence(of: chat)
            else { continue }
            newest = max(newest ?? id, id)
            if words[1] == chat.description { ids.insert(id) }
        }
        return (ids, newest)
    }

    /// Notes a message that was found after a lost answer.
    ///
    /// - Returns: false if another call has found the same message.
    func claimOwnMessage(_ id: Int64, in chat: ChatID) async -> Bool {
        let sequence = SharedState.sequence(of: chat)
        let added = await attempt { redis throws(RedisError) in
            try await redis.send(
                "ZADD", .text("\(prefix):own"), "NX", .integer(Timestamp.now.microseconds / 1000),
                .text("\(sequence)/\(chat)/\(id)")
            ).int
        }
        return added == 1
    }

    // MARK: Requests that are shown and have not ended

    /// Describes a request whose placeholder reply was shown by another process.
    struct OpenRequest: Sendable {
        let request: EventID
        let kind: String
        let origin: JSON
        let process: String
    }

    /// Returns the commands that note that a job's request is shown. A queue keeps unfinished requests itself.
    func noteOpen(_ request: EventID, for job: Job) -> [[RedisArgument]] {
        guard !waits, let origin = job.event.meta["origin"] else { return [] }
        let note = JSON.object(["kind": .string(job.kind), "origin": origin, "process": .string(process)]).text
        return [["HSET", .text(openKey), .text(request.description), .text(note)]]
    }

    func noteClosed(_ request: EventID) -> [[RedisArgument]] {
        waits ? [] : [["HDEL", .text(openKey), .text(request.description)]]
    }

    /// Shows the other processes that this one lives, for 30 seconds.
    func noteAlive() async {
        _ = await attempt { redis throws(RedisError) in
            try await redis.send("SET", .text("\(prefix):alive:\(process)"), 1, "EX", 30)
        }
    }

    /// Returns the requests that processes have shown that no longer run.
    func abandonedRequests() async -> [OpenRequest] {
        let rows = await attempt { redis throws(RedisError) in try await redis.send("HGETALL", .text(openKey)).array }
        let words = (rows ?? nil) ?? []
        var found: [OpenRequest] = []
        for index in stride(from: 0, to: words.count - 1, by: 2) {
            guard let request = words[index].string.flatMap({ EventID($0) }),
                let note = words[index + 1].string.flatMap({ try? JSON(parsing: $0) }),
                let origin = note["origin"], let owner = note["process"]?.string, await isGone(owner)
            else { continue }
            found.append(
                OpenRequest(request: request, kind: note["kind"]?.string ?? "", origin: origin, process: owner))
        }
        return found
    }

    /// Removes the note of a shown request.
    ///
    /// - Returns: false if the request has ended, or another process has removed the note.
    func close(_ request: EventID) async -> Bool {
        let count = await attempt { redis throws(RedisError) in
            try await redis.send("HDEL", .text(openKey), .text(request.description)).int
        }
        return count == 1
    }

    private func isGone(_ owner: String) async -> Bool {
        if owner == process { return false }
        let words = owner.split(separator: ":")
        if words.count == 3, words[0] == Runtime.host, let number = Int32(words[1]) {
            // A process of the same number as this one ran before it, in another container.
            if number == getpid() || (kill(number, 0) != 0 && errno == ESRCH) { return true }
        }
        let count = await attempt { redis throws(RedisError) in
            try await redis.send("EXISTS", .text("\(prefix):alive:\(owner)")).int
        }
        return count == 0
    }

    private var openKey: String { "\(prefix):open" }
}
