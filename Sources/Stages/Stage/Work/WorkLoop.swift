package import Envelope
import JSON
import Logging
package import Options
package import Queue
package import Redis
import Synchronization
package import System
import Tracing

/// Tells what became of one event.
package enum Outcome: Sendable {
    /// The work is done, with these results; there may be none.
    case done([Envelope])
    /// The work failed and is not tried again. The results are published, and the event becomes a dead letter.
    case givenUp([Envelope], reason: String)
    /// The event waits for something, and takes none of the places for events in work.
    ///
    /// It is handled again when another event wakes it (`Runtime.wake`), even during its own handling, and at the latest after this time.
    case held(for: Duration)
    /// The event is handled again after this time. Later events with its key wait behind it, if its queue has an order.
    case postponed(for: Duration)
}

/// Says that an event goes back to its queue, for a reason other than the event: another worker may take it at once.
package struct PutBack: Error {
    package init() {}
}

/// Holds what a stage knows about an event besides its contents.
package struct WorkContext: Sendable {
    /// Publishes events, such as progress, before the work is done.
    package let publisher: Publisher
    /// The name under which the event can be woken; the same each time that it is handled.
    package let waiter: Waiter
    /// The number of times that the event has been taken from its queue, this time included; holding does not count. 1 for pipes.
    package let attempt: Int
    /// Is true if a transient failure in this attempt is final. It is false for a pipe, where such a failure ends the
    /// tool.
    package let isLastAttempt: Bool
    /// The event's lease; nil for pipes.
    package let lease: WorkLease?
}

/// Represents the time in which an event of a queue is in the hands of this process.
package final class WorkLease: Sendable {
    /// The time just before the queue was asked for the event.
    package let askedAt: ContinuousClock.Instant
    private let queue: QueueSource
    private let entry: QueueEntry
    /// The actions to run at the end; nil when it has come.
    private let actions = Mutex<[@Sendable () -> Void]?>([])

    init(_ entry: QueueEntry, of queue: QueueSource, askedAt: ContinuousClock.Instant) {
        (self.entry, self.queue, self.askedAt) = (entry, queue, askedAt)
    }

    /// Returns whether no other worker can have taken the event. To be asked before each effect outside Redis, such as a message.
    ///
    /// It needs no call to Redis, unless this process has been silent for as long as a lease lasts.
    package func isHeld() async throws -> Bool { try await queue.isLeased(entry) }

    /// Returns the ids of the queue's other events that its workers have taken and neither finished nor held, 5000 at most. Those of a
    /// worker that died are among them until their leases end and others have worked on them.
    package func othersInWork() async throws -> [String] { try await queue.othersInWork(than: entry) }

    /// Runs an action when the event is finished, or back in its queue.
    package func atEnd(_ action: @escaping @Sendable () -> Void) {
        let isOver = actions.withLock { actions in
            actions?.append(action)
            return actions == nil
        }
        if isOver { action() }
    }

    func end() {
        let actions = actions.withLock { actions in
            defer { actions = nil }
            return actions ?? []
        }
        for action in actions { action() }
    }
}

extension Runtime {
    /// The work on one event.
    package typealias Work = @Sendable () async throws -> Outcome

    /// Runs a stage that works on several events at once; results are published in the order in which they are done.
    ///
    /// When `handle` throws `MalformedInput`, the event goes to the dead letters. Any other error ends the tool if it reads from a
    /// pipe. From a queue, transient failures (exit status 69, 75, and unknown errors) are retried after a pause, `maxAttempts` times
    /// in all, and the event then goes to the dead letters; wrong settings and refused credentials (78, 77) end the tool and leave the
    /// event to the next worker.
    ///
    /// - Parameters:
    ///   - handle: runs within the event's correlation.
    ///   - givingUp: makes the events that are published when an event is given up, from the event and the reason, within its
    ///     correlation: no attempt is left, or the tool ends before the work on an event from a pipe is done.
    package func work(
        _ input: InputOptions, _ output: OutputOptions, concurrency: Int,
        accepting accepts: @escaping @Sendable (String) -> Bool,
        givingUp: @escaping @Sendable (Envelope, String) -> [Envelope] = { _, _ in [] },
        handle: @escaping @Sendable (Envelope, WorkContext) async throws -> Outcome
    ) async throws -> ExitStatus {
        try await work(input, output, concurrency: concurrency, accepting: accepts, givingUp: givingUp) {
            event, context in
            { try await handle(event, context) }
        }
    }

