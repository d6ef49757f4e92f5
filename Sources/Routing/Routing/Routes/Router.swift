import Envelope
import JSON
import Stage
import Synchronization
import System
import Tracing

/// Routes all events on one thread: puts each line into the buffers of its outputs, and lines that cannot be routed
/// into the dead letters.
///
/// Nothing is allocated for an event here, and nothing is copied: a line is scanned where it was read, its type is looked up in a
/// cache, and its place in memory is noted for each of its outputs.
struct Router: ~Copyable {
    /// The most blocks whose lines are kept back from the outputs.
    private static let mostBlocks = 2
    /// The most bytes of dead letters that are kept back.
    private static let mostDeadLetterBytes = 256 << 10

    private let runtime: Runtime
    private let delivery: Delivery
    private let parser = JSONParser()
    private var destinations: Destinations
    /// The lines that the outputs have not been given yet, by output, and the blocks that hold them.
    private var slices: [LineSlices]
    private var leases: [BlockLease] = []
    /// The block that is being routed.
    private var current: BlockLease?
    private var deadLetters: [UInt8] = []
    private var deadLetterCount = 0
    private var types = TypeTexts()
    private var before: MiddlewareChain?
    private var after: MiddlewareChain?
    /// The lines that the `after` middlewares of all events have not seen yet.
    private var routed: [Line] = []
    /// Nil while nothing is traced.
    private let spans: ForwardSpans?

    init(runtime: Runtime, delivery: Delivery) {
        self.runtime = runtime
        self.delivery = delivery
        spans = ForwardSpans(runtime)
        destinations = Destinations(routes: delivery.routes, outputOfRoute: delivery.bufferOfRoute)
        slices = delivery.buffers.map { _ in LineSlices() }
    }

    /// Routes until the input ends.
    mutating func run() throws(ToolError) -> [RouteCount] {
        var failure: ToolError?
        do throws(ToolError) {
            before = try delivery.middlewares.before.chain(delivery.tools)
            after = try delivery.middlewares.after.chain(delivery.tools)
            try routeAll()
        } catch {
            failure = error
        }
        handOver()
        do throws(ToolError) { try runAfter() } catch { failure = failure ?? error }
        for chain in [before, after] {
            if let error = chain?.finish() { failure = failure ?? error }
        }
        if let failure { throw failure }
        return destinations.totals
    }

    private mutating func routeAll() throws(ToolError) {
        while let pieces = try delivery.intake.next() {
            let start = ContinuousClock.now
            var events = 0
            for piece in pieces {
                switch piece {
                case .lines(let lease):
                    events += lease.block.ranges.count
                    if !delivery.isFedByQueue { runtime.activity.countTaken(lease.block.ranges.count) }
                    try take(lease)
                case .tooLong(let prefix, let size):
                    if !delivery.isFedByQueue { runtime.activity.countTaken(1) }
                    refuse(.tooLong(prefix: prefix, sizeBytes: size))
                case .barrier(let barrier): try reach(barrier)
                }
            }
            // If nothing more is ready, nothing is kept back; otherwise the outputs are woken less often.
            if leases.count >= Router.mostBlocks || !delivery.intake.hasMore { handOver() }
            try runAfter()
            if events > 0 { runtime.tracer.statistics.forwarded(events, in: .now - start) }
        }
    }

    private mutating func route(_ lease: BlockLease) {
        leases.append(lease)
        current = lease
        defer { current = nil }
        let start = spans.map { _ in ForwardSpans.Beginning() }
        defer { if let spans, let start { spans.forwarded(lease.block, since: start) } }
        let base = lease.block.base
        for range in lease.block.ranges {
            let start = base + range.lowerBound
            let line = UnsafeRawBufferPointer(start: start, count: range.count)
            let scanned = parser.scan(line, padded: true)
            guard scanned.isEnvelope else {
                refuse(line, scanned, scanned.fault, before: lease.end - range.upperBound)
                continue
            }
            // The lines of a block are followed by their line feeds, the last one's included.
            let bytes = range.count + 1
            let (slot, outputs) = destinations.find(type: scanned.type, version: scanned.version, bytes: bytes)
            for number in 0..<outputs { slices[destinations.output(number, of: slot)].add(start, bytes: bytes) }
            if outputs == 0 { refuse(line, scanned, Router.unknownType(scanned), before: lease.end - range.upperBound) }
        }
    }

    /// Waits until everything before the barrier is delivered.
    private mutating func reach(_ barrier: Barrier) throws(ToolError) {
        handOver()
        try runAfter()
        let isSettled = delivery.isSettled()
        let refused = delivery.deadLetters.takeUnclaimed()
        barrier.reach(isSettled ? refused : nil)
    }

    /// Routes the lines of a block, or those that the middlewares of all events make of them.
    private mutating func take(_ lease: BlockLease) throws(ToolError) {
        guard before != nil || after != nil || delivery.stamps else { return route(lease) }
        let events = wholeLines(of: lease)
        let incoming = events.map(\.line)
        var lines = incoming
        var failure: ToolError?
        if let before {
            let outcome = before.run(events)
            // The queue delivers its entries again, so none of them may be handled in part.
            if let failure = outcome.failure, delivery.isFedByQueue { throw failure }
            for (refused, origin) in outcome.refused { refuse(refused, origin: incoming[origin].bytes) }
            if delivery.isFedByQueue { noteChanges(outcome, of: incoming) }
            (lines, failure) = (outcome.lines, outcome.failure)
        }
        if !lines.isEmpty {
            if after != nil { routed += lines }
            route(lines, of: lease)
        }
        if let failure { throw failure }
    }

