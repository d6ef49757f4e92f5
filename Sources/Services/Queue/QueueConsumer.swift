package import Redis
import Synchronization

/// A worker's side of a queue: it takes events, keeps their leases, and says what became of them.
///
/// Every event is in exactly one of these states for a group: new, leased to a worker, held, waiting for another attempt, acknowledged,
/// dead. Each change is one atomic step in Redis, which it makes only for who has the lease: a worker that was thought dead changes
/// nothing any more. Calls that failed for a while may be repeated.
package final class QueueConsumer: Sendable {
    package struct Settings: Sendable {
        package var group: String
        /// Unlike that of any other worker: `host:pid:random`.
        package var worker: String
        package var lease = Duration.seconds(30)
        package var maxDeadLetters = QueueOutputs.defaultMaxLength

        package init(group: String, worker: String) {
            self.group = group
            self.worker = worker
        }
    }

    package let queue: QueueName
    package let settings: Settings
    let group: QueueGroup
    let redis: Redis
    private let waiting: Redis
    /// Leases by entry id; the attempt.
    let leases = Mutex<[String: Int]>([:])
    private let finished = Mutex(0)

    /// - Parameters:
    ///   - redis: may be shared.
    ///   - waiting: for waiting only.
    package init(_ queue: QueueName, redis: Redis, waiting: Redis, settings: Settings) throws(QueueError) {
        self.queue = queue
        self.redis = redis
        self.waiting = waiting
        self.settings = settings
        group = try QueueGroup(queue, settings.group)
    }

    /// Makes the group when it is not there; it begins with the oldest event that the queue still has.
    package func open() async throws {
        var start = "-"
        while true {
            let answer = try await run(
                QueueScripts.open,
                [.integer(settings.lease.wholeMilliseconds), .text(start), .text(queue.text)],
                moreKeys: [QueueName.namesKey])
            guard let next = answer.string else { return }
            start = next
        }
    }

    // MARK: taking

    /// When there is nothing to take.
    package struct Lull: Sendable {
        let lastID: String
        let nudgeID: String
        /// nil: nothing is due at any time.
        let untilDue: Duration?

        /// Whether nobody of the group works on anything, and nothing waits to be taken again.
        package var isEmpty: Bool { untilDue == nil }
    }

    package enum Taken: Sendable {
        case entries([TakenEntry])
        /// Two workers ended while they had this event: it is to be worked on by one that does nothing else until it is done.
        case alone(TakenEntry)
        case nothing(Lull)
        /// There is such an event: take again when idle.
        case suspect
    }

    /// Takes what there is, without waiting.
    ///
    /// - Parameters:
    ///   - limit: how many at most.
    ///   - isIdle: whether the worker works on nothing else.
    package func take(limit: Int, isIdle: Bool) async throws -> Taken {
        let answer = try await run(
            QueueScripts.take,
            [
                .integer(Int64(limit)), .integer(settings.lease.wholeMilliseconds), .integer(1 << 20), isIdle ? 1 : 0,
            ])
        guard let parts = answer.array, parts.count >= 2, let words = parts[0].array else { throw unexpected() }
        var entries: [TakenEntry] = []
        entries.reserveCapacity(words.count / 3)
        for first in stride(from: 0, to: words.count - 2, by: 3) {
            guard let id = words[first].string, let attempt = words[first + 1].int,
                case .bytes(let line) = words[first + 2]
            else { throw unexpected() }
            entries.append(TakenEntry(entry: QueueEntry(id: id, attempt: Int(attempt)), line: line))
        }
        leases.withLock { leases in
            for taken in entries { leases[taken.entry.id] = taken.entry.attempt }
        }
        if parts[1].int == 2, let entry = entries.first { return .alone(entry) }
        if !entries.isEmpty { return .entries(entries) }
        if parts[1].int == 1 { return .suspect }
        guard parts.count == 5, let last = parts[2].string, let nudge = parts[3].string, let wait = parts[4].int else {
            throw unexpected()
        }
        return .nothing(
            Lull(lastID: last, nudgeID: nudge, untilDue: wait < 0 ? nil : .milliseconds(wait)))
    }

    /// Returns when there may be something to take.
    ///
    /// - Parameter limit: how long to wait at most.
    package func waitForNews(_ lull: Lull, atMost limit: Duration) async throws {
        let wait = min(limit, lull.untilDue ?? limit)
        guard wait > .zero else { return }
        _ = try await explaining { () throws(RedisError) in
            try await waiting.send(
                [
                    "XREAD", "COUNT", 1, "BLOCK", .integer(max(1, wait.wholeMilliseconds)), "STREAMS",
                    .text(queue.streamKey), .text(queue.nudgeKey), .text(lull.lastID), .text(lull.nudgeID),
                ], timeout: wait + .seconds(5))
        }
    }

    // MARK: finishing

    package enum Finished: Sendable, Equatable {
        /// Those whose lease was lost; nothing of theirs was published.
        case done(lost: [QueueEntry])
        /// An output has no room; nothing was done.
        case full
    }

    /// Publishes what came of entries, and acknowledges them: one step.
    package func finish(_ results: [QueueResult], to outputs: QueueOutputs = .none) async throws -> Finished {
        guard !results.isEmpty else { return .done(lost: []) }
        let isTimeToTrim = finished.withLock { count in
            count += results.count
            guard count >= QueueConsumer.trimInterval else { return false }
            count = 0
            return true
        }
        var batch = CommandBatch()
        for result in results {
            batch.add(result.entry.id)
            batch.add(Int64(result.entry.attempt))
            batch.add(Int64(result.lines.count))
            batch.add(lines: result.lines)
        }
        let count = results.reduce(0) { $0 + 3 + 2 * $1.lines.count }
        let answer = try await run(
            QueueScripts.finish, [.integer(Int64(outputs.maxLength)), isTimeToTrim ? 1 : 0],
            encoded: (batch.encoded, count), moreKeys: outputs.queues.map(\.streamKey))
        if answer.int == -1 { return .full }
        guard let lost = answer.array else { throw unexpected() }
        let ids = Set(lost.compactMap(\.string))
        forget(results.map(\.entry))
        return .done(lost: ids.isEmpty ? [] : results.map(\.entry).filter { ids.contains($0.id) })
    }

    /// So many entries are finished between two trimmings.
    private static let trimInterval = 500

    /// Has an entry taken again after a pause.
    ///
    /// - Returns: false when the lease was lost.
    @discardableResult
    package func retry(_ entry: QueueEntry, after pause: Duration, reason: String) async throws -> Bool {
        try await change(entry, QueueScripts.retry, [.integer(pause.wholeMilliseconds), .text(reason)])
    }

    /// Has an entry taken again when it is woken, or after a time; the attempt does not count.
    @discardableResult
    package func hold(_ entry: QueueEntry, for limit: Duration) async throws -> Bool {
        try await change(entry, QueueScripts.hold, [.integer(limit.wholeMilliseconds)])
    }

    private func change(
        _ entry: QueueEntry, _ script: RedisScript, _ arguments: [RedisArgument]
    ) async throws -> Bool {
        let answer = try await run(script, [.text(entry.id), .integer(Int64(entry.attempt))] + arguments)
        forget([entry])
        return answer.int == 1
    }

    /// Moves an entry to the dead letters, and publishes what tells of it.
    ///
    /// - Returns: nil when there is no room for it.
    package func bury(
        _ entry: QueueEntry, _ burial: Burial, tool: String, lines: [QueueLine] = [], to outputs: QueueOutputs = .none
    ) async throws -> Bool? {
        var batch = CommandBatch()
        batch.add(lines: lines)
        let answer = try await run(
            QueueScripts.bury,
            [
                .text(entry.id), .integer(Int64(entry.attempt)), .integer(Int64(settings.maxDeadLetters)),
                .text(burial.code), .text(burial.reason), .text(tool), .text(settings.worker),
            ], encoded: (batch.encoded, 2 * lines.count), moreKeys: outputs.queues.map(\.streamKey))
        if answer.int == -1 { return nil }
        forget([entry])
        return answer.int == 1
    }

    func forget(_ entries: [QueueEntry]) {
        leases.withLock { leases in
            for entry in entries where leases[entry.id] == entry.attempt { leases[entry.id] = nil }
        }
    }
}

