import JSON
import System
import Queue
import Stage

/// Reads a queue as the input: acknowledges entries once every output that gets them has accepted them (a spool: once they are on disk).
/// Lines for queues are published in the same step.
struct QueueIntake: Sendable {
    private static let most = 1000

    private let runtime: Runtime
    private let source: QueueSource
    private let delivery: Delivery
    private let maxLineBytes: Int
    private let collectors: [QueueCollector]
    private let sink: QueueSink?
    private let thread = BlockingThread()

    /// - Throws: `RedisError` and `QueueError`, if a queue among the outputs cannot be used.
    init(_ source: QueueSource, _ delivery: Delivery, runtime: Runtime, maxLineBytes: Int) async throws {
        (self.runtime, self.source, self.delivery, self.maxLineBytes) = (runtime, source, delivery, maxLineBytes)
        collectors = delivery.outputs.compactMap(\.collector)
        let queues = collectors.map(\.queue)
        sink =
            queues.isEmpty
            ? nil : try await QueueSink(queues, maxLength: QueueOutputs.defaultMaxLength, runtime: runtime)
    }

    /// Routes entries until the shutdown is requested or something fails. The delivery reports a failure.
    func run() async {
        var failure: ToolError?
        do {
            try await source.keepingLeases {
                while let taken = try await source.next(limit: QueueIntake.most, isIdle: true) {
                    if !taken.entries.isEmpty { try await route(taken.entries) }
                }
            }
        } catch is CancellationError {
            // An output or the router has failed, which the delivery reports, or the time to drain is over.
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
            } else if !QueueIntake.isOneLine(each.line) {
                // Another program has added this entry. The router would find no event in it, or several.
                try await refuse(each, MalformedInput(.notJSON, "the entry is not one line"))
            } else {
                entries.append(each)
            }
        }
        guard !entries.isEmpty else { return }
        let lines = entries.flatMap { $0.line + [UInt8(ascii: "\n")] }
        let refused = await thread.run { [delivery, maxLineBytes] in
            delivery.intake.route(lines, maxLineBytes: maxLineBytes)
        }
        guard let refused else { throw CancellationError() }
        var faulty: [(entry: TakenEntry, fault: MalformedInput)] = []
        var finished: [TakenEntry] = []
        for entry in entries {
            if let fault = refused.first(where: { $0.isOf(entry.line) })?.fault {
                faulty.append((entry, fault))
            } else {
                finished.append(entry)
            }
        }
        let (results, strays) = takeResults(of: finished)
        if !strays.isEmpty { try await sink?.publish(strays) }
        for (entry, fault) in faulty {
            let reason = DeadLetterReason(code: fault.code.rawValue, text: fault.reason)
            try await source.moveToDeadLetters(entry.entry, reason)
        }
        if !results.isEmpty { try await source.finish(results, to: sink?.outputs ?? .none) }
    }

    /// Returns the collected lines for queues, each with the entry that it came from, so that one step publishes the
    /// line and acknowledges the entry. The strays are lines whose entry is unknown or refused. They are published
    /// before that step: if the process is killed in between, they arrive twice rather than never.
    private func takeResults(of entries: [TakenEntry]) -> (results: [QueueResult], strays: [QueueLine]) {
        guard !collectors.isEmpty else { return (entries.map { QueueResult($0.entry) }, []) }
        var lines: [[QueueLine]] = entries.map { _ in [] }
        var strays: [QueueLine] = []
        var origins = EntryOrigins(entries)
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
        return (zip(entries, lines).map { QueueResult($0.entry, lines: $1) }, strays)
    }

    /// Returns whether an entry is one line that the router sees; it drops blank lines.
    static func isOneLine(_ entry: [UInt8]) -> Bool {
        !entry.contains(UInt8(ascii: "\n")) && !entry.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
    }
}

/// Finds the entry of a batch that a line came from. Middlewares may have changed the line.
struct EntryOrigins {
    private let entries: [TakenEntry]
    private let parser = JSONParser()
    /// The indices of the entries with each line, in reverse order.
    private var places: [[UInt8]: [Int]] = [:]
    /// The index of the entry with each event id; made when it is first needed, because most lines are unchanged.
    private var byID: [String: Int]?

    init(_ entries: [TakenEntry]) { self.entries = entries }

    /// Begins with the lines of another output, which may get each entry once.
    mutating func beginOutput() {
        places = [:]
        for (index, entry) in entries.enumerated().reversed() { places[entry.line, default: []].append(index) }
    }

    /// Returns the index of the entry; nil if the line names none of them.
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