    /// Routes what the middlewares have left of the lines of a block: where they were read, if no line was changed.
    private mutating func route(_ lines: [Line], of lease: BlockLease) {
        guard lines.allSatisfy({ $0.block === lease.block }) else {
            var bytes: [UInt8] = []
            bytes.reserveCapacity(lines.reduce(0) { $0 + $1.range.count + 1 })
            for line in lines {
                line.withBytes { bytes.append(contentsOf: $0) }
                bytes.append(0x0A)
            }
            for case .lines(let lease) in delivery.intake.blocks(of: bytes) { route(lease) }
            return
        }
        route(lines.count == lease.block.ranges.count ? lease : delivery.intake.part(of: lease, lines.map(\.range)))
    }

    private func noteChanges(_ outcome: MiddlewareChain.Outcome, of lines: [Line]) {
        for (line, origin) in zip(outcome.lines, outcome.origins) {
            let given = lines[origin]
            guard line.block !== given.block || line.range != given.range else { continue }
            let (made, before) = (line.bytes, given.bytes)
            if made != before { delivery.deadLetters.note(made, madeOf: before) }
        }
    }

    /// Returns the lines of a block that are envelopes, or become envelopes by a new correlation id if that is wanted; the
    /// others are refused.
    private mutating func wholeLines(of lease: BlockLease) -> [ScannedEvent] {
        var lines: [ScannedEvent] = []
        lines.reserveCapacity(lease.block.ranges.count)
        for whole in lease.block.lines {
            let line = UnsafeRawBufferPointer(
                start: lease.block.base + whole.range.lowerBound, count: whole.range.count)
            let scanned = parser.scan(line, padded: true)
            if scanned.isEnvelope {
                lines.append(
                    ScannedEvent(line: whole, type: types.text(scanned.type), version: scanned.version))
            } else if delivery.stamps, scanned.fault?.code == .missingCorrelationID {
                if let event = stamped(line) { lines.append(event) }
            } else {
                refuse(line, scanned, scanned.fault, before: 0)
            }
        }
        return lines
    }

    /// Returns a line with a new correlation id; refuses it and returns nil if something else is wrong with it.
    private mutating func stamped(_ line: UnsafeRawBufferPointer) -> ScannedEvent? {
        let stamped = Line(EventID().stamped(on: line))
        return stamped.withBytes { bytes in
            let scanned = parser.scan(bytes, padded: true)
            guard scanned.isEnvelope else {
                refuse(bytes, scanned, scanned.fault, before: 0)
                return nil
            }
            return ScannedEvent(line: stamped, type: types.text(scanned.type), version: scanned.version)
        }
    }

    /// Runs the `after` middlewares of all events on what the outputs have been given.
    private mutating func runAfter() throws(ToolError) {
        guard let after, !routed.isEmpty else { return }
        handOver()
        let lines = routed
        routed = []
        let outcome = after.run(lines)
        for (refused, origin) in outcome.refused { refuse(refused, origin: lines[origin].bytes) }
        // There may be no further event for a long time.
        handOverDeadLetters()
        if let failure = outcome.failure { throw failure }
    }

    /// Gives the outputs the lines that were kept back for them.
    private mutating func handOver() {
        for index in slices.indices where slices[index].bytes > 0 {
            delivery.buffers[index].add(LineBatch(slices[index], in: leases))
            slices[index] = LineSlices()
        }
        leases = current.map { [$0] } ?? []
        handOverDeadLetters()
    }

    // MARK: Refused lines

    private static func unknownType(_ scanned: ScannedLine) -> MalformedInput {
        MalformedInput(
            .unknownType, "no route for \(String(decoding: scanned.type, as: UTF8.self)) version \(scanned.version)")
    }

    /// - Parameter rest: the number of bytes of the block that come after the line.
    private mutating func refuse(
        _ line: UnsafeRawBufferPointer, _ scanned: ScannedLine, _ fault: MalformedInput?, before rest: Int
    ) {
        guard let fault else { return }
        let correlation = EventID(String(decoding: scanned.correlationID, as: UTF8.self))
        refuse(
            RefusedLine(line: Array(line), sizeBytes: line.count, fault: fault, correlationID: correlation),
            before: rest)
    }

    /// - Parameter origin: the line that middlewares made the refused line of, if that may be another one.
    private mutating func refuse(_ refused: RefusedLine, origin: [UInt8]? = nil, before rest: Int = 0) {
        runtime.note(refused)
        guard delivery.deadLetterOutput != nil else { return delivery.deadLetters.keep(refused, origin: origin) }
        deadLetters += refused.deadLetter(tool: runtime.tool).line
        deadLetterCount += 1
        // A small line makes a much larger dead letter, so those of a whole block are not kept in memory.
        guard deadLetters.count >= Router.mostDeadLetterBytes else { return }
        delivery.unroutedBytes.store(rest, ordering: .relaxed)
        handOver()
        delivery.unroutedBytes.store(0, ordering: .relaxed)
    }

    private mutating func handOverDeadLetters() {
        guard let index = delivery.deadLetterOutput, !deadLetters.isEmpty else { return }
        let batch = LineBatch(room: deadLetters.count)
        deadLetters.withUnsafeBytes { batch.append(copying: $0, events: deadLetterCount) }
        delivery.outputs[index].buffer.put(batch)
        deadLetters.removeAll(keepingCapacity: true)
        deadLetterCount = 0
    }
}
