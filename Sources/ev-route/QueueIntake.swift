import Blocking
import Envelope
import Queue
import Stage

/// A queue as the input: entries are acknowledged when every output that gets them has accepted them, which means on disk for a spool.
/// What is for queues is published in the same step.
struct QueueIntake: Sendable {
    private static let most = 1000

    private let runtime: Runtime
    private let source: QueueSource
    private let delivery: Delivery
    private let maxLineBytes: Int
    private let collectors: [QueueCollector]
    private let sink: QueueSink?
    private let thread = BlockingThread()

    /// - Throws: what is wrong with a queue among the outputs.
    init(_ source: QueueSource, _ delivery: Delivery, runtime: Runtime, maxLineBytes: Int) async throws {
        (self.runtime, self.source, self.delivery, self.maxLineBytes) = (runtime, source, delivery, maxLineBytes)
        collectors = delivery.outputs.compactMap(\.collector)
        let queues = collectors.map(\.queue)
        sink =
            queues.isEmpty
            ? nil : try await QueueSink(queues, maxLength: QueueOutputs.defaultMaxLength, runtime: runtime)
    }

    /// Returns after the shutdown was requested, or when something failed, which the delivery is told.
    func run() async {
        var failure: StageError?
        do {
            try await source.keepingLeases {
                while let taken = try await source.next(limit: QueueIntake.most, isIdle: true) {
                    if !taken.entries.isEmpty { try await route(taken.entries) }
                }
            }
        } catch is CancellationError {
            // The outputs' failure, which is told there, or the end of the time to drain.
        } catch let error as any ReportableError {
            failure = StageError(error.exitStatus, error.message)
        } catch {
            failure = StageError(.bug, "unexpected failure: \(error)")
        }
        delivery.intake.end(failure)
    }

    private func refuse(_ taken: TakenEntry, _ fault: MalformedInput) async throws {
        runtime.note(Refused(line: taken.line, sizeBytes: taken.line.count, fault: fault, correlationID: nil))
        try await source.bury(taken.entry, Burial(code: fault.code.rawValue, reason: fault.reason), to: nil)
    }

    private func route(_ taken: [TakenEntry]) async throws {
        var entries: [TakenEntry] = []
        for each in taken {
            if source.isWornOut(each.entry) {
                try await source.buryWornOut(each.entry)
            } else if each.line.isEmpty || each.line.contains(UInt8(ascii: "\n")) {
                // Put in by something else: on its way through the router it would be no event, or two.
                try await refuse(each, MalformedInput(.notJSON, "the entry is not one line"))
            } else {
                entries.append(each)
            }
        }
        guard !entries.isEmpty else { return }
        let lines = entries.flatMap { $0.line + [UInt8(ascii: "\n")] }
        let refused = await thread.run { [delivery, maxLineBytes] in
            let barrier = Barrier()
            delivery.intake.put(lines: lines, maxLineBytes: maxLineBytes, barrier)
            return barrier.wait()
        }
        guard let refused else { throw CancellationError() }
        var finished: [TakenEntry] = []
        for entry in entries {
            if let fault = refused.first(where: { $0.isOf(entry.line) })?.fault {
                let burial = Burial(code: fault.code.rawValue, reason: fault.reason)
                try await source.bury(entry.entry, burial, to: nil)
            } else {
                finished.append(entry)
            }
        }
        try await finish(finished)
    }

    /// Acknowledges entries, and publishes what is for queues: in one step, each line together with the entry that it came as. What
    /// middlewares have changed is published before, so that it comes twice rather than never.
    private func finish(_ entries: [TakenEntry]) async throws {
        guard let sink else { return try await source.finish(entries.map { QueueResult($0.entry) }) }
        var lines: [[QueueLine]] = entries.map { _ in [] }
        var changed: [QueueLine] = []
        for (output, collector) in collectors.enumerated() {
            var places: [[UInt8]: [Int]] = [:]
            for (index, entry) in entries.enumerated().reversed() { places[entry.line, default: []].append(index) }
            for line in collector.take() {
                if let index = places[line]?.popLast() {
                    lines[index].append(QueueLine(line[...], output: output))
                } else {
                    changed.append(QueueLine(line[...], output: output))
                }
            }
        }
        if !changed.isEmpty { try await sink.publish(changed) }
        let results = zip(entries, lines).map { QueueResult($0.entry, lines: $1) }
        if !results.isEmpty { try await source.finish(results, to: sink.outputs) }
    }
}

/// A place in the input, and when everything before it is where it should be.
final class Barrier: Sendable {
    private let outcome = Monitor<[Refused]??>(nil)

    /// - Parameter refused: what no output has got; nil when an output failed.
    func reach(_ refused: [Refused]?) { outcome.update { $0 = .some(refused) } }

    func wait() -> [Refused]? { outcome.wait { $0 } ?? nil }
}