    /// Runs a stage that works on several events at once and depends on their order.
    ///
    /// - Parameters:
    ///   - order: the order that a queue keeps over all its workers. The stage itself keeps the order of the events that it has.
    ///   - begin: is called for one event after the other, in order; returns the remaining work.
    package func work(
        _ input: InputOptions, _ output: OutputOptions, concurrency: Int, order: QueueOrder? = nil,
        accepting accepts: @escaping @Sendable (String) -> Bool,
        givingUp: @escaping @Sendable (Envelope, String) -> [Envelope] = { _, _ in [] },
        inOrder begin: @escaping @Sendable (Envelope, WorkContext) throws -> Work
    ) async throws -> ExitStatus {
        let stream = try await EventStream(runtime: self, options: input, order: order, accepts: accepts)
        let sink = try await EventOutput(output, runtime: self)
        try stream.checkIsNotLoop(sink.sink)
        let loop = WorkLoop(
            runtime: self, stream: stream, sink: sink, list: WorkList(concurrency: concurrency), begin: begin,
            givingUp: givingUp)
        if let queue = stream.queue {
            try await queue.keepingLeases { try await loop.run() }
        } else {
            try await loop.run()
        }
        return .success
    }
}

/// Runs the tasks of a concurrent stage: a reader, the work on each event, and a listener for wakes.
struct WorkLoop: Sendable {
    let runtime: Runtime
    let stream: EventStream
    let sink: EventOutput
    let list: WorkList
    let begin: @Sendable (Envelope, WorkContext) throws -> Runtime.Work
    let givingUp: @Sendable (Envelope, String) -> [Envelope]

    /// The number of events that are taken from an ordered queue in one step.
    private static let orderedLimit = 32

    func run() async throws {
        let failure = FirstFailure(shutdown: runtime.shutdown) { list.abort() }
        runtime.workList.withLock { $0 = list }
        defer { runtime.workList.withLock { $0 = nil } }
        await withDiscardingTaskGroup { group in
            group.addTask {
                await failure.catching { try await read() }
                list.end()
            }
            if stream.queue == nil { group.addTask { await runtime.listenForWakes(of: list) } }
            while let item = await list.next() {
                let context = context(of: item)
                let handling = runtime.tracer.begin(item.event, attempt: context.attempt)
                let begun = handling.step { Result { try begin(item.event, context) } }
                group.addTask {
                    await failure.catching {
                        defer { context.lease?.end() }
                        try await work(item, begun, handling)
                    }
                }
            }
            group.cancelAll()
        }
        if stream.queue == nil {
            await failure.catching {
                for item in list.takeRest() {
                    try await runtime.handling(item.event) { try await publishGivenUp(item) }
                }
            }
        }
        if let error = failure.error { throw error }
        try Task.checkCancellation()
    }

    private func read() async throws {
        while let room = await list.room() {
            guard try await runtime.outages.waitUntilAllAreBack(endsAtShutdown: true) else { return }
            switch stream.source {
            case .lines(let input):
                guard let batch = try await stream.next(of: input) else { return }
                try await take(batch)
            case .queue(let queue):
                // A worker that took all there is would own all keys, and leave nothing to the others.
                let limit = queue.consumer.settings.order == nil ? room : min(room, WorkLoop.orderedLimit)
                guard let taken = try await queue.next(limit: limit, isIdle: list.isIdle) else { return }
                let batch = try await stream.received(taken.entries, from: queue, to: sink) { event, reason in
                    runtime.handling(event) { givingUp(event, reason) }
                }
                try await take(batch)
                // An event that ended workers before is handled while no other event is in work.
                if case .entries = taken { continue }
                await list.waitUntilIdle()
            }
        }
    }

    /// Adds the events to the list, and forwards the other lines.
    private func take(_ batch: [Received]) async throws {
        list.add(batch)
        var forwarded = BatchResults()
        for item in batch {
            if case .other(let line) = item.incoming { forwarded.add(item.entry) { $0.append(line) } }
        }
        if !forwarded.items.isEmpty { try await sink.write(forwarded, from: stream.queue) }
    }

    private func work(_ item: WorkList.Item, _ begun: Result<Runtime.Work, any Error>, _ handling: Handling)
        async throws
    {
        do {
            let outcome = try await handling.step { try await begun.get()() }
            switch outcome {
            case .held(let limit):
                try await hold(item, for: limit)
                handling.end(.held)
            case .postponed(let pause):
                try await postpone(item, for: pause)
                handling.end(.held)
            case .givenUp(let envelopes, let reason):
                try await deadLetter(item, envelopes, reason)
                handling.end(.failed, reason: reason)
                list.finish(item)
            case .done(let envelopes):
                var results = BatchResults()
                results.add(item.entry) { bytes in for envelope in envelopes { bytes += envelope.line } }
                try await sink.write(results, from: stream.queue)
                handling.end(.done)
                list.finish(item)
            }
        } catch {
            if error is PutBack { handling.end(.held) } else { handling.end(HandlingOutcome(error), error: error) }
            try await handling.step { try await fail(item, error) }
            list.finish(item)
        }
    }

    private func context(of item: WorkList.Item) -> WorkContext {
        guard let entry = item.entry, let queue = stream.queue else {
            return WorkContext(
                publisher: Publisher(output: sink), waiter: Runtime.waiter(number: item.number), attempt: 1,
                isLastAttempt: false, lease: nil)
        }
        return WorkContext(
            publisher: Publisher(output: sink), waiter: queue.consumer.waiter(of: entry), attempt: entry.attempt,
            isLastAttempt: entry.attempt >= queue.options.maxAttempts,
            lease: WorkLease(entry, of: queue, askedAt: item.askedAt ?? .now))
    }

