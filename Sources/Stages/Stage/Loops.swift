package import Envelope
package import JSON
package import Options
import Synchronization
package import System

/// What a filter does with one event.
package enum Decision: Sendable {
    /// It goes on as it came, to the byte.
    case pass
    case drop
    /// These take its place.
    case replace([Envelope])
    /// It cannot be worked on: to the dead letters.
    case refuse(MalformedInput)
}

/// How a concurrent stage publishes before its work on an event is done: progress, for instance.
package struct Publisher: Sendable {
    let output: EventOutput

    /// Returns when the output has accepted it.
    package func publish(_ envelope: Envelope) async throws { try await output.write([envelope]) }
}

extension Runtime {
    /// Runs a filter: batch by batch, order kept, everything that is not accepted passed through unchanged. The next batch is
    /// read and parsed meanwhile.
    ///
    /// - Parameter decide: one decision for each of the events that it is given.
    package func filter(
        _ input: InputOptions, _ output: OutputOptions, accepting accepts: @escaping @Sendable (String) -> Bool,
        decide: ([Envelope]) async throws -> [Decision]
    ) async throws -> ExitStatus {
        let stream = try await EventStream(runtime: self, options: input, accepts: accepts)
        let sink = try await EventOutput(output, runtime: self)
        try stream.checkIsNotLoop(sink.sink)
        try await stream.forEachBatch(shutdown: shutdown, sink: sink.sink) { batch in
            let events = batch.compactMap { if case .event(let event, _) = $0.incoming { event } else { nil } }
            var decisions = try await events.isEmpty ? [].makeIterator() : decide(events).makeIterator()
            var results = Results()
            results.reserve(bytes: batch.reduce(0) { $0 + $1.incoming.line.range.count + 1 }, items: batch.count)
            for item in batch {
                switch item.incoming {
                case .other(let line): results.add(item.entry) { $0.append(line) }
                case .event(let event, let line):
                    let decision = decisions.next() ?? .pass
                    if case .refuse(let fault) = decision {
                        try await stream.refuse(event, line, item.entry, fault)
                    } else {
                        results.add(item.entry) { $0.append(decision, of: line) }
                    }
                }
            }
            try await sink.write(results, from: stream.queue)
        }
        return .success
    }
}

/// The first failure of a group of tasks, which ends the loop that feeds them.
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

extension [UInt8] {
    mutating func append(_ line: Line) {
        line.withBytes { append(contentsOf: $0) }
        append(UInt8(ascii: "\n"))
    }

    mutating func append(_ decision: Decision, of line: Line) {
        switch decision {
        case .pass: append(line)
        case .drop, .refuse: break
        case .replace(let envelopes): for envelope in envelopes { append(contentsOf: envelope.line) }
        }
    }
}
