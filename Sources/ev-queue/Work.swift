import ArgumentParser
import Envelope
import JSON
import Logging
import Options
import Process
import Queue
import Stage
import Synchronization
import System
import Tracing

struct Work: QueueCommand {
    static let configuration = CommandConfiguration(
        commandName: "work",
        abstract: "Run a program for the events of a queue.",
        discussion: """
            Starts the program for each event, or for each --batch of events. The program reads the events from its standard input, \
            which then ends. Its standard output goes to --to, in one step with the acknowledgement of its events. Its exit status \
            decides about all events of the batch: 0 acknowledges them; 65 moves them to the dead letters; 77 and 78 (refused \
            credentials, wrong settings) end ev-queue and leave the events in the queue; after any other status, or a signal, they \
            are retried after a pause, up to --max-attempts times.

            With --order-by, events with the same value at a path keep their order over all workers of the group, also when one is \
            retried: the program gets the next ones only when it has finished those before. All workers of the group need the option.

            With TGPIPE_LOG_DIR set and one event a run, the variable TRACEPARENT names the span of the run: a program that writes it to \
            meta.traceparent of its events gives them their place in the trace.

            Examples: ev-queue work urls --to queue:pages -- ./fetch.sh
                      ev-queue work pages --batch 500 --to /dev/null -- psql -f import.sql
                      ev-queue work sent --order-by payload.chat_id --to /dev/null -- ./mirror.sh
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup(title: "Reading from the queue") var queueOptions: QueueOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The queue's name: letters, digits, '.', '_' and '-'.") var queue: QueueArgument

    @Argument(parsing: .postTerminator, help: "The program and its arguments, after --.") var command: [String]

    @Option(help: ArgumentHelp("The number of events for one run of the program, at most.", valueName: "n"))
    var batch: Int = 1

    @Option(help: ArgumentHelp("The number of runs at the same time.", valueName: "n"))
    var concurrency: Int = 1

    @Option(
        help: ArgumentHelp(
            "Keep the order of events with the same value: paths such as payload.chat_id or meta.origin.chat_id, joined by commas, "
                + "of which the first that leads to a text or a number counts.", valueName: "paths"))
    var orderBy: String?

    @Option(
        help: ArgumentHelp(
            "The time limit of one run. When it is over, the program is killed and the run is retried.",
            valueName: "duration"))
    var timeout: Span = Span(.seconds(3600))

    @Option(help: ArgumentHelp("The size limit of one run's output.", valueName: "size"))
    var maxOutput: ByteSize = ByteSize(64 << 20)

    @Flag(help: "End when no event of the group is new, in work, or waiting for another attempt.") var once = false

    func validate() throws {
        guard !command.isEmpty else { throw ValidationError("no program: ev-queue work QUEUE -- PROGRAM ARGUMENT…") }
        guard (1...1000).contains(batch) else { throw ValidationError("--batch must be from 1 to 1000") }
        guard (1...256).contains(concurrency) else { throw ValidationError("--concurrency must be from 1 to 256") }
        guard maxOutput.bytes > 0 else { throw ValidationError("--max-output must be more than 0") }
        do throws(QueueError) { _ = try order } catch { throw ValidationError("--order-by: \(error.message)") }
    }

    private var order: QueueOrder? {
        get throws(QueueError) {
            guard let orderBy else { return nil }
            let paths = orderBy.split(separator: ",", omittingEmptySubsequences: false).map { path in
                String(path.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
            }
            // The runs of the program do not wait for each other.
            return try QueueOrder(paths: paths, entriesPerKey: batch, isInBatches: true)
        }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let program = Command(command[0], Array(command.dropFirst()))
        guard program.executable != nil else {
            throw ToolError(.configuration, "the program \(command[0]) does not exist, or is not executable")
        }
        let source = try await QueueSource(
            queue.name, options: queueOptions, order: try order, runtime: runtime)
        let output = try await EventOutput(output, runtime: runtime)
        try source.checkIsNotLoop(output.sink)
        let worker = QueueWorker(
            runtime: runtime, source: source, output: output, program: program, options: self,
            places: Places(count: concurrency), keys: try order.map { KeyWatch(order: $0, log: runtime.log) })
        try await worker.run()
        return .success
    }
}

/// Takes batches of events, and runs the program for each.
private struct QueueWorker: Sendable {
    let runtime: Runtime
    let source: QueueSource
    let output: EventOutput
    let program: Command
    let options: Work
    let places: Places
    /// Is nil without an order.
    let keys: KeyWatch?

    func run() async throws {
        let failure = FirstFailure(shutdown: runtime.shutdown)
        ServiceManager.reportReady()
        try await source.keepingLeases {
            await withDiscardingTaskGroup { group in
                await failure.catching {
                    while let batch = try await next() {
                        group.addTask { await failure.catching { try await work(batch) } }
                    }
                }
                if failure.error != nil { group.cancelAll() }
            }
            if let error = failure.error { throw error }
            try Task.checkCancellation()
        }
    }

    /// Waits for the next batch and takes a place for it; returns nil at the end.
    private func next() async throws -> [TakenEntry]? {
        while true {
            await places.take()
            switch try await source.next(limit: options.batch, isIdle: places.isIdle, untilEmpty: options.once) {
            case .entries(let entries):
                let rest = try await removingExhausted(entries)
                if !rest.isEmpty { return rest }
                places.giveBack()
            case .alone(let entry):
                // Two workers have ended while they had this event: no other event is in work while this worker has it.
                let rest = try await removingExhausted([entry])
                if !rest.isEmpty { try await work(rest) } else { places.giveBack() }
            case .suspect:
                places.giveBack()
                await places.waitUntilIdle()
            case nil:
                places.giveBack()
                return nil
            }
        }
    }

    private func removingExhausted(_ entries: [TakenEntry]) async throws -> [TakenEntry] {
        for taken in entries where source.hasExhaustedAttempts(taken.entry) {
            try await source.deadLetterExhausted(taken.entry)
        }
        return entries.filter { !source.hasExhaustedAttempts($0.entry) }
    }

    private func work(_ batch: [TakenEntry]) async throws {
        defer { places.giveBack() }
        // An entry that is no envelope is the program's own affair.
        let values = batch.map { try? JSON(parsing: $0.line) }
        keys?.check(values)
        let handlings = zip(batch, values).compactMap { taken, value -> Handling? in
            value.flatMap { try? Envelope($0) }.map { runtime.tracer.begin($0, attempt: taken.entry.attempt) }
        }
        let failure: ProgramRun.Failure?
        do {
            failure = try await run(batch, handlings.first?.span)
        } catch is PutBack {
            for handling in handlings { handling.end(.held) }
            for taken in batch { try await source.release(taken.entry) }
            return
        } catch {
            for handling in handlings { handling.end(HandlingOutcome(error), error: error) }
            throw error
        }
        let reason = failure.map { "\(program.program) \($0)" }
        for handling in handlings { handling.end(failure == nil ? .done : .failed, reason: reason) }
        if let failure { try await fail(batch.map(\.entry), failure) }
    }

    /// Runs the program, and settles its events if it succeeds.
    ///
    /// - Throws: `PutBack` if another worker may have the events of an ordered queue; the program is ended then.
    private func run(_ batch: [TakenEntry], _ span: SpanStart?) async throws -> ProgramRun.Failure? {
        var program = program
        if batch.count == 1, let span {
            program.additions["TRACEPARENT"] = span.context.traceparent
        }
        let run = ProgramRun(
            program, input: batch.flatMap { $0.line + [UInt8(ascii: "\n")] }, timeout: options.timeout.duration,
            maxOutputBytes: Int(options.maxOutput.bytes))
        switch try await result(of: run, batch.map(\.entry)) {
        case .success(let lines):
            try await output.write(lines, finishing: batch.map(\.entry), of: source)
            return nil
        case .failure(let failure): return failure
        }
    }

    private func result(
        of run: ProgramRun, _ entries: [QueueEntry]
    ) async throws -> Result<[UInt8], ProgramRun.Failure> {
        guard keys != nil else { return try await run.result() }
        return try await withThrowingTaskGroup(of: Result<[UInt8], ProgramRun.Failure>.self) { group in
            defer { group.cancelAll() }
            group.addTask { try await run.result() }
            group.addTask {
                while source.consumer.seemsLeased(entries) {
                    try await Task.sleep(for: min(.milliseconds(200), source.consumer.settings.lease / 10))
                }
                runtime.log.warning(
                    "\(run.name) is ended: the lease of its events is over, and another worker may run them",
                    metadata: ["events": .stringConvertible(entries.count), "entry": "\(entries.first?.id ?? "")"])
                throw PutBack()
            }
            guard let result = try await group.next() else { throw CancellationError() }
            return result
        }
    }

    private func fail(_ entries: [QueueEntry], _ failure: ProgramRun.Failure) async throws {
        let reason = "\(program.program) \(failure)"
        if failure.endsWorker {
            for entry in entries { try await source.release(entry) }
            throw ToolError(failure.exitStatus, reason)
        }
        for entry in entries {
            if failure.isTransient, entry.attempt < source.options.maxAttempts {
                let pause = source.options.pause(after: entry.attempt)
                try await source.change(entry) { try await $0.retry(entry, after: pause, reason: reason) }
            } else {
                try await source.moveToDeadLetters(
                    entry, DeadLetterReason(code: failure.isTransient ? "attempts_used_up" : "failed", text: reason))
            }
        }
        runtime.log.warning(
            "\(reason)", metadata: ["events": .stringConvertible(entries.count), "entry": "\(entries.first?.id ?? "")"])
    }
}

/// Warns once of events that an order finds no key in, as after a slip in a path.
private final class KeyWatch: Sendable {
    private let order: QueueOrder
    private let log: Logger
    private let hasWarned = Mutex(false)

    init(order: QueueOrder, log: Logger) { (self.order, self.log) = (order, log) }

    func check(_ events: [JSON?]) {
        guard !events.contains(where: { $0.map(order.hasKey) ?? false }) else { return }
        let isFirst = hasWarned.withLock { hasWarned in
            defer { hasWarned = true }
            return !hasWarned
        }
        guard isFirst else { return }
        log.warning(
            "no event of a run has a text or a number at a path of --order-by: such events are given out without an order"
        )
    }
}

/// Limits the number of runs of the program at the same time.
final class Places: Sendable {
    private let count: Int
    private let taken = Mutex(0)
    private let changed = Signal()

    init(count: Int) { self.count = count }

    /// Waits for a place and takes it.
    func take() async {
        while !Task.isCancelled {
            let generation = changed.generation
            let isTaken = taken.withLock { taken in
                guard taken < count else { return false }
                taken += 1
                return true
            }
            if isTaken { return }
            await changed.wait(since: generation)
        }
    }

    /// Frees a place.
    func giveBack() {
        taken.withLock { $0 -= 1 }
        changed.notify()
    }

    /// Is true if no place is taken but that of the caller.
    var isIdle: Bool { taken.withLock { $0 <= 1 } }

    /// Waits until no place is taken.
    func waitUntilIdle() async {
        while !Task.isCancelled {
            let generation = changed.generation
            if taken.withLock({ $0 <= 0 }) { return }
            await changed.wait(since: generation)
        }
    }
}
