import Glibc
import JSON
import Logging
import Options
import Stage
import System
import Tracing

/// Replays a recording: waits for each event until it is due, and writes it.
final class Player {
    /// The most bytes of events that are due together and written at once.
    private static let mostBytes = 256 << 10

    private let plan: Play
    private let reading: SelectedEvents
    private let output: EventOutput
    private let runtime: Runtime
    private let waiting = BlockingThread()
    private let parser = JSONParser()
    private var pace: Pace
    private var changes: EventChanges
    private var pending: [UInt8] = []
    /// The moments at which the pending events were due, in nanoseconds of the monotonic clock.
    private var pendingDue: [Int64] = []
    private var lateness = LatencyHistogram()
    private var count = 0
    private var skipped = 0
    /// The start of the replay; nil before its first event.
    private var start: Int64?

    init(plan: Play, recording: sending Recording, output: EventOutput, runtime: Runtime) {
        self.plan = plan
        reading = SelectedEvents(recording, plan.selection)
        self.output = output
        self.runtime = runtime
        pace = Pace(speed: plan.speed.factor, maxGap: plan.maxGap.duration)
        changes = EventChanges(
            seed: plan.newIds ? plan.seed ?? .random(in: 0...(.max)) : nil, shiftMicroseconds: nil)
    }

    func run() async throws {
        // A recording that cannot be read at all is told of by its error alone.
        var isReadable = false
        defer { if isReadable { report() } }
        while let batch = try await reading.next() {
            isReadable = true
            for refused in batch.refused { runtime.note(refused) }
            for event in batch.events {
                guard try await play(event) else { return }
            }
            try await flush()
        }
        isReadable = true
        if reading.linesWithoutTime > 0 {
            runtime.log.warning(
                "\(reading.linesWithoutTime) lines have no time in the file of times: each came right after the line before it"
            )
        }
    }

    /// - Returns: false if the shutdown ended the replay.
    private func play(_ event: RecordedEvent) async throws -> Bool {
        if event.speaksToTelegram, !plan.live {
            guard plan.skipLive else {
                try await flush()
                throw Play.refusal([event.type: 1])
            }
            skipped += 1
            return true
        }
        let due = beginning(with: event).addingReportingOverflow(pace.due(event.time))
        let deadline = due.overflow ? Int64.max : due.partialValue
        if pace.isTimed, deadline > SystemClocks.monotonicNanoseconds {
            try await flush()
            let isInTime = await waiting.run { [descriptor = runtime.shutdown.descriptor] in
                PreciseWait.until(deadline, interruptedBy: descriptor)
            }
            guard isInTime else { return false }
        }
        guard !runtime.shutdown.isRequested else { return false }
        append(event)
        pendingDue.append(deadline)
        if pending.count >= Player.mostBytes { try await flush() }
        return true
    }

    /// Returns the start of the replay, which the first event sets.
    private func beginning(with event: RecordedEvent) -> Int64 {
        if let start { return start }
        let now = SystemClocks.monotonicNanoseconds
        start = now
        if plan.rebaseTime {
            let first = event.time ?? .now
            changes.shiftMicroseconds = Timestamp.now.microseconds - first.microseconds
        }
        return now
    }

    private func append(_ event: RecordedEvent) {
        count += 1
        event.line.withBytes { bytes in
            // The line was checked when it was read.
            guard changes.isNeeded, let json = try? parser.parse(bytes, padded: true) else {
                pending.append(contentsOf: bytes)
                pending.append(UInt8(ascii: "\n"))
                return
            }
            pending += changes.line(of: json)
        }
    }

    private func flush() async throws {
        guard !pending.isEmpty else { return }
        try await output.write(pending)
        let now = SystemClocks.monotonicNanoseconds
        for due in pendingDue where pace.isTimed { lateness.add(microseconds: UInt64(max(0, now - due) / 1000)) }
        pending.removeAll(keepingCapacity: true)
        pendingDue.removeAll(keepingCapacity: true)
    }

    private func report() {
        var metadata: Logger.Metadata = ["events": .stringConvertible(count)]
        if skipped > 0 { metadata["left_out"] = .stringConvertible(skipped) }
        if pace.shortened > 0 { metadata["shortened_gaps"] = .stringConvertible(pace.shortened) }
        if let start {
            let elapsed = Double(SystemClocks.monotonicNanoseconds - start) / 1e9
            metadata["seconds"] = .stringConvertible((elapsed * 1000).rounded() / 1000)
        }
        for (name, part) in [("late_p50_ms", 0.5), ("late_p99_ms", 0.99), ("late_max_ms", 1)] {
            guard let late = lateness.quantile(part) else { continue }
            metadata[name] = .stringConvertible((late.seconds * 1_000_000).rounded() / 1000)
        }
        runtime.log.info("replayed \(count == 1 ? "one event" : "\(count) events")", metadata: metadata)
    }
}
