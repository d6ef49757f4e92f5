package import Envelope
import Logging
package import Options
package import Queue
package import System

/// A queue as a stage's input: a `QueueConsumer` that waits out a Redis that is away, and tells the log what it loses.
///
/// Whoever takes entries does so within `keepingLeases`.
package final class QueueSource: Sendable {
    let consumer: QueueConsumer
    package let options: QueueOptions
    private let runtime: Runtime

    /// - Throws: what is wrong with Redis, the queue or the group's name.
    package init(_ queue: QueueName, options: QueueOptions, runtime: Runtime) async throws {
        self.runtime = runtime
        self.options = options
        var settings = QueueConsumer.Settings(group: options.group ?? runtime.tool, worker: ProcessName.unique())
        settings.lease = options.lease.duration
        let consumer = try QueueConsumer(
            queue, redis: try await runtime.redis(), waiting: try await runtime.separateRedis(), settings: settings)
        self.consumer = consumer
        try await runtime.atStart { try await consumer.open() }
        await runtime.warnOfForgetfulRedis()
    }

    package enum Taken: Sendable {
        case entries([TakenEntry])
        /// It is to be worked on by a worker that does nothing else, and that takes nothing until it is done.
        case alone(TakenEntry)
        /// There is such an entry, for a worker that does nothing.
        case suspect

        package var entries: [TakenEntry] {
            switch self {
            case .entries(let entries): entries
            case .alone(let entry): [entry]
            case .suspect: []
            }
        }
    }

    /// What comes of its events must not go back into it: it would go round for ever.
    ///
    /// - Throws: `ToolError` (usage).
    package func checkIsNotLoop(_ sink: QueueSink?) throws(ToolError) {
        guard sink?.outputs.queues.contains(consumer.queue) == true else { return }
        throw ToolError(
            .usage, "\(consumer.queue) is read from and written to: what comes of its events would go round for ever")
    }

    /// What there is; waits for it. nil: the time is over, nothing is left, or the shutdown is requested.
    ///
    /// - Parameters:
    ///   - isIdle: whether nothing else is worked on.
    ///   - time: how long to wait at most.
    ///   - untilEmpty: ends when the group has nothing left to do, now or later.
    package func next(
        limit: Int, isIdle: Bool, atMost time: Duration? = nil, untilEmpty: Bool = false
    ) async throws -> Taken? {
        let end = time.map { ContinuousClock.now + $0 }
        while !runtime.shutdown.isRequested {
            try Task.checkCancellation()
            let answer = try await runtime.patiently(until: end) {
                try await self.consumer.take(limit: limit, isIdle: isIdle)
            }
            switch answer {
            case .entries(let entries): return .entries(entries)
            case .alone(let entry): return .alone(entry)
            case .suspect: return .suspect
            case .nothing(let lull):
                if untilEmpty, lull.isEmpty { return nil }
                // That the last of the work is done elsewhere is no news.
                let left = end.map { $0 - .now } ?? (untilEmpty ? .milliseconds(200) : .seconds(10))
                guard left > .zero else { return nil }
                try await runtime.patiently {
                    _ = try await self.runtime.shutdown.interrupting {
                        try await self.consumer.waitForNews(lull, atMost: min(left, .seconds(10)))
                    }
                }
            }
        }
        return nil
    }

    /// Runs `body`, keeps the leases of what it works on meanwhile, and gives back what it did not finish.
    package func keepingLeases(_ body: () async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await self.keepLeases() }
            defer { group.cancelAll() }
            do { try await body() } catch {
                await leave()
                throw error
            }
            await leave()
        }
    }

    private func leave() async {
        // What cannot be given back now is taken by others when its lease is over.
        do { try await consumer.close() } catch { runtime.log.debug("unable to leave \(consumer.queue): \(error)") }
    }

    private func keepLeases() async {
        while (try? await Task.sleep(for: consumer.settings.lease / 3)) != nil {
            do {
                for lost in try await consumer.renew() { tellLoss(of: lost) }
            } catch {
                runtime.log.warning("unable to keep the leases of \(consumer.queue): \(error)")
            }
        }
    }

    private func tellLoss(of entry: QueueEntry) {
        runtime.log.warning(
            "lost the lease of an event, so what comes of it is dropped: another worker has it, or it is done",
            metadata: ["queue": "\(consumer.queue.text)", "entry": "\(entry.id)", "attempt": "\(entry.attempt)"])
    }

    /// Publishes and acknowledges in one step.
    package func finish(_ results: [QueueResult], to outputs: QueueOutputs = .none) async throws {
        let lost = try await runtime.untilThereIsRoom(in: outputs.description) { () -> [QueueEntry]? in
            switch try await self.consumer.finish(results, to: outputs) {
            case .full: return nil
            case .done(let lost): return lost
            }
        }
        for entry in lost { tellLoss(of: entry) }
    }

    /// Those whose lease is still held: to be asked before something is written where Redis has no say.
    package func stillOwned(_ entries: [QueueEntry]) async throws -> Set<QueueEntry> {
        let lost = try await runtime.patiently { try await self.consumer.confirm(entries) }
        for entry in lost { tellLoss(of: entry) }
        return Set(entries).subtracting(lost)
    }

    package func hold(_ entry: QueueEntry, for limit: Duration) async throws {
        if try await !runtime.patiently({ try await self.consumer.hold(entry, for: limit) }) { tellLoss(of: entry) }
    }

    package func release(_ entry: QueueEntry) async throws {
        try await runtime.patiently { try await self.consumer.release([entry]) }
    }

    package func retry(_ entry: QueueEntry, after pause: Duration, reason: String) async throws {
        let isDone = try await runtime.patiently {
            try await self.consumer.retry(entry, after: pause, reason: reason)
        }
        if !isDone { tellLoss(of: entry) }
    }

    /// To the queue's dead letters; `results` are published with it, when the output is a queue.
    package func bury(
        _ entry: QueueEntry, _ burial: Burial, publishing results: [Envelope] = [], to sink: QueueSink? = nil
    ) async throws {
        let lines = results.flatMap { QueueLine.lines(of: $0.line) }
        let outputs = sink?.outputs ?? .none
        let isDone = try await runtime.untilThereIsRoom(in: "the dead letters of \(consumer.queue)") {
            try await self.consumer.bury(
                entry, burial, tool: self.runtime.tool, lines: sink == nil ? [] : lines, to: outputs)
        }
        if !isDone { tellLoss(of: entry) }
    }

    /// Whether so many workers ended in the middle of it that no more of them are to.
    package func isWornOut(_ entry: QueueEntry) -> Bool { entry.attempt > options.maxAttempts }

    /// Buries what is worn out.
    package func buryWornOut(_ entry: QueueEntry, publishing results: [Envelope] = [], to sink: QueueSink? = nil)
        async throws
    {
        let burial = QueueSource.wornOut(entry)
        runtime.log.error("gave up an event: \(burial.reason)", metadata: ["entry": "\(entry.id)"])
        try await bury(entry, burial, publishing: results, to: sink)
    }

    static func wornOut(_ entry: QueueEntry) -> Burial {
        Burial(
            code: "worker_died",
            reason: "no worker came to an end with it: the last of \(entry.attempt - 1) attempts broke off")
    }
}
