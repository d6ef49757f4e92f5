package import Envelope
import JSON
import Logging
package import Options
import Queue
import Synchronization
package import System

extension Runtime {
    /// The work on one event.
    package typealias Work = @Sendable () async throws -> Outcome

    /// Runs a stage that works on several events at once; results come out in the order they are done.
    ///
    /// When `handle` throws `MalformedInput`, the event goes to the dead letters. Any other throw ends the tool when it reads from a
    /// pipe. From a queue, what may pass (exit status 69, 75, and what is not known) is tried again after a pause, `maxAttempts`
    /// times in all, and then goes to the dead letters; wrong settings and refused credentials (78, 77) end the tool and leave the
    /// event to the next.
    ///
    /// - Parameters:
    ///   - handle: runs inside the event's correlation.
    ///   - givingUp: what is published about an event for which no attempt is left, or that came from a pipe and is not done when the tool
    ///     has to end, with the reason; inside its correlation.
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

    /// As above, for stages to which it matters in which order events came.
    ///
    /// - Parameter begin: called for one event after the other, in their order; what it returns is the rest of the work.
    package func work(
        _ input: InputOptions, _ output: OutputOptions, concurrency: Int,
        accepting accepts: @escaping @Sendable (String) -> Bool,
        givingUp: @escaping @Sendable (Envelope, String) -> [Envelope] = { _, _ in [] },
        inOrder begin: @escaping @Sendable (Envelope, WorkContext) throws -> Work
    ) async throws -> ExitStatus {
        let stream = try await EventStream(runtime: self, options: input, accepts: accepts)
        let sink = try await EventOutput(output, runtime: self)
        try stream.checkIsNotLoop(sink.sink)
        let loop = WorkLoop(
            runtime: self, stream: stream, sink: sink, list: WorkList(concurrency: concurrency), begin: begin,
            givingUp: { event, reason in
                Correlation.$current.withValue(Correlation(event)) { givingUp(event, reason) }
            })
        if let queue = stream.queue {
            try await queue.keepingLeases { try await loop.run() }
        } else {
            try await loop.run()
        }
        return .success
    }
}

/// A reader, those who work, and what wakes events that are held.
struct WorkLoop: Sendable {
    let runtime: Runtime
    let stream: EventStream
    let sink: EventOutput
    let list: WorkList
    let begin: @Sendable (Envelope, WorkContext) throws -> Runtime.Work
    let givingUp: @Sendable (Envelope, String) -> [Envelope]

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
                let begun = begin(item)
                group.addTask { await failure.catching { try await work(item, begun) } }
            }
            group.cancelAll()
        }
        if stream.queue == nil {
            await failure.catching { for item in list.takeRest() { try await tellGivenUp(item) } }
        }
        if let error = failure.error { throw error }
        try Task.checkCancellation()
    }

    private func read() async throws {
        while let room = await list.room() {
            switch stream.source {
            case .lines(let input):
                guard let batch = try await stream.next(of: input) else { return }
                try await take(batch)
            case .queue(let queue):
                guard let taken = try await queue.next(limit: room, isIdle: list.isIdle) else { return }
                try await take(
                    stream.received(taken.entries, from: queue, to: sink.sink, givingUp: givingUp))
                // What has ended workers before is left alone with this one.
                if case .entries = taken { continue }
                await list.waitUntilIdle()
            }
        }
    }

    /// Events are worked on; the rest passes through.
    private func take(_ batch: [Received]) async throws {
        list.add(batch)
        var passing = Results()
        for item in batch {
            if case .other(let line) = item.incoming { passing.add(item.entry) { $0.append(line) } }
        }
        if !passing.items.isEmpty { try await sink.write(passing, from: stream.queue) }
    }

    private func begin(_ item: WorkList.Item) -> Result<Runtime.Work, any Error> {
        Correlation.$current.withValue(Correlation(item.event)) {
            Result { try begin(item.event, context(of: item)) }
        }
    }

    private func work(_ item: WorkList.Item, _ begun: Result<Runtime.Work, any Error>) async throws {
        do {
            let outcome = try await Correlation.$current.withValue(Correlation(item.event)) { try await begun.get()() }
            switch outcome {
            case .held(let limit): try await hold(item, for: limit)
            case .done(let envelopes):
                var results = Results()
                results.add(item.entry) { bytes in for envelope in envelopes { bytes += envelope.line } }
                try await sink.write(results, from: stream.queue)
                list.finish(item)
            }
        } catch {
            try await fail(item, error)
            list.finish(item)
        }
    }

    private func context(of item: WorkList.Item) -> WorkContext {
        guard let entry = item.entry, let queue = stream.queue else {
            return WorkContext(
                publisher: Publisher(output: sink), waiter: Runtime.waiter(number: item.number), attempt: 1,
                isLastAttempt: false)
        }
        return WorkContext(
            publisher: Publisher(output: sink), waiter: queue.consumer.waiter(of: entry), attempt: entry.attempt,
            isLastAttempt: entry.attempt >= queue.options.maxAttempts)
    }

    private func hold(_ item: WorkList.Item, for limit: Duration) async throws {
        guard let entry = item.entry, let queue = stream.queue else { return list.hold(item, for: limit) }
        try await queue.hold(entry, for: limit)
        list.finish(item)
    }

    private func fail(_ item: WorkList.Item, _ error: any Error) async throws {
        guard let entry = item.entry, let queue = stream.queue else {
            guard let fault = error as? MalformedInput else {
                // Why the tool ends is `error`, whatever becomes of this.
                try? await tellGivenUp(item)
                throw error
            }
            return try await stream.refuse(item.event, item.line, fault)
        }
        switch QueueFailure(error) {
        case .refuse(let fault): try await stream.refuse(item.event, item.line, entry, fault)
        case .end(let countsAttempt, let reason):
            if countsAttempt {
                try await queue.retry(entry, after: queue.options.pause(after: entry.attempt), reason: reason)
            } else {
                try await queue.release(entry)
            }
            throw error
        case .fail(let reason, let retryAfter, let mayPass):
            try await fail(item, entry, queue, reason: reason, retryAfter: retryAfter, mayPass: mayPass)
        }
    }

    /// Nobody else gets what came from a pipe: when this process ends before it is done, that is its result.
    private func tellGivenUp(_ item: WorkList.Item) async throws {
        try await sink.write(givingUp(item.event, "It was stopped before it was done: try again."))
    }

    private func fail(
        _ item: WorkList.Item, _ entry: QueueEntry, _ queue: QueueSource, reason: String, retryAfter: Duration?,
        mayPass: Bool
    ) async throws {
        let notes: Logger.Metadata = ["attempt": "\(entry.attempt)", "type": "\(item.event.type)"]
        try await Correlation.$current.withValue(Correlation(item.event)) {
            if mayPass, entry.attempt < queue.options.maxAttempts {
                let pause = retryAfter ?? queue.options.pause(after: entry.attempt)
                runtime.log.warning("\(reason); trying again in \(pause.spanText)", metadata: notes)
                try await queue.retry(entry, after: pause, reason: reason)
            } else {
                runtime.log.error("gave up an event: \(reason)", metadata: notes)
                let burial = Burial(code: mayPass ? "attempts_used_up" : "failed", reason: reason)
                let results = givingUp(item.event, reason)
                try await queue.bury(entry, burial, publishing: results, to: sink.sink)
                if sink.sink == nil { try await sink.write(results) }
            }
        }
    }
}
