import Queue
import Spool
import Stage
import Glibc
import Synchronization
import System

/// A queue: what it has accepted is safe. While Redis is away, or the queue is full, it is waited for.
struct QueueTarget: Sendable {
    private let output: QueueSink
    private let bridge: TaskBridge

    init(_ queue: QueueName, runtime: Runtime, bridge: TaskBridge) throws(ToolError) {
        self.bridge = bridge
        output = try bridge.stageWait {
            try await QueueSink([queue], maxLength: QueueOutputs.defaultMaxLength, runtime: runtime)
        }
    }

    func write(_ lines: [UInt8]) throws(ToolError) {
        try bridge.stageWait { [output] in try await output.publish(QueueLine.lines(of: lines)) }
    }
}

/// Events straight into a queue.
final class QueueWriter: Sink {
    private let target: QueueTarget
    private let bytes = Atomic(0)
    private let events = Atomic(0)

    init(_ target: QueueTarget) { self.target = target }

    func write(_ parcel: Parcel) throws(ToolError) {
        var lines: [UInt8] = []
        lines.reserveCapacity(parcel.bytes)
        for piece in parcel.places.pieces {
            lines.append(contentsOf: UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len))
        }
        try target.write(lines)
        bytes.add(parcel.bytes, ordering: .relaxed)
        events.add(parcel.places.events, ordering: .relaxed)
    }

    func finish() {}
    func giveUp() {}

    var acceptedBytes: Int { bytes.load(ordering: .relaxed) }
    var acceptedEvents: Int { events.load(ordering: .relaxed) }
    var unreadBytes: Int { 0 }
}

/// Events for a queue, when the input is a queue too: they are kept until those that they came of are acknowledged, in one step.
final class QueueCollector: Sink {
    let queue: QueueName
    private let lines = Mutex<[[UInt8]]>([])
    private let bytes = Atomic(0)
    private let events = Atomic(0)

    init(_ queue: QueueName) { self.queue = queue }

    func write(_ parcel: Parcel) {
        let new = parcel.lines
        lines.withLock { $0 += new }
        bytes.add(parcel.bytes, ordering: .relaxed)
        events.add(parcel.places.events, ordering: .relaxed)
    }

    /// What has come since the last call.
    func take() -> [[UInt8]] {
        lines.withLock { lines in
            defer { lines = [] }
            return lines
        }
    }

    func finish() {}
    func giveUp() {}

    var acceptedBytes: Int { bytes.load(ordering: .relaxed) }
    var acceptedEvents: Int { events.load(ordering: .relaxed) }
    var unreadBytes: Int { 0 }
}

/// Events into a queue, out of a spool: they wait there while Redis is away. Whoever kills the process between the queue's answer and
/// its note makes the next one publish those lines again.
final class QueueOutlet: SpoolOutlet {
    private static let mostBytes = 256 << 10

    private let target: QueueTarget

    init(_ target: QueueTarget) { self.target = target }

    func take(_ stretch: Stretch, _ reader: SpoolReader) throws(ToolError) -> Bool {
        let count = stretch.ends.last { $0 <= QueueOutlet.mostBytes } ?? stretch.ends.first ?? 0
        try target.write(Array(stretch.bytes.prefix(count)))
        reader.skip(count)
        reader.forget(keeping: 0)
        return true
    }

    func finish(_ reader: SpoolReader) -> Bool { true }
}
