import Envelope
import JSON
import Stage
import Synchronization
import System

/// What one thread does with all events: lines in, each into the outboxes of its destinations, what cannot be routed to the dead
/// letters.
///
/// Nothing is allocated for an event here, and nothing copied: a line is scanned where it was read, its type leads to a
/// destination that is kept, and its place is noted for each of that destination's outputs.
struct Router: ~Copyable {
    private let runtime: Runtime
    private let delivery: Delivery
    private let parser = JSONParser()
    private var destinations: Destinations
    /// Blocks whose lines the outputs have not been given yet.
    private static let mostBlocks = 2

    /// What the outputs have not been given yet, and the blocks that it is in.
    private var places: [Places]
    private var leases: [BlockLease] = []
    /// The block that is being routed.
    private var current: BlockLease?
    private var deadLetters: [UInt8] = []
    private var deadLetterCount = 0
    private var before: MiddlewareChain?
    private var after: MiddlewareChain?
    /// What the middlewares behind all routes have not seen yet.
    private var routed: [[UInt8]] = []
    /// Refused lines for which there is no dead-letter output, when somebody wants to know.
    private var unwanted: [RefusedLine] = []

    init(runtime: Runtime, delivery: Delivery) {
        self.runtime = runtime
        self.delivery = delivery
        destinations = Destinations(routes: delivery.routes, outputOfRoute: delivery.outboxOfRoute)
        places = delivery.outboxes.map { _ in Places() }
    }

    /// Routes until the input ends.
    mutating func run() throws(ToolError) -> [RouteCount] {
        before = try delivery.middlewares.before.chain(delivery.tools)
        after = try delivery.middlewares.after.chain(delivery.tools)
        do throws(ToolError) {
            try routeAll()
            handOver()
            try runAfter()
        } catch {
            handOver()
            // Of two failures the first is told.
            try? before?.finish()
            try? after?.finish()
            throw error
        }
        try before?.finish()
        try after?.finish()
        return destinations.totals
    }

    private mutating func routeAll() throws(ToolError) {
        while let pieces = try delivery.intake.next() {
            for piece in pieces {
                switch piece {
                case .lines(let lease): try take(lease)
                case .tooLong(let prefix, let size): refuse(.tooLong(prefix: prefix, sizeBytes: size))
                case .barrier(let barrier): reach(barrier)
                }
            }
            // What may be the last for a while goes on; while there is more, outputs are woken less often.
            if leases.count >= Router.mostBlocks || !delivery.intake.hasMore { handOver() }
            if after != nil { try runAfter() }
        }
    }

    private mutating func route(_ lease: BlockLease) {
        leases.append(lease)
        current = lease
        defer { current = nil }
        let base = lease.block.base
        for range in lease.block.ranges {
            let start = base + range.lowerBound
            let line = UnsafeRawBufferPointer(start: start, count: range.count)
            let scanned = parser.scan(line, padded: true)
            guard scanned.isEnvelope else {
                refuse(line, scanned, scanned.fault, before: lease.end - range.upperBound)
                continue
            }
            // A block's lines are followed by their line feeds, the last one's included.
            let bytes = range.count + 1
            let (slot, outputs) = destinations.find(type: scanned.type, version: scanned.version, bytes: bytes)
            for number in 0..<outputs { places[destinations.output(number, of: slot)].add(start, bytes: bytes) }
            if outputs == 0 { refuse(line, scanned, Router.unknownType(scanned), before: lease.end - range.upperBound) }
        }
    }

    /// Waits until everything is delivered.
    private mutating func reach(_ barrier: Barrier) {
        handOver()
        barrier.reach(delivery.isSettled() ? unwanted : nil)
        unwanted = []
    }

    /// Routes a block, or what the middlewares of all events make of it.
    private mutating func take(_ lease: BlockLease) throws(ToolError) {
        guard before != nil || after != nil else { return route(lease) }
        var lines = wholeLines(of: lease)
        var refusals: [RefusedLine] = []
        if let before { lines = try before.run(lines) { refusals.append($0) } }
        for refused in refusals { refuse(refused) }
        guard !lines.isEmpty else { return }
        if after != nil { routed += lines }
        for case .lines(let lease) in delivery.intake.blocks(of: Array(lines.joined(separator: [0x0A])) + [0x0A]) {
            route(lease)
        }
    }

    /// The lines of a block that are envelopes; the others are refused.
    private mutating func wholeLines(of lease: BlockLease) -> [[UInt8]] {
        var lines: [[UInt8]] = []
        for range in lease.block.ranges {
            let line = UnsafeRawBufferPointer(start: lease.block.base + range.lowerBound, count: range.count)
            let scanned = parser.scan(line, padded: true)
            if scanned.isEnvelope { lines.append(Array(line)) } else { refuse(line, scanned, scanned.fault, before: 0) }
        }
        return lines
    }

    /// Shows the middlewares behind all routes what the outputs have been given.
    private mutating func runAfter() throws(ToolError) {
        guard let after, !routed.isEmpty else { return }
        handOver()
        var refusals: [RefusedLine] = []
        _ = try after.run(routed) { refusals.append($0) }
        routed = []
        for refused in refusals { refuse(refused) }
    }

    /// Gives the outputs what there is for them.
    private mutating func handOver() {
        for index in places.indices where places[index].bytes > 0 {
            delivery.outboxes[index].add(Parcel(places[index], in: leases))
            places[index] = Places()
        }
        leases = current.map { [$0] } ?? []
        handOverDeadLetters()
    }
}

extension Router {
    private static func unknownType(_ scanned: ScannedLine) -> MalformedInput {
        MalformedInput(
            .unknownType, "no route for \(String(decoding: scanned.type, as: UTF8.self)) version \(scanned.version)")
    }

    /// - Parameter rest: bytes of the block that come after the line.
    private mutating func refuse(
        _ line: UnsafeRawBufferPointer, _ scanned: ScannedLine, _ fault: MalformedInput?, before rest: Int
    ) {
        guard let fault else { return }
        let correlation = EventID(String(decoding: scanned.correlationID, as: UTF8.self))
        refuse(
            RefusedLine(line: Array(line), sizeBytes: line.count, fault: fault, correlationID: correlation),
            before: rest)
    }

    private mutating func refuse(_ refused: RefusedLine, before rest: Int = 0) {
        runtime.note(refused)
        guard delivery.deadLetterOutput != nil else {
            if delivery.isFedByQueue { unwanted.append(refused) }
            return
        }
        deadLetters += refused.deadLetter(tool: runtime.tool).line
        deadLetterCount += 1
        // A small line makes a much larger dead letter: a block's worth of them is not kept in memory.
        guard deadLetters.count >= 256 << 10 else { return }
        delivery.unroutedBytes.store(rest, ordering: .relaxed)
        handOver()
        delivery.unroutedBytes.store(0, ordering: .relaxed)
    }

    private mutating func handOverDeadLetters() {
        guard let index = delivery.deadLetterOutput, !deadLetters.isEmpty else { return }
        let parcel = Parcel(room: deadLetters.count)
        deadLetters.withUnsafeBytes { parcel.append(copying: $0, events: deadLetterCount) }
        delivery.outputs[index].outbox.put(parcel)
        deadLetters.removeAll(keepingCapacity: true)
        deadLetterCount = 0
    }
}
