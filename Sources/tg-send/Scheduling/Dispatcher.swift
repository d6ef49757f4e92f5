import Envelope
import JSON
import Options
import Payloads
import Queue
import Stage
import Synchronization
import System
import Tracing

/// Shares the scheduler between the tasks that read and send, and lets senders wait for the next job.
final class SharedScheduler: Sendable {
    private let scheduler: Mutex<Scheduler>
    private let changed = Signal()

    init(progressInterval: Duration, limitsRates: Bool) {
        scheduler = Mutex(Scheduler(progressInterval: progressInterval, limitsRates: limitsRates, now: .now))
    }

    func add(_ job: Job) { change { $0.add(job, now: .now) } }

    func finish(_ job: Job) {
        change { scheduler in
            scheduler.finish(job, now: .now)
            return []
        }
    }

    func postpone(_ job: Job, until time: ContinuousClock.Instant) {
        change { $0.postpone(job, until: time, now: .now) }
    }

    /// Ends a job whose event goes back to its queue; see `Scheduler.finishReturning`.
    func finishReturning(_ job: Job) {
        noteReturn(of: job)
        change { scheduler in
            scheduler.finishReturning(job, now: .now)
            return []
        }
    }

    private func noteReturn(of job: Job) {
        job.context?.lease?.atEnd { [self] in scheduler.withLock { $0.noteReturned(to: job.lane, now: .now) } }
    }

    func stop() {
        change { scheduler in
            scheduler.stop()
            return []
        }
    }

    private func change(_ body: (inout Scheduler) -> [Job]) {
        let (dropped, returned) = scheduler.withLock { scheduler in (body(&scheduler), scheduler.takeReturning()) }
        for job in dropped { job.outcome.fulfil(.success(.done([]))) }
        for job in returned {
            noteReturn(of: job)
            job.outcome.fulfil(.failure(PutBack()))
        }
        changed.notify()
    }

    /// Waits for the next job that is due, and returns it; nil after `stop`.
    func next() async -> Job? {
        while !Task.isCancelled {
            let generation = changed.generation
            switch scheduler.withLock({ $0.next(now: .now) }) {
            case .job(let job): return job
            case .stopped: return nil
            case .nothing(let time):
                await changed.wait(since: generation, atMost: time.map { max($0 - .now, .milliseconds(1)) })
            }
        }
        return nil
    }

    func admit(_ kind: CallKind, for job: Job) -> NotBefore? {
        scheduler.withLock { $0.admit(kind, for: job, now: .now) }
    }

    /// - Returns: the time until which all calls have to wait, if the wait shows to be one for all chats.
    @discardableResult
    func setFloodWait(chat: ChatID, _ kind: CallKind, until end: ContinuousClock.Instant) -> ContinuousClock.Instant? {
        scheduler.withLock { $0.setFloodWait(chat: chat, kind, until: end, now: .now) }
    }

    func hold(until end: ContinuousClock.Instant) { scheduler.withLock { $0.hold(until: end) } }

    func takeBack(_ job: Job) { scheduler.withLock { $0.takeBack(job, now: .now) } }

    func hasFloodWait(chat: ChatID, _ kind: CallKind) -> Bool {
        scheduler.withLock { $0.floodWait(chat: chat, kind, now: .now) != nil }
    }
}

/// Connects the stage, which reads and acknowledges events, with the scheduler and the tasks that send.
struct Dispatcher: Sendable {
    let runtime: Runtime
    let scheduler: SharedScheduler
    let sender: Sender
    let concurrency: Int
    let interrupted: InterruptedRequests

    func run(_ input: InputOptions, _ output: OutputOptions) async throws -> ExitStatus {
        // Most of these events wait in the scheduler. No other worker can take what this one has taken from a queue.
        let maxEvents = input.isFromQueue ? 256 : 1000
        let commands = KnownCommands("commands.telegram.", TelegramBound.sent, runtime.log)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<concurrency {
                group.addTask { try await send(isFromQueue: input.isFromQueue) }
            }
            if !input.isFromQueue { group.addTask { await interrupted.run() } }
            defer {
                scheduler.stop()
                group.cancelAll()
            }
            let order = try QueueOrder(rules: Job.queueOrder, entriesPerKey: 8, isInBatches: false)
            return try await runtime.work(
                input, output, concurrency: maxEvents, order: order, accepting: commands.accepts,
                givingUp: resultsOfGivingUp
            ) { event, context in
                let job = try Job(event, context)
                if case .command(let command) = job.content, !command.unusedKeys.isEmpty {
                    commands.warn(of: command.unusedKeys, in: event.type, known: TelegramCommand.keys)
                }
                scheduler.add(job)
                return job.outcome.value
            }
        }
    }

    /// Performs one job after the other, and none while Telegram is away.
    private func send(isFromQueue: Bool) async throws {
        while true {
            // A pipe's events cannot be returned, so that they have until the end of the time to drain.
            let isBack = try await runtime.outages.waitUntilBack(.telegram, endsAtShutdown: isFromQueue)
            guard let job = await scheduler.next() else { return }
            if isBack { await perform(job) } else { finish(job, .failure(ServiceAway(.telegram))) }
        }
    }

    private func perform(_ job: Job) async {
        do {
            let verdict = try await Tracer.correlating(with: job.event) {
                try await sender.perform(job)
            }
            switch verdict {
            case .notBefore(let wait, let rest) where wait.place == .scheduler:
                scheduler.postpone(rest, until: wait.time)
            case .notBefore(let wait, _) where wait.place == .queue:
                finish(job, .success(.postponed(for: max(.zero, wait.time - .now))))
            case .notBefore(let wait, _): finish(job, .success(.held(for: max(.zero, wait.time - .now))))
            case .done(let results): finish(job, .success(.done(results)))
            case .givenUp(let results, let reason): finish(job, .success(.givenUp(results, reason: reason)))
            }
        } catch {
            finish(job, .failure(error))
        }
    }

    private func finish(_ job: Job, _ result: Result<Outcome, any Error>) {
        if job.context?.lease != nil, result.returnsEvent {
            scheduler.finishReturning(job)
        } else {
            scheduler.finish(job)
        }
        job.outcome.fulfil(result)
    }

    /// Returns the failure of an event that gets no more attempts.
    private func resultsOfGivingUp(_ event: Envelope, _ reason: String) -> [Envelope] {
        guard let job = try? Job(event), !job.isProgress else { return [] }
        return [.derived(TelegramFailed(job.action, chat: job.chat, code: 0, reason: reason))]
    }
}

extension Result<Outcome, any Error> {
    /// Is true if the event may go back to its queue, where the later events of its lane have to wait behind it.
    fileprivate var returnsEvent: Bool {
        switch self {
        case .success(.postponed): true
        case .success: false
        case .failure(let error): !(error is MalformedInput)
        }
    }
}
