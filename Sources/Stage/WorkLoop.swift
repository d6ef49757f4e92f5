public import Envelope
import Redis

extension Runtime {
    /// Runs a stage that works on several events at once; results come out in the order they are done.
    ///
    /// - Parameter handle: runs inside the event's correlation. When it throws `MalformedInput`, the event goes to the dead
    ///   letters; any other throw ends the tool.
    public func work(
        _ input: InputOptions, _ output: OutputOptions, concurrency: Int,
        accepting accepts: @escaping @Sendable (String) -> Bool,
        handle: @escaping @Sendable (Envelope, WorkContext) async throws -> Outcome
    ) async throws -> ExitStatus {
        let stream = try await EventStream(runtime: self, options: input, accepts: accepts)
        let sink = try await EventOutput(endpoint: output.to, shutdown: shutdown)
        let loop = WorkLoop(
            runtime: self, stream: stream, sink: sink, list: WorkList(concurrency: concurrency), handle: handle)
        try await loop.run()
        return .success
    }
}

/// A reader, those who work, and what wakes events that are held.
struct WorkLoop: Sendable {
    let runtime: Runtime
    let stream: EventStream
    let sink: EventOutput
    let list: WorkList
    let handle: @Sendable (Envelope, WorkContext) async throws -> Outcome

    func run() async throws {
        let failure = FirstFailure(shutdown: runtime.shutdown) { list.abort() }
        runtime.workList.withLock { $0 = list }
        defer { runtime.workList.withLock { $0 = nil } }
        await withDiscardingTaskGroup { group in
            group.addTask {
                await failure.catching { try await read() }
                list.end()
            }
            group.addTask { await runtime.listenForWakes(of: list) }
            while let item = await list.next() {
                group.addTask { await failure.catching { try await work(item) } }
            }
            group.cancelAll()
        }
        if let error = failure.error { throw error }
        try Task.checkCancellation()
    }

    private func read() async throws {
        while await list.room() != nil, let batch = try await stream.next() {
            var events: [(Envelope, Line)] = []
            for item in batch {
                switch item {
                case .event(let event, let line): events.append((event, line))
                case .other(let line): try await sink.write([line])
                }
            }
            if !events.isEmpty { list.add(events) }
        }
    }

    private func work(_ item: WorkList.Item) async throws {
        let context = WorkContext(
            publisher: Publisher(output: sink), waiter: Runtime.waiter(number: item.number), attempt: 1,
            isLastAttempt: false)
        do {
            let outcome = try await Correlation.$current.withValue(Correlation(item.event)) {
                try await handle(item.event, context)
            }
            switch outcome {
            case .held(let limit): return list.hold(item, for: limit)
            case .done(let results): try await sink.write(results)
            }
        } catch let fault as MalformedInput {
            try await stream.refuse(item.event, item.line, fault)
        }
        list.finish(item)
    }
}
