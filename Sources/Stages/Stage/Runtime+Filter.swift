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
    /// This line, which ends with its line feed, takes its place.
    case rewrite([UInt8])
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

    /// Runs a filter that reads no more of the events than their heads, as `filter(_:_:accepting:decide:)` does.
    ///
    /// - Parameter heads: reads the heads.
    package func filter(
        _ input: InputOptions, _ output: OutputOptions, reading heads: EventHeadReader,
        accepting accepts: @escaping @Sendable (String) -> Bool, decide: ([EventHead]) async throws -> [Decision]
    ) async throws -> ExitStatus {
        let stream = try await EventStream(runtime: self, options: input, heads: heads, accepts: accepts)
        return try await filter(stream, output) { lines in
            try await observing(lines.compactMap { if case .head(let head) = $0 { head } else { nil } }, decide)
        }
    }

    /// - Parameter decide: returns one decision for each line that is an event which the filter accepts.
    private func filter(
        _ stream: EventStream, _ output: OutputOptions, decide: ([IncomingLine]) async throws -> [Decision]
    ) async throws -> ExitStatus {
        let sink = try await EventOutput(output, runtime: self)
        try stream.checkIsNotLoop(sink.sink)
        try await stream.forEachBatch(shutdown: shutdown, output: sink) { batch in
            var decisions = try await decide(batch.map(\.incoming)).makeIterator()
            var results = BatchResults()
            results.reserve(bytes: batch.reduce(0) { $0 + $1.incoming.line.range.count + 1 }, items: batch.count)
            for item in batch {
                let line = item.incoming.line
                let correlationID: EventID
                switch item.incoming {
                case .other:
                    results.add(item.entry) { $0.append(line) }
                    continue
                case .event(let event, _): correlationID = event.correlationID
                case .head(let head): correlationID = head.correlationID
                }
                let decision = decisions.next() ?? .forward
                if case .drop = decision { activity.countDropped(1) }
                if case .refuse(let fault) = decision {
                    try await stream.refuse(correlationID, line, item.entry, fault)
                } else {
                    results.add(item.entry) { $0.append(decision, of: line) }
                }
            }
            try await sink.write(results, from: stream.queue)
        }
        return .success
    }

    /// Decides on a batch of heads. Only the span of an event needs the whole event.
    private func observing(
        _ heads: [EventHead], _ decide: ([EventHead]) async throws -> [Decision]
    ) async throws -> [Decision] {
        guard !heads.isEmpty else { return [] }
        guard !tracer.followsEachEvent else {
            let events = heads.map { head in
                (try? head.envelope())
                    ?? Envelope(type: head.type, payload: [:], correlationID: head.correlationID)
            }
            return try await observing(events) { _ in try await decide(heads) }
        }
        let start = ContinuousClock.now
        tracer.statistics.began(heads.count)
        let types = heads.lazy.map(\.type)
        do {
            let decisions = try await decide(heads)
            tracer.statistics.ended(zip(types, decisions.lazy.map(\.outcome)), after: ContinuousClock.now - start)
            return decisions
        } catch {
            let outcome = HandlingOutcome(error)
            tracer.statistics.ended(types.map { ($0, outcome) }, after: ContinuousClock.now - start)
            throw error
        }
    }

    /// Decides on a batch of events, counts each, and measures it with the time that the whole batch takes.
    private func observing(
        _ events: [Envelope], _ decide: ([Envelope]) async throws -> [Decision]
    ) async throws -> [Decision] {
        guard !events.isEmpty else { return [] }
        let start = ContinuousClock.now
        let handlings = events.map { tracer.begin($0, at: start) }
        do {
            let decisions = try await decide(events)
            let end = ContinuousClock.now
            for (handling, decision) in zip(handlings, decisions) {
                handling.end(decision.outcome, at: end, error: decision.fault)
            }
            return decisions
        } catch {
            for handling in handlings { handling.end(HandlingOutcome(error), error: error) }
            throw error
        }
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

    mutating func append(_ decision: Decision, of line: Line) {
        switch decision {
        case .forward: append(line)
        case .drop, .refuse: break
        case .replace(let envelopes): for envelope in envelopes { append(contentsOf: envelope.line) }
        case .rewrite(let line): append(contentsOf: line)
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