    private func hold(_ item: WorkList.Item, for limit: Duration) async throws {
        guard let entry = item.entry, let queue = stream.queue else { return list.hold(item, for: limit) }
        try await queue.change(entry) { try await $0.hold(entry, for: limit) }
        list.finish(item)
    }

    private func postpone(_ item: WorkList.Item, for pause: Duration) async throws {
        guard let entry = item.entry, let queue = stream.queue else { return list.hold(item, for: pause) }
        try await queue.change(entry) { try await $0.postpone(entry, for: pause) }
        list.finish(item)
    }

    private func fail(_ item: WorkList.Item, _ error: any Error) async throws {
        guard let entry = item.entry, let queue = stream.queue else {
            guard let fault = error as? MalformedInput else {
                // The tool ends with `error`, even if this publication fails.
                try? await publishGivenUp(item)
                throw error
            }
            return try await stream.refuse(item.event, item.line, fault)
        }
        switch QueueFailure(error) {
        case .refuse(let fault): try await stream.refuse(item.event.correlationID, item.line, entry, fault)
        case .putBack: try await queue.release(entry)
        case .end(let countsAttempt, let reason):
            if countsAttempt {
                let pause = queue.options.pause(after: entry.attempt)
                try await queue.change(entry) { try await $0.retry(entry, after: pause, reason: reason) }
            } else {
                try await queue.release(entry)
            }
            throw error
        case .fail(let reason, let retryAfter, let isTransient):
            // A pause that a service asks for, such as a flood wait, may be long; an entry must not be parked for ever.
            let pause = min(retryAfter ?? queue.options.pause(after: entry.attempt), .seconds(86_400))
            try await fail(item, entry, queue, reason: reason, pause: pause, isTransient: isTransient)
        }
    }

    private func deadLetter(_ item: WorkList.Item, _ results: [Envelope], _ reason: String) async throws {
        let letter = DeadLetterReason(code: "attempts_used_up", text: reason)
        guard let entry = item.entry, let queue = stream.queue else {
            try await sink.write(results)
            return try await stream.deadLetter(item.event, item.line, letter)
        }
        try await sink.giveUp(entry, letter, publishing: results, from: queue)
    }

    /// Reports that an event from a pipe is given up. No other worker will receive it, because this process ends.
    private func publishGivenUp(_ item: WorkList.Item) async throws {
        try await sink.write(
            givingUp(item.event, "The bot was stopped before this request was finished. Please try again."))
    }

    private func fail(
        _ item: WorkList.Item, _ entry: QueueEntry, _ queue: QueueSource, reason: String, pause: Duration,
        isTransient: Bool
    ) async throws {
        let notes: Logger.Metadata = ["attempt": .stringConvertible(entry.attempt), "type": "\(item.event.type)"]
        if isTransient, entry.attempt < queue.options.maxAttempts {
            runtime.log.warning("\(reason); trying again in \(pause.spanText)", metadata: notes)
            try await queue.change(entry) { try await $0.retry(entry, after: pause, reason: reason) }
        } else {
            runtime.log.error("gave up an event: \(reason)", metadata: notes)
            let code = isTransient ? "attempts_used_up" : "failed"
            let results = givingUp(item.event, reason)
            try await sink.giveUp(
                entry, DeadLetterReason(code: code, text: reason), publishing: results, from: queue)
        }
    }
}

/// Tells what a failure in the work on an event of a queue means for the event and for the tool.
enum QueueFailure {
    /// The event is malformed and can never be handled.
    case refuse(MalformedInput)
    /// The work failed; if the failure is transient, another attempt or another worker may succeed.
    case fail(reason: String, retryAfter: Duration?, isTransient: Bool)
    /// The work was put off, for a reason other than the event: another worker may take it at once.
    case putBack
    /// The tool cannot continue, for a reason other than the event.
    case end(countsAttempt: Bool, reason: String)

    init(_ error: any Error) {
        switch error {
        case let fault as MalformedInput: self = .refuse(fault)
        case is ServiceAway, is PutBack: self = .putBack
        case is CancellationError: self = .end(countsAttempt: false, reason: "cancelled")
        case let error as any ReportableError:
            switch error.exitStatus {
            case .configuration, .authenticationRefused: self = .end(countsAttempt: false, reason: error.message)
            case .localIO: self = .end(countsAttempt: true, reason: error.message)
            case .malformedInput, .usage, .no:
                self = .fail(reason: error.message, retryAfter: nil, isTransient: false)
            default: self = .fail(reason: error.message, retryAfter: error.retryAfter, isTransient: true)
            }
        default: self = .fail(reason: "unexpected failure: \(error)", retryAfter: nil, isTransient: true)
        }
    }
}
