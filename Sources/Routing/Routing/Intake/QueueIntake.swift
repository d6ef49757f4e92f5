import JSON
import System
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
        var failure: ToolError?
        do {
            try await source.keepingLeases {
                while let taken = try await source.next(limit: QueueIntake.most, isIdle: true) {
                    if !taken.entries.isEmpty { try await route(taken.entries) }
                }
            }
        } catch is CancellationError {
            // The outputs' failure, which is told there, or the end of the time to drain.
        } catch let error as any ReportableError {
            failure = ToolError(error.exitStatus, error.message)
        } catch {
            failure = ToolError(.bug, "unexpected failure: \(error)")
        }
        delivery.intake.end(failure)
    }

    private func refuse(_ taken: TakenEntry, _ fault: MalformedInput) async throws {
        runtime.note(RefusedLine(line: taken.line, sizeBytes: taken.line.count, fault: fault, correlationID: nil))
        try await source.moveToDeadLetters(taken.entry, DeadLetterReason(code: fault.code.rawValue, text: fault.reason))
    }

    private func route(_ taken: [TakenEntry]) async throws {
        var entries: [TakenEntry] = []
        for each in taken {
            if source.hasExhaustedAttempts(each.entry) {
                try await source.deadLetterExhausted(each.entry)
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
                let reason = DeadLetterReason(code: fault.code.rawValue, text: fault.reason)
                try await source.moveToDeadLetters(entry.entry, reason)
            } else {
                finished.append(entry)
            }
        }
        try await finish(finished)
    }

    /// Acknowledges entries, and publishes what is for queues: in one step, each line together with the entry that it came of. A line of
    /// which that cannot be told is published before, so that it comes twice rather than never.
    private func finish(_ entries: [TakenEntry]) async throws {
        guard let sink else { return try await source.finish(entries.map { QueueResult($0.entry) }) }
        var lines: [[QueueLine]] = entries.map { _ in [] }
        var strays: [QueueLine] = []
        var origins = Origins(entries)
        for (output, collector) in collectors.enumerated() {
            origins.beginOutput()
            for line in collector.take() {
                if let index = origins.find(line) {
                    lines[index].append(QueueLine(line[...], output: output))
                } else {
                    strays.append(QueueLine(line[...], output: output))
                }
            }
        }
        if !strays.isEmpty { try await sink.publish(strays) }
        let results = zip(entries, lines).map { QueueResult($0.entry, lines: $1) }
        if !results.isEmpty { try await source.finish(results, to: sink.outputs) }
    }
}

/// Which of a batch's entries a line came of that middlewares may have changed.
private struct Origins {
    private let entries: [TakenEntry]
    private let parser = JSONParser()
    /// The entries that have a line, the first of them last.
    private var places: [[UInt8]: [Int]] = [:]
    /// By the events' ids; made when it is needed, since most lines are as they came.
    private var byID: [String: Int]?

    init(_ entries: [TakenEntry]) { self.entries = entries }

    /// Each output may get each entry once.
    mutating func beginOutput() {
        places = [:]
        for (index, entry) in entries.enumerated().reversed() { places[entry.line, default: []].append(index) }
    }

    /// nil: the line names none of them.
    mutating func find(_ line: [UInt8]) -> Int? {
        if let index = places[line]?.popLast() { return index }
        let known = byID ?? index()
        byID = known
        guard let event = event(line) else { return nil }
        for key in ["id", "causation_id"] {
            if let id = event[key]?.string, let place = known[id] { return place }
        }
        return nil
    }

    private func index() -> [String: Int] {
        var index: [String: Int] = [:]
        for (place, entry) in entries.enumerated() {
            if let id = event(entry.line)?["id"]?.string { index[id] = place }
        }
        return index
    }

    private func event(_ line: [UInt8]) -> JSONObject? {
        (try? line.withUnsafeBytes { bytes in try parser.parse(bytes) })?.object
    }
}

/// A place in the input, and when everything before it is where it should be.
final class Barrier: Sendable {
    private let outcome = Monitor<[RefusedLine]??>(nil)

    /// - Parameter refused: what no output has got; nil when an output failed.
    func reach(_ refused: [RefusedLine]?) { outcome.update { $0 = .some(refused) } }

    func wait() -> [RefusedLine]? { outcome.wait { $0 } ?? nil }
}
