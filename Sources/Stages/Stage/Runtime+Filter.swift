package import Envelope
package import JSON
package import Options
import Synchronization
package import System
import Tracing

/// Tells what a filter does with one event.
package enum Decision: Sendable {
    /// The event is forwarded unchanged.
    case forward
    case drop
    /// These events take its place.
    case replace([Envelope])
    /// These whole lines, with their line feeds, take its place.
    case write([UInt8])
    /// These JSON members are added at the end of its `meta`, which only an event of which no more than the head was read takes; see
    /// `EventHead.takesMetaMembers`.
    case addToMeta([UInt8])
    /// The event cannot be handled and goes to the dead letters.
    case refuse(MalformedInput)
}

/// Publishes events of a concurrent stage, such as progress, before its work on an event is done.
package struct Publisher: Sendable {
    let output: EventOutput

    /// Publishes an event; returns when the output has accepted it.
    package func publish(_ envelope: Envelope) async throws { try await output.write([envelope]) }

    /// Publishes whole lines, line feeds included; returns when the output has accepted them.
    package func publish(_ lines: [UInt8]) async throws { try await output.write(lines) }
}

extension Runtime {
    /// Runs a filter batch by batch, in order; lines that it does not accept are forwarded unchanged.
    ///
    /// The next batch is read and parsed while a batch is decided on.
    /// - Parameter decide: returns one decision for each event, in order.
    package func filter(
        _ input: InputOptions, _ output: OutputOptions, accepting accepts: @escaping @Sendable (String) -> Bool,
        decide: ([Envelope]) async throws -> [Decision]
    ) async throws -> ExitStatus {
        let stream = try await EventStream(runtime: self, options: input, accepts: accepts)
        return try await filter(stream, output) { lines in
            try await observing(lines.compactMap { if case .event(let event, _) = $0 { event } else { nil } }, decide)
        }
    }

    /// Runs a filter that reads no more of the events than their heads, batch by batch, in order.
    ///
    /// While the answer about a batch is awaited, the next ones are read, and asked about.
    /// - Parameters:
    ///   - heads: reads the heads.
    ///   - ask: asks for decisions on a batch. It is called for one batch at a time; its result, which is called in the same order,
    ///     returns one decision for each event, in order.
    package func filter(
        _ input: InputOptions, _ output: OutputOptions, reading heads: EventHeadReader,
        accepting accepts: @escaping @Sendable (String) -> Bool,
        ask: @escaping @Sendable ([EventHead]) async throws -> @Sendable () async throws -> [Decision]
    ) async throws -> ExitStatus {
        let stream = try await EventStream(runtime: self, options: input, heads: heads, accepts: accepts)
        let sink = try await EventOutput(output, runtime: self)
        try stream.checkIsNotLoop(sink.sink)
        let memory = ResultMemory()
        try await stream.forEachBatch(
            shutdown: shutdown, output: sink,
            asking: { batch in
                try await self.observing(
                    batch.compactMap { if case .head(let head) = $0.incoming { head } else { nil } }, ask)
            },
            { batch, answer in try await self.write(batch, try await answer(), from: stream, to: sink, memory) })
        return .success
    }

    /// - Parameter decide: returns one decision for each line that is an event which the filter accepts.
    private func filter(
        _ stream: EventStream, _ output: OutputOptions, decide: ([IncomingLine]) async throws -> [Decision]
    ) async throws -> ExitStatus {
        let sink = try await EventOutput(output, runtime: self)
        try stream.checkIsNotLoop(sink.sink)
        let memory = ResultMemory()
        try await stream.forEachBatch(shutdown: shutdown, output: sink) { batch in
            try await write(batch, try await decide(batch.map(\.incoming)), from: stream, to: sink, memory)
        }
        return .success
    }

    /// Writes what the decisions on a batch make of it.
    ///
    /// - Parameter decisions: one for each line that is an event which the filter accepts.
    private func write(
        _ batch: [Received], _ decisions: [Decision], from stream: EventStream, to sink: EventOutput,
        _ memory: ResultMemory
    ) async throws {
        var results = BatchResults(memory: memory.take())
        var bytes = batch.reduce(0) { $0 + $1.incoming.line.range.count + 1 }
        for case .addToMeta(let members) in decisions { bytes += members.count + 1 }
        results.reserve(bytes: bytes, items: batch.count)
        var next = 0
        var dropped = 0
        for item in batch {
            if case .other(let line) = item.incoming {
                results.add(item.entry) { $0.append(line) }
                continue
            }
            let decision = next < decisions.count ? decisions[next] : .forward
            next += 1
            if case .drop = decision { dropped += 1 }
            if case .refuse(let fault) = decision {
                try await stream.refuse(item.incoming.correlationID, item.incoming.line, item.entry, fault)
            } else {
                results.add(item.entry) { $0.append(decision, of: item.incoming) }
            }
        }
        if dropped > 0 { activity.countDropped(dropped) }
        try await sink.write(results, from: stream.queue)
        memory.give(results.bytes)
    }

