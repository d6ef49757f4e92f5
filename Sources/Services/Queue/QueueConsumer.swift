import JSON
package import Redis
import Synchronization

/// Represents one worker of a queue: takes events, keeps their leases, and changes their states.
///
/// For each group, every event is in exactly one of these states: new, leased to a worker, held, waiting for another attempt,
/// acknowledged, dead. Each change is one atomic step in Redis and is made only for the worker that has the lease: a worker that lost
/// its lease changes nothing. Calls that failed transiently may be repeated.
package final class QueueConsumer: Sendable {
    package struct Settings: Sendable {
        package var group: String
        /// The worker's name, unique among all workers: `host:pid:random`.
        package var worker: String
        package var lease = Duration.seconds(30)
        package var maxDeadLetters = QueueOutputs.defaultMaxLength
        /// The order in which entries are given out; nil for the order of the queue, in which workers overtake each other.
        package var order: QueueOrder?

        package init(group: String, worker: String) {
            self.group = group
            self.worker = worker
        }
    }

    package let queue: QueueName
    package let settings: Settings
    private let group: QueueGroup
    private let redis: Redis
    private let waiting: Redis
    private let leases = Mutex(HeldLeases())
    /// The time until which Redis may give this worker entries without its knowledge, as the answer to a call was lost; nil for none.
    private let mayHaveStraysUntil = Mutex<ContinuousClock.Instant?>(nil)
    /// The number of entries finished since the stream was last trimmed.
    private let finished = Mutex(0)

    /// - Parameters:
    ///   - redis: a connection that may be shared.
    ///   - waiting: a connection of its own, for the waits in the server.
    package init(_ queue: QueueName, redis: Redis, waiting: Redis, settings: Settings) throws(QueueError) {
        self.queue = queue
        self.redis = redis
        self.waiting = waiting
        self.settings = settings
        group = try QueueGroup(queue, settings.group)
    }

    /// Creates the group if it does not exist; a new group begins with the oldest event that the queue still has.
    package func open() async throws {
        var start = "-"
        while true {
            let answer = try await run(
                QueueScripts.open,
                [.integer(settings.lease.milliseconds), .text(start), .text(queue.text)],
                moreKeys: [QueueName.namesKey])
            guard let next = answer.string else { return }
            start = next
        }
    }

    // MARK: Taking

    /// Describes the state of a queue without an entry to take, for `waitForNews`.
    package struct Lull: Sendable {
        fileprivate let lastID: String
        fileprivate let nudgeID: String
        /// The time until an entry can be taken again; nil if no worker of the group has an entry and none waits for an attempt.
        fileprivate let untilDue: Duration?

        /// Is true if no worker of the group has an entry, and no entry waits for another attempt.
        package var isEmpty: Bool { untilDue == nil }
    }

    package enum Answer: Sendable {
        case taken(TakenEntries)
        case nothing(Lull)
    }

    /// Takes entries without waiting.
    ///
    /// - Parameters:
    ///   - limit: the number of entries at most.
    ///   - isIdle: whether the worker works on nothing else.
    package func take(limit: Int, isIdle: Bool) async throws -> Answer {
        if let end = mayHaveStraysUntil.withLock({ $0 }) {
            let isOver = ContinuousClock.now >= end
            try await releaseStrays()
            if isOver { mayHaveStraysUntil.withLock { if $0 == end { $0 = nil } } }
        }
        let order = settings.order
        let askedAt = ContinuousClock.now
        let answer: RedisValue
        do {
            answer = try await run(
                QueueScripts.take,
                [
                    .integer(Int64(limit)), .integer(settings.lease.milliseconds), .integer(1 << 20), isIdle ? 1 : 0,
                    .text(order?.encoded ?? ""), .integer(Int64(order?.entriesPerKey ?? 0)),
                    order?.isInBatches == true ? 1 : 0,
                ])
        } catch {
            // Redis may execute the lost call later, even after the next one.
            mayHaveStraysUntil.withLock { $0 = .now + settings.lease }
            throw error
        }
        guard let parts = answer.array, parts.count >= 2, let words = parts[0].array else { throw unexpected() }
        var entries: [TakenEntry] = []
        entries.reserveCapacity(words.count / 3)
        for first in stride(from: 0, to: words.count - 2, by: 3) {
            guard let id = words[first].string, let attempt = words[first + 1].int,
                case .bytes(let line) = words[first + 2]
            else { throw unexpected() }
            entries.append(
                TakenEntry(entry: QueueEntry(id: id, attempt: Int(attempt)), askedAt: askedAt, line: line))
        }
        leases.withLock { $0.add(entries.map(\.entry), askedAt) }
        if parts[1].int == 2, let entry = entries.first { return .taken(.alone(entry)) }
        if !entries.isEmpty { return .taken(.entries(entries)) }
        if parts[1].int == 1 { return .taken(.suspect) }
        guard parts.count == 5, let last = parts[2].string, let nudge = parts[3].string, let wait = parts[4].int else {
            throw unexpected()
        }
        return .nothing(
            Lull(lastID: last, nudgeID: nudge, untilDue: wait < 0 ? nil : .milliseconds(wait)))
    }

    /// Returns the entries that this worker has without knowing it, so that they need not wait for the end of their leases.
    private func releaseStrays() async throws {
        let own = try await unfinished(of: settings.worker).map(\.entry)
        let known = leases.withLock { $0 }
        let strays = own.filter { !known.has($0) }
        if !strays.isEmpty { try await release(strays) }
    }

    /// Returns up to 5000 entries that are not finished, and the consumers to which they belong.
    ///
    /// - Parameter consumer: nil for those of all.
    private func unfinished(of consumer: String?) async throws -> [(entry: QueueEntry, consumer: String)] {
        let words = try await run(QueueScripts.unfinished, [.text(consumer ?? "")]).array ?? []
        return try stride(from: 0, to: words.count - 2, by: 3).map { first in
            guard let id = words[first].string, let attempt = words[first + 1].int, let owner = words[first + 2].string
            else { throw unexpected() }
            return (QueueEntry(id: id, attempt: Int(attempt)), owner)
        }
    }

    /// Waits until there may be an entry to take.
    ///
    /// - Parameter limit: the longest wait.
    package func waitForNews(_ lull: Lull, atMost limit: Duration) async throws {
        var wait = min(limit, lull.untilDue ?? limit)
        // A primary server that another one has replaced has no news, and may not know for ten seconds that it was replaced. The next
        // attempt to take an entry, which its replicas must confirm, finds out.
        if waiting.address.mayMove { wait = min(wait, .seconds(1)) }
        guard wait > .zero else { return }
        _ = try await explaining { () throws(RedisError) in
            try await waiting.send(
                [
                    "XREAD", "COUNT", 1, "BLOCK", .integer(max(1, wait.milliseconds)), "STREAMS",
                    .text(queue.streamKey), .text(queue.nudgeKey), .text(lull.lastID), .text(lull.nudgeID),
                ], timeout: wait + .seconds(5))
        }
    }

    // MARK: Finishing

    package enum Finished: Sendable, Equatable {
        /// The results are published, except those of entries whose leases were lost.
        case done(lost: [QueueEntry])
        /// An output has no room; nothing was done.
        case full
    }

    /// Publishes the results of entries and acknowledges the entries in one step.
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

    /// The number of entries that are finished between two trimmings.
    private static let trimInterval = 500

    /// Makes an entry wait for another attempt.
    ///
    /// - Returns: false if the lease was lost.
    @discardableResult
    package func retry(_ entry: QueueEntry, after pause: Duration, reason: String) async throws -> Bool {
        try await change(entry, QueueScripts.retry, [.integer(pause.milliseconds), .text(reason)])
    }

    /// Puts an entry off; the attempt does not count. In an ordered queue, later entries with the same key wait behind it.
    ///
    /// - Returns: false if the lease was lost.
    @discardableResult
    package func postpone(_ entry: QueueEntry, for pause: Duration) async throws -> Bool {
        try await change(entry, QueueScripts.postpone, [.integer(pause.milliseconds)])
    }

    /// Holds an entry until it is woken, or for `limit` at most; the attempt does not count. Later entries with the same key go on.
    ///
    /// - Returns: false if the lease was lost.
    @discardableResult
    package func hold(_ entry: QueueEntry, for limit: Duration) async throws -> Bool {
        try await change(entry, QueueScripts.hold, [.integer(limit.milliseconds)])
    }

    private func change(
        _ entry: QueueEntry, _ script: RedisScript, _ arguments: [RedisArgument]
    ) async throws -> Bool {
        let answer = try await run(script, [.text(entry.id), .integer(Int64(entry.attempt))] + arguments)
        forget([entry])
        return answer.int == 1
    }

    /// Moves an entry to the dead letters and publishes lines in the same step.
    ///
    /// - Returns: false if the lease was lost; nil if there is no room, and nothing was done.
    package func moveToDeadLetters(
        _ entry: QueueEntry, _ reason: DeadLetterReason, tool: String, lines: [QueueLine] = [],
        to outputs: QueueOutputs = .none
    ) async throws -> Bool? {
        var batch = CommandBatch()
        batch.add(lines: lines)
        let answer = try await run(
            QueueScripts.moveToDeadLetters,
            [
                .text(entry.id), .integer(Int64(entry.attempt)), .integer(Int64(settings.maxDeadLetters)),
                .text(reason.code), .text(reason.text), .text(tool), .text(settings.worker),
            ], encoded: (batch.encoded, 2 * lines.count), moreKeys: outputs.queues.map(\.streamKey))
        if answer.int == -1 { return nil }
        forget([entry])
        return answer.int == 1
    }

    /// Returns the ids of the other entries that workers of the group have taken and not finished, 5000 at most. Held entries do not count.
    package func othersInWork(than entry: QueueEntry) async throws -> [String] {
        try await unfinished(of: nil).filter { $0.consumer != "held" && $0.entry.id != entry.id }.map(\.entry.id)
    }

    private func forget(_ entries: [QueueEntry]) {
        leases.withLock { $0.remove(entries) }
    }

    // MARK: Keeping leases

    /// Returns entries to the queue, as if they had not been taken.
    package func release(_ entries: [QueueEntry]) async throws {
        for part in QueueConsumer.parts(of: entries.sorted(by: QueueEntry.isOlder)) {
            _ = try await run(QueueScripts.release, QueueConsumer.words(of: part))
            forget(Array(part))
        }
    }

    /// Returns all unfinished entries to the queue, and leaves the group.
    package func close() async throws {
        try await release(leased)
        _ = try await run(QueueScripts.trim, [])
        _ = try await run(QueueScripts.leave, [])
    }

    /// Renews the leases of all entries in work; to be called several times in a lease's duration.
    ///
    /// - Returns: the entries whose leases are lost; other workers may have claimed them.
    package func renew() async throws -> [QueueEntry] {
        let lost = try await confirm(leased)
        // An entry that was finished meanwhile is not lost.
        return leases.withLock { $0.lose(lost) }
    }

    /// Notes for `QueueAdmin.stats` that the group's workers wait for a service, for the time of a lease; nil removes
    /// the note.
    package func noteWait(for service: String?) async throws(RedisError) {
        if let service {
            let lease = RedisArgument.integer(max(1, settings.lease.milliseconds))
            _ = try await redis.send("SET", .text(group.awayKey), .text(service), "PX", lease)
        } else {
            _ = try await redis.send("DEL", .text(group.awayKey))
        }
    }

    /// Renews the leases of some entries.
    ///
    /// - Returns: the entries whose leases this worker does not have, or no longer has.
    package func confirm(_ entries: [QueueEntry]) async throws -> [QueueEntry] {
        var lost: Set<String> = []
        let askedAt = ContinuousClock.now
        for part in QueueConsumer.parts(of: entries) {
            let answer = try await run(
                QueueScripts.renew, [.integer(settings.lease.milliseconds)] + QueueConsumer.words(of: part))
            guard let ids = answer.array else { throw unexpected() }
            lost.formUnion(ids.compactMap(\.string))
        }
        leases.withLock { $0.renew(entries.filter { !lost.contains($0.id) }, askedAt) }
        return entries.filter { lost.contains($0.id) }
    }

    /// Returns whether no other worker can have taken an entry, which is to be asked before an effect outside Redis.
    ///
    /// Redis is asked only if this worker has been silent for two thirds of a lease, or has just lost an entry.
    package func isLeased(_ entry: QueueEntry) async throws -> Bool {
        if leases.withLock({ $0.isCertain(entry, lease: settings.lease, now: .now) }) { return true }
        let lost = try await confirm([entry])
        leases.withLock { _ = $0.lose(lost) }
        return lost.isEmpty
    }

    /// Returns whether this worker has the leases of all entries, as far as it can know without Redis: each was confirmed within the time
    /// of a lease.
    package func seemsLeased(_ entries: [QueueEntry]) -> Bool {
        leases.withLock { leases in entries.allSatisfy { leases.isCurrent($0, lease: settings.lease, now: .now) } }
    }

    /// Returns the name under which other events may wake an entry.
    package func waiter(of entry: QueueEntry) -> Waiter {
        QueueWaiter(queue: queue.text, group: group.name, id: entry.id).waiter
    }

    private var leased: [QueueEntry] { leases.withLock { $0.entries } }

    /// Splits entries into parts that Redis handles in one step without delaying other clients.
    private static func parts(of entries: [QueueEntry]) -> [ArraySlice<QueueEntry>] {
        stride(from: 0, to: entries.count, by: 1000).map { entries[$0..<min($0 + 1000, entries.count)] }
    }

    private static func words(of entries: some Sequence<QueueEntry>) -> [RedisArgument] {
        entries.flatMap { [.text($0.id), .integer(Int64($0.attempt))] }
    }

    // MARK: Calling Redis

    /// Runs a script of the group. A group that is gone, with its queue, is created again.
    private func run(
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

    private func unexpected() -> QueueError {
        QueueError(.protocolBroken, "\(queue): Redis at \(redis.address) returned an unexpected answer to a script")
    }
}

/// Holds what a worker knows about its leases, by its own clock, which goes on while the machine sleeps.
private struct HeldLeases {
    private struct Lease {
        let attempt: Int
        /// The time just before the call with which Redis last confirmed the lease.
        var confirmedAt: ContinuousClock.Instant
    }

    private var leases: [String: Lease] = [:]
    /// The time at which this worker last learned that it had lost an entry. It may have lost others with it.
    private var lossAt: ContinuousClock.Instant?

    var entries: [QueueEntry] { leases.map { QueueEntry(id: $0.key, attempt: $0.value.attempt) } }

    mutating func add(_ entries: [QueueEntry], _ askedAt: ContinuousClock.Instant) {
        for entry in entries { leases[entry.id] = Lease(attempt: entry.attempt, confirmedAt: askedAt) }
    }

    mutating func renew(_ entries: [QueueEntry], _ askedAt: ContinuousClock.Instant) {
        for entry in entries where has(entry) { leases[entry.id]?.confirmedAt = askedAt }
    }

    mutating func remove(_ entries: [QueueEntry]) {
        for entry in entries where has(entry) { leases[entry.id] = nil }
    }

    /// Removes entries whose leases are lost, and returns those that it had.
    mutating func lose(_ entries: [QueueEntry]) -> [QueueEntry] {
        let lost = entries.filter(has)
        if !lost.isEmpty { lossAt = .now }
        remove(lost)
        return lost
    }

    func isCurrent(_ entry: QueueEntry, lease: Duration, now: ContinuousClock.Instant) -> Bool {
        guard has(entry), let held = leases[entry.id] else { return false }
        return now - held.confirmedAt < lease
    }

    /// Returns whether the lease of an entry, and every other lease, was confirmed so recently that none can have ended: a worker that
    /// takes an entry of a key takes all entries of that key. The last third of a lease is left for a clock that runs differently from
    /// that of Redis.
    func isCertain(_ entry: QueueEntry, lease: Duration, now: ContinuousClock.Instant) -> Bool {
        guard has(entry), let held = leases[entry.id] else { return false }
        if let lossAt, held.confirmedAt <= lossAt { return false }
        return leases.values.allSatisfy { now - $0.confirmedAt < lease * 2 / 3 }
    }

    func has(_ entry: QueueEntry) -> Bool { leases[entry.id]?.attempt == entry.attempt }
}
