package import Envelope
import Logging
package import Options
package import Queue
package import System
import Tracing

/// Reads a queue as a stage's input: waits while Redis is away, keeps leases, and logs the leases that it loses.
///
/// Entries are taken within `keepingLeases`.
package final class QueueSource: Sendable {
    package let consumer: QueueConsumer
    package let options: QueueOptions
    private let runtime: Runtime
    private let spans: QueueSpans?

    /// - Throws: `RedisError` and `QueueError`, when Redis, the queue or the group's name cannot be used.
    ///
    /// - Parameter order: the order in which events are given out, over all workers of the group.
    package init(
        _ queue: QueueName, options: QueueOptions, order: QueueOrder? = nil, runtime: Runtime
    ) async throws {
        self.runtime = runtime
        self.options = options
        spans = QueueSpans(runtime.tracer.spans)
        var settings = QueueConsumer.Settings(group: options.group ?? runtime.tool, worker: ProcessName.unique())
        settings.lease = options.lease.duration
        settings.order = order
        let consumer = try QueueConsumer(
            queue, redis: try await runtime.redis(), waiting: try await runtime.separateRedis(), settings: settings)
        self.consumer = consumer
        runtime.activity.reads(queue.description)
        runtime.readerWatch.noteWaiting()
        try await runtime.retryingAtStart { try await consumer.open() }
        await runtime.checkRedisSettings()
    }

    /// Checks that the output is not the input: an event's results would be taken as events again, without end.
    ///
    /// - Throws: `ToolError` (64).
    package func checkIsNotLoop(_ sink: QueueSink?) throws(ToolError) {
        guard sink?.outputs.queues.contains(consumer.queue) == true else { return }
        throw ToolError(
            .usage,
            "\(consumer.queue) is both input and output: the results of its events would be read again without end")
    }

    /// Waits for entries and takes them.
    ///
    /// - Parameters:
    ///   - isIdle: whether the worker works on nothing else.
    ///   - time: the longest wait; nil for no limit.
    ///   - untilEmpty: ends the wait when the group has no event left: none new, none in work and none that waits for
    ///     another attempt.
    /// - Returns: nil when the time is over, nothing is left, or the shutdown is requested.
    package func next(
        limit: Int, isIdle: Bool, atMost time: Duration? = nil, untilEmpty: Bool = false
    ) async throws -> TakenEntries? {
        let end = time.map { ContinuousClock.now + $0 }
        while !runtime.shutdown.isRequested {
            try Task.checkCancellation()
            // While a service is away that the events need, none is taken that could only wait.
            guard try await runtime.outages.waitUntilAllAreBack(endsAtShutdown: true) else { return nil }
            let start = spans.map { _ in QueueSpans.Timing() }
            let answer = try await runtime.untilRedisAnswers(until: end) {
                try await self.consumer.take(limit: limit, isIdle: isIdle)
            }
            switch answer {
            case .taken(let entries):
                runtime.activity.countTaken(entries.entries.count)
                if let spans, let start { spans.received(entries.entries, from: consumer.queue, since: start) }
                return entries
            case .nothing(let lull):
                if untilEmpty, lull.isEmpty { return nil }
                // No new entry announces that another worker has finished the last event.
                let left = end.map { $0 - .now } ?? (untilEmpty ? .milliseconds(200) : .seconds(10))
                guard left > .zero else { return nil }
                try await runtime.untilRedisAnswers {
                    _ = try await self.runtime.shutdown.interrupting {
                        try await self.consumer.waitForNews(lull, atMost: min(left, .seconds(10)))
                    }
                }
            }
        }
        return nil
    }

    /// Runs `body` and renews the leases of the entries in work until it ends; then returns unfinished entries to the
    /// queue.
    package func keepingLeases(_ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.keepLeases() }
            group.addTask { await self.showOutages() }
            defer { group.cancelAll() }
            do { try await body() } catch {
                await leave()
                throw error
            }
            await leave()
        }
    }

    private func leave() async {
        // If entries cannot be returned now, other workers claim them when their leases end.
        do { try await consumer.close() } catch { runtime.log.debug("unable to leave \(consumer.queue): \(error)") }
    }

    private func keepLeases() async {
        while (try? await Task.sleep(for: consumer.settings.lease / 3)) != nil {
            do {
                for lost in try await consumer.renew() { logLostLease(of: lost) }
            } catch {
                runtime.log.warning("unable to keep the leases of \(consumer.queue): \(error)")
            }
        }
    }

    /// Shows in the queue's figures which service this worker waits for. It is only a note: a failure is not repeated.
    private func showOutages() async {
        var shown: SharedService?
        while !Task.isCancelled {
            let generation = runtime.outages.generation
            let service = runtime.outages.away
            if service != nil || shown != nil { try? await consumer.noteWait(for: service?.rawValue) }
            shown = service
            await runtime.outages.waitForChange(since: generation, atMost: consumer.settings.lease / 3)
        }
    }

    private func logLostLease(of entry: QueueEntry) {
        runtime.log.warning(
            "lost the lease of an event, so its results are dropped: another worker has taken or finished the event",
            metadata: [
                "queue": "\(consumer.queue.text)", "entry": "\(entry.id)", "attempt": .stringConvertible(entry.attempt),
            ])
    }

    // MARK: Finishing

    /// Changes the state of one entry (`retry`, `hold`) once Redis answers.
    ///
    /// - Parameter change: returns false if the lease was lost.
    package func change(_ entry: QueueEntry, _ change: (QueueConsumer) async throws -> Bool) async throws {
        let start = spans.map { _ in QueueSpans.Timing() }
        if try await !runtime.untilRedisAnswers({ try await change(consumer) }) { logLostLease(of: entry) }
        if let spans, let start { spans.settled([entry], of: consumer.queue, since: start, .held) }
    }

    /// Returns an entry to the queue; the attempt does not count.
    package func release(_ entry: QueueEntry) async throws {
        let start = spans.map { _ in QueueSpans.Timing() }
        try await runtime.untilRedisAnswers { try await self.consumer.release([entry]) }
        if let spans, let start { spans.settled([entry], of: consumer.queue, since: start, .held) }
    }

    /// Publishes the results of entries and acknowledges the entries in one step.
    package func finish(_ results: [QueueResult], to outputs: QueueOutputs = .none) async throws {
        guard let spans else { return try await finishUntraced(results, to: outputs) }
        try await spans.settling(results, of: consumer.queue, to: outputs) {
            try await finishUntraced(results, to: outputs)
        }
    }

    private func finishUntraced(_ results: [QueueResult], to outputs: QueueOutputs) async throws {
        let lost = try await runtime.untilQueueHasRoom(in: outputs.description) { () -> [QueueEntry]? in
            switch try await self.consumer.finish(results, to: outputs) {
            case .full: return nil
            case .done(let lost): return lost
            }
        }
        runtime.activity.countWritten(results.reduce(0) { $0 + $1.lines.count })
        for entry in lost { logLostLease(of: entry) }
    }

    /// Renews the leases of entries and returns those that are still leased: to be called before results are written outside Redis.
    package func entriesStillLeased(_ entries: [QueueEntry]) async throws -> Set<QueueEntry> {
        let lost = try await runtime.untilRedisAnswers { try await self.consumer.confirm(entries) }
        for entry in lost { logLostLease(of: entry) }
        return Set(entries).subtracting(lost)
    }

    /// Returns whether no other worker can have taken an entry; see `QueueConsumer.isLeased`.
    func isLeased(_ entry: QueueEntry) async throws -> Bool {
        let isLeased = try await runtime.untilRedisAnswers { try await self.consumer.isLeased(entry) }
        if !isLeased { logLostLease(of: entry) }
        return isLeased
    }

    /// Returns the ids of the other entries that workers have taken and not finished; see `QueueConsumer.othersInWork`.
    func othersInWork(than entry: QueueEntry) async throws -> [String] {
        try await runtime.untilRedisAnswers { try await self.consumer.othersInWork(than: entry) }
    }

    // MARK: Dead letters

    /// Moves an entry to the queue's dead letters. If the output is a queue, `results` are published in the same step.
    package func moveToDeadLetters(
        _ entry: QueueEntry, _ reason: DeadLetterReason, publishing results: [Envelope] = [], to sink: QueueSink? = nil
    ) async throws {
        let lines = sink == nil ? [] : results.flatMap { QueueLine.lines(of: $0.line) }
        let outputs = sink?.outputs ?? .none
        let start = spans.map { _ in QueueSpans.Timing() }
        let isDone = try await runtime.untilQueueHasRoom(in: "the dead letters of \(consumer.queue)") {
            try await self.consumer.moveToDeadLetters(
                entry, reason, tool: self.runtime.tool, lines: lines, to: outputs)
        }
        if let spans, let start {
            spans.sent(lines, to: outputs.queues, since: start)
            spans.settled([entry], of: consumer.queue, since: start, .failed, reason: reason.text)
        }
        if !isDone { logLostLease(of: entry) }
    }

    /// Returns whether all attempts at an entry ended with the death of its worker, so that no further attempt is made.
    package func hasExhaustedAttempts(_ entry: QueueEntry) -> Bool { entry.attempt > options.maxAttempts }

    /// Moves an entry without attempts left to the dead letters.
    package func deadLetterExhausted(_ entry: QueueEntry) async throws {
        logExhausted(entry)
        try await moveToDeadLetters(entry, QueueSource.exhaustedReason(entry))
    }

    func logExhausted(_ entry: QueueEntry) {
        let reason = QueueSource.exhaustedReason(entry).text
        runtime.log.error("gave up an event: \(reason)", metadata: ["entry": "\(entry.id)"])
    }

    static func exhaustedReason(_ entry: QueueEntry) -> DeadLetterReason {
        DeadLetterReason(
            code: "worker_died",
            text: "the worker died during the last of \(entry.attempt - 1) attempts")
    }
}
