import BotAPI
import Envelope
import JSON
import Payloads
import Redis
import Stage
import System
import Texts

/// Sends the results of a group of requests in order, and ends the group with one message.
///
/// The ends of a group's requests are in Redis, because several processes may send its results. Without Redis, results are sent
/// as they come, and the last of the group ends it.
struct Groups: Sendable {
    let runtime: Runtime
    let shared: SharedState
    let limits: CallLimits
    let replies: PlaceholderReplies
    let texts: Texts

    /// The end of the previous result wakes the next one; this finds ends whose wake was lost.
    private static let lookAgain = Duration.seconds(30)
    /// A result that is older than this is sent out of order: a request before it may have been lost.
    private static let longestWait = Duration.seconds(1800)

    /// Returns once the results before a job's result are sent.
    ///
    /// - Throws: `NotBefore`: they are not.
    func awaitTurn(of job: Job) async throws(NotBefore) {
        guard let group = job.group, group.item > 1, let waiter = job.context?.waiter else { return }
        if let made = Timestamp(job.event.timestamp), Timestamp.now.elapsed(since: made) > Groups.longestWait { return }
        guard let first = await shared.firstOpenItem(of: job, group, waiter), first < group.item else { return }
        throw NotBefore(.now + Groups.lookAgain, in: .stage)
    }

    /// Notes the end of a job's request.
    ///
    /// - Returns: the result of the message that ends the group, if this was its last request.
    /// - Throws: `TelegramError`; `NotBefore` if the message has to wait.
    func end(_ job: Job) async throws -> Envelope? {
        guard let group = job.group else { return nil }
        let failure = job.failureReason.map { reason in
            Wording.ItemFailure(item: group.item, title: group.title, reason: reason, code: job.failureCode)
        }
        guard let (ended, next) = await shared.endItem(of: job, group, failure) else {
            if let failure {
                return try await replies.say(job, wording(job).failure(failure.reason, code: failure.code))
            }
            if group.item == group.count { try await replies.remove(job) }
            return nil
        }
        if !next.isEmpty { try await runtime.wake(next) }
        guard ended.count >= Int(group.count) else { return nil }
        let failures = ended.values.compactMap { $0 }.sorted { $0.item < $1.item }
        guard let text = wording(job).endOfGroup(group, failures) else {
            try await replies.remove(job)
            return nil
        }
        try await limits.admit(.message, for: job)
        return try await replies.end(job, text)
    }

    private func wording(_ job: Job) -> Wording { Wording(texts, for: job.event) }
}

extension Wording {
    /// Describes the failure of one request of a group.
    struct ItemFailure: Sendable {
        let item: Int64
        let title: String?
        let reason: String
        let code: String?

        init(item: Int64, title: String?, reason: String, code: String?) {
            (self.item, self.title, self.reason, self.code) = (item, title, reason, code)
        }

        /// Reads the note of an ended request; nil if it did not fail.
        init?(item: Int64, _ json: JSON?) {
            guard let reason = json?["reason"]?.string else { return nil }
            self.init(item: item, title: json?["title"]?.string, reason: reason, code: json?["code"]?.string)
        }

        var json: JSONObject {
            ["reason": .string(reason), "title": title.map { .string($0) }, "code": code.map { .string($0) }]
        }
    }

    /// The most failures that are named one by one: more would exceed the length of a message.
    private static let namedFailures = 12

    /// Returns the last message about a group in Telegram's HTML; nil if there is nothing to say.
    func endOfGroup(_ group: EventGroup, _ failures: [ItemFailure]) -> String? {
        if failures.count == Int(group.count), failures.allSatisfy({ $0.code == "cancelled" }) {
            return failure("", code: "cancelled")
        }
        var lines: [String] = []
        if !failures.isEmpty {
            lines.append(
                texts.text(
                    "group_failed", language,
                    ["failed": .raw("\(failures.count)"), "all": .raw("\(group.count)")], isHTML: true))
            lines += reasons(failures, of: group)
        }
        if let next = group.next {
            lines.append(
                texts.text("group_more", language, ["range": .raw(next.written)], isHTML: true))
        }
        return lines.isEmpty ? nil : lines.joined(separator: "\n")
    }