    /// Asks for decisions on a batch of heads. Only the span of an event needs the whole event.
    private func observing(
        _ heads: [EventHead], _ ask: ([EventHead]) async throws -> @Sendable () async throws -> [Decision]
    ) async throws -> @Sendable () async throws -> [Decision] {
        guard !heads.isEmpty else { return { [] } }
        let observed = tracer.followsEachEvent ? ObservedEvents(heads, tracer) : ObservedEvents(counting: heads, tracer)
        do {
            let answer = try await ask(heads)
            return {
                do {
                    let decisions = try await answer()
                    observed.end(decisions)
                    return decisions
                } catch {
                    observed.end(error)
                    throw error
                }
            }
        } catch {
            observed.end(error)
            throw error
        }
    }

    /// Decides on a batch of events, counts each, and measures it with the time that the whole batch takes.
    private func observing(
        _ events: [Envelope], _ decide: ([Envelope]) async throws -> [Decision]
    ) async throws -> [Decision] {
        guard !events.isEmpty else { return [] }
        let observed = ObservedEvents(events, tracer)
        do {
            let decisions = try await decide(events)
            observed.end(decisions)
            return decisions
        } catch {
            observed.end(error)
            throw error
        }
    }
}

/// Keeps the memory of the results of one batch for those of the next, which costs less than new pages for each.
private final class ResultMemory: Sendable {
    /// More than the usual batch has.
    private static let mostBytes = 4 << 20

    private let spare = Mutex<[UInt8]>([])

    func take() -> [UInt8] {
        spare.withLock { spare in
            defer { spare = [] }
            return spare
        }
    }

    func give(_ bytes: consuming [UInt8]) {
        guard bytes.capacity <= ResultMemory.mostBytes else { return }
        bytes.removeAll(keepingCapacity: true)
        spare.withLock { [bytes] in $0 = bytes }
    }
}

/// Counts a batch of events that is decided on, and measures each event with the time that the whole batch takes.
private struct ObservedEvents: Sendable {
    private let tracer: Tracer
    private let start = ContinuousClock.now
    /// The handling of each event; empty if the events are counted by type.
    private var handlings: [Handling] = []
    private var types: [String] = []

    init(_ events: [Envelope], _ tracer: Tracer) {
        self.tracer = tracer
        let start = start
        handlings = events.map { tracer.begin($0, at: start) }
    }

    init(_ heads: [EventHead], _ tracer: Tracer) {
        let events = heads.map { head in
            (try? head.envelope()) ?? Envelope(type: head.type, payload: [:], correlationID: head.correlationID)
        }
        self.init(events, tracer)
    }

    /// Counts events without following each of them.
    init(counting heads: [EventHead], _ tracer: Tracer) {
        self.tracer = tracer
        types = heads.map(\.type)
        tracer.statistics.began(heads.count)
    }

    func end(_ decisions: [Decision]) {
        let end = ContinuousClock.now
        guard handlings.isEmpty else {
            for (handling, decision) in zip(handlings, decisions) {
                handling.end(decision.outcome, at: end, error: decision.fault)
            }
            return
        }
        // Events of one type mostly come one after another.
        var runs: [(type: String, outcome: HandlingOutcome, count: Int)] = []
        for (type, decision) in zip(types, decisions) {
            let outcome = decision.outcome
            if let last = runs.last, last.outcome == outcome, last.type == type {
                runs[runs.count - 1].count += 1
            } else {
                runs.append((type, outcome, 1))
            }
        }
        tracer.statistics.ended(runs, after: end - start)
    }

    func end(_ error: any Error) {
        let outcome = HandlingOutcome(error)
        for handling in handlings { handling.end(outcome, error: error) }
        if handlings.isEmpty { tracer.statistics.ended(types.map { ($0, outcome, 1) }, after: .now - start) }
    }
}

extension Decision {
    fileprivate var outcome: HandlingOutcome { if case .refuse = self { .refused } else { .done } }

    fileprivate var fault: MalformedInput? { if case .refuse(let fault) = self { fault } else { nil } }
}

extension [UInt8] {
    mutating func append(_ line: Line) {
        line.withBytes { append(contentsOf: $0) }
        append(UInt8(ascii: "\n"))
    }

    mutating func append(_ decision: Decision, of incoming: IncomingLine) {
        switch decision {
        case .forward: append(incoming.line)
        case .drop, .refuse: break
        case .replace(let envelopes): for envelope in envelopes { envelope.write(to: &self) }
        case .write(let lines): append(contentsOf: lines)
        case .addToMeta(let members):
            guard case .head(let head) = incoming, head.append(to: &self, addingToMeta: members) else {
                preconditionFailure("only a head that takes members may get them")
            }
        }
    }
}

/// Keeps the first failure of a group of tasks, and ends the loop that feeds them.
package final class FirstFailure: Sendable {
    private let first = Mutex<(any Error)?>(nil)
    private let shutdown: Shutdown
    private let onFailure: @Sendable () -> Void

    /// - Parameter onFailure: called at each failure.
    package init(shutdown: Shutdown, onFailure: @escaping @Sendable () -> Void = {}) {
        self.shutdown = shutdown
        self.onFailure = onFailure
    }

    package var error: (any Error)? { first.withLock { $0 } }

    /// Runs a body and keeps its error.
    package func catching(_ body: () async throws -> Void) async {
        do {
            try await body()
        } catch {
            first.withLock { [error] in $0 = $0 ?? error }
            // The loop may be waiting for input: only a shutdown ends that wait.
            shutdown.request()
            onFailure()
        }
    }
}
