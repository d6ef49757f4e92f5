import Envelope
import Stage

/// What the reader's thread does: lines in, each into the outboxes of its destinations, what cannot be routed to the dead
/// letters.
///
/// Nothing is allocated for an event here, and nothing copied: a line is scanned where it was read, its type leads to a
/// destination that is kept, and its place is noted in the parcels of that destination's outputs.
struct Router: ~Copyable {
    /// Outputs that keep up are awaited for so long, which keeps memory small.
    private static let usualPatience = Duration.milliseconds(50)

    private let runtime: Runtime
    private let delivery: Delivery
    private let parser = JSONParser()
    private var destinations: Destinations
    /// Of the current block, by output.
    private var parcels: [Parcel?]
    private var deadLetters: [UInt8] = []
    private var deadLetterCount = 0
    private var patience = usualPatience

    init(runtime: Runtime, delivery: Delivery) {
        self.runtime = runtime
        self.delivery = delivery
        destinations = Destinations(routes: delivery.routes, outputOfRoute: delivery.outputOfRoute)
        parcels = delivery.outputs.map { _ in nil }
    }

    /// Routes until the input ends or the shutdown is requested.
    mutating func run(_ reader: LineReader) throws(StageError) -> [RouteCount] {
        while let outputs = try next(reader) {
            for output in outputs {
                switch output {
                case .lines(let block): route(block)
                case .tooLong(let prefix, let size): refuse(.tooLong(prefix: prefix, sizeBytes: size))
                }
                handOver()
            }
        }
        return destinations.totals
    }

    /// Waits for room in memory, then for lines.
    private mutating func next(_ reader: LineReader) throws(StageError) -> [LineSplitter.Output]? {
        if !delivery.budget.hasRoom { makeRoom() }
        return try reader.next()
    }

    private mutating func makeRoom() {
        if delivery.budget.waitForRoom(atMost: patience) {
            patience = Router.usualPatience
            return
        }
        // Some output is slow: what waits for it is put where it keeps nobody else waiting. For as long as it stays slow the
        // others do not wait for it again; when there is no more place for its events, everybody does.
        var pause = Duration.milliseconds(1)
        repeat {
            for output in delivery.outputs { output.outbox.compact() }
            pause = min(pause * 2, .milliseconds(100))
        } while !delivery.budget.waitForRoom(atMost: pause)
        patience = .milliseconds(1)
    }

    private mutating func route(_ block: LineBlock) {
        let lease = BlockLease(block, delivery.budget)
        for range in block.ranges {
            let start = block.base + range.lowerBound
            let line = UnsafeRawBufferPointer(start: start, count: range.count)
            let scanned = parser.scan(line, padded: true)
            guard scanned.isEnvelope else {
                refuse(line, scanned, scanned.fault, before: lease.end - range.upperBound)
                continue
            }
            let destination = destinations.find(type: scanned.type, version: scanned.version)
            // A block's lines are followed by their line feeds, the last one's included.
            let count = range.count + 1
            destination.count(bytes: count)
            for index in destination.outputs { append(start, count, lease, to: index) }
            if destination.outputs.isEmpty {
                refuse(line, scanned, Router.unknownType(destination), before: lease.end - range.upperBound)
            }
        }
    }

    private mutating func append(_ line: UnsafeMutableRawPointer, _ count: Int, _ lease: BlockLease, to index: Int) {
        if let parcel = parcels[index] { return parcel.append(line, count: count) }
        let parcel = Parcel(lease)
        parcel.append(line, count: count)
        parcels[index] = parcel
    }

    /// Gives the outputs what there is for them.
    private mutating func handOver() {
        for index in parcels.indices {
            if let parcel = parcels[index] { delivery.outputs[index].outbox.add(parcel) }
            parcels[index] = nil
        }
        handOverDeadLetters()
    }
}

extension Router {
    private static func unknownType(_ destination: Destination) -> MalformedInput {
        MalformedInput(
            .unknownType,
            "no route for \(String(decoding: destination.type, as: UTF8.self)) version \(destination.version)")
    }

    /// - Parameter rest: bytes of the block that come after the line.
    private mutating func refuse(
        _ line: UnsafeRawBufferPointer, _ scanned: ScannedLine, _ fault: MalformedInput?, before rest: Int
    ) {
        guard let fault else { return }
        let correlation = EventID(String(decoding: scanned.correlationID, as: UTF8.self))
        refuse(
            Refused(line: Array(line), sizeBytes: line.count, fault: fault, correlationID: correlation), before: rest)
    }

    private mutating func refuse(_ refused: Refused, before rest: Int = 0) {
        runtime.note(refused)
        guard delivery.deadLetterOutput != nil else { return }
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