    private func reasons(_ failures: [ItemFailure], of group: EventGroup) -> [String] {
        let words = failures.map { reason($0.reason, code: $0.code).limited(toUTF16: 160) }
        // If nothing came, and for one reason, it is most likely not that of each single video.
        if failures.count == Int(group.count), Set(words).count == 1 { return [words[0].escapedForHTML] }
        let named = zip(failures, words).prefix(Wording.namedFailures).map { failure, words in
            let title = failure.title.map { "\(Direction.isolated($0.limited(toUTF16: 100))): " } ?? ""
            return "\(failure.item). \(title)\(words)".escapedForHTML
        }
        return named + (failures.count > named.count ? ["…"] : [])
    }
}

extension SharedState {
    /// The time for which the ends of a group's requests are kept, in seconds.
    static let groupSeconds: Int64 = 2 * 86_400

    /// Returns the first request of a group that has not ended, and notes which event waits for the end of those before it.
    ///
    /// - Returns: nil without Redis.
    fileprivate func firstOpenItem(of job: Job, _ group: EventGroup, _ waiter: Waiter) async -> Int64? {
        let answers = await attempt { redis throws(RedisError) in
            try await redis.transaction([
                // The parts of an item wait together, in their order.
                ["RPUSH", .text(groupKey(job, "waiters:\(group.item)")), .text(waiter.rawValue)],
                ["EXPIRE", .text(groupKey(job, "waiters:\(group.item)")), .integer(SharedState.groupSeconds)],
                ["HKEYS", .text(groupKey(job, "ended"))],
            ])
        }
        guard let keys = answers?.last?.array else { return nil }
        return SharedState.firstOpen(Set(keys.compactMap { $0.string.flatMap { Int64($0) } }), group)
    }

    /// Notes that a request of a group has ended.
    ///
    /// - Returns: all requests that have ended, with their failures, and the events whose turn it is; nil without Redis.
    fileprivate func endItem(
        of job: Job, _ group: EventGroup, _ failure: Wording.ItemFailure?
    ) async -> (ended: [Int64: Wording.ItemFailure?], next: [Waiter])? {
        let key = RedisArgument.text(groupKey(job, "ended"))
        let note = failure.map { JSON.object($0.json).text } ?? ""
        let answers = await attempt { redis throws(RedisError) in
            try await redis.transaction([
                ["HSET", key, .integer(group.item), .text(note)],
                ["EXPIRE", key, .integer(SharedState.groupSeconds)], ["HGETALL", key],
            ])
        }
        guard let rows = answers?.last?.array else { return nil }
        var ended: [Int64: Wording.ItemFailure?] = [:]
        var sent: Set<Int64> = []
        for index in stride(from: 0, to: rows.count - 1, by: 2) {
            guard let item = rows[index].string.flatMap({ Int64($0) }), (1...group.count).contains(item) else {
                continue
            }
            sent.insert(item)
            // It ends by itself, and then it may be the last.
            if rows[index + 1].string == SharedState.sentAsFirst { continue }
            let note = rows[index + 1].string.flatMap { try? JSON(parsing: $0) }
            ended[item] = .some(Wording.ItemFailure(item: item, note))
        }
        let open = SharedState.firstOpen(sent, group)
        let waiters = await attempt { redis throws(RedisError) in
            try await redis.send("LRANGE", .text(groupKey(job, "waiters:\(open)")), 0, -1).array
        }
        return (ended, ((waiters ?? nil) ?? []).compactMap(\.string).map { Waiter(rawValue: $0) })
    }

    private static func firstOpen(_ ended: Set<Int64>, _ group: EventGroup) -> Int64 {
        (1...group.count).first { !ended.contains($0) } ?? group.count + 1
    }

    func groupKey(_ job: Job, _ part: String) -> String {
        "tgpipe:{group:\(job.event.correlationID):\(job.kind)}:\(part)"
    }
}
