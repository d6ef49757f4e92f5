import Queue
import Spool
import Stage
import Glibc
import Synchronization
import System

/// Publishes lines to a queue for a thread that waits, also while Redis is unreachable or the queue is full.
struct BlockingQueueSink: Sendable {
    private let output: QueueSink
    private let bridge: AsyncBridge

    init(_ queue: QueueName, runtime: Runtime, bridge: AsyncBridge) throws(ToolError) {
        self.bridge = bridge
        output = try bridge.waitOrFail {
            try await QueueSink([queue], maxLength: QueueOutputs.defaultMaxLength, runtime: runtime)
        }
    }

    func write(_ lines: [UInt8]) throws(ToolError) {
        try bridge.waitOrFail { [output] in try await output.publish(QueueLine.lines(of: lines)) }
    }
}

/// Publishes events to a queue.
final class QueueWriter: OutputWriter {
    private let sink: BlockingQueueSink
    private let bytes = Atomic(0)
    private let events = Atomic(0)

    init(_ sink: BlockingQueueSink) { self.sink = sink }

    func write(_ batch: LineBatch) throws(ToolError) {
        var lines: [UInt8] = []
        lines.reserveCapacity(batch.bytes)
        for piece in batch.slices.pieces {
            lines.append(contentsOf: UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len))
        }
        try sink.write(lines)
        bytes.add(batch.bytes, ordering: .relaxed)
        events.add(batch.slices.events, ordering: .relaxed)
    }

    func finish() {}
    func giveUp() {}

    var acceptedBytes: Int { bytes.load(ordering: .relaxed) }
    var acceptedEvents: Int { events.load(ordering: .relaxed) }
    var unreadBytes: Int { 0 }
}

/// Keeps the events for a queue if the input is a queue too: they are published in the same step that acknowledges the
/// entries that they came from.
final class QueueCollector: OutputWriter {
    let queue: QueueName
    private let lines = Mutex<[[UInt8]]>([])
    private let bytes = Atomic(0)
    private let events = Atomic(0)

    init(_ queue: QueueName) { self.queue = queue }

    func write(_ batch: LineBatch) {
        let new = batch.lines
        lines.withLock { $0 += new }
        bytes.add(batch.bytes, ordering: .relaxed)
        events.add(batch.slices.events, ordering: .relaxed)
    }

    /// Returns the lines since the last call.
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

/// Publishes lines of a spool to a queue; they wait in the spool while Redis is unreachable. If the process is killed after Redis has
/// answered and before the position is recorded, the next process publishes those lines again.
final class QueueReceiver: SpoolReceiver {
    private static let mostBytes = 256 << 10

    private let sink: BlockingQueueSink

    init(_ sink: BlockingQueueSink) { self.sink = sink }

    func take(_ stretch: Stretch, _ reader: SpoolReader) throws(ToolError) -> Bool {
        let count = stretch.ends.last { $0 <= QueueReceiver.mostBytes } ?? stretch.ends.first ?? 0
        try sink.write(Array(stretch.bytes.prefix(count)))
        reader.skip(count)
        reader.forget(keeping: 0)
        return true
    }

    func finish(_ reader: SpoolReader) -> Bool { true }
}