extension QueueConsumer {
    /// Runs a script of the group; one that is gone, with its queue, is made again.
    func run(
        _ script: RedisScript, _ arguments: [RedisArgument], encoded: (bytes: [UInt8], count: Int) = ([], 0),
        moreKeys: [String] = []
    ) async throws -> RedisValue {
        let call = EncodedCall(
            keys: group.keys + moreKeys, arguments: [.text(group.name), .text(settings.worker)] + arguments,
            encoded: encoded.bytes, encodedCount: encoded.count)
        do {
            return try await explaining { () throws(RedisError) in try await redis.run(script, call) }
        } catch let error as RedisError where error.message.contains("NOGROUP") && script !== QueueScripts.open {
            try await open()
            return try await explaining { () throws(RedisError) in try await redis.run(script, call) }
        }
    }

    private func explaining(_ call: () async throws(RedisError) -> RedisValue) async throws -> RedisValue {
        do throws(RedisError) {
            return try await call()
        } catch {
            throw queue.explained(error)
        }
    }

    func unexpected() -> QueueError {
        QueueError(.protocolBroken, "\(queue): Redis at \(redis.address) answered a script in an unknown way")
    }
}

extension Duration {
    /// Rounded down; at most what fits.
    var wholeMilliseconds: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        return overflow ? .max : product + attoseconds / 1_000_000_000_000_000
    }
}
