import JSON
import Logging
import Spool
import Stage
import System

/// Accepts the lines of one output. `write` and `finish` are called by the output's thread; the other members may be used by any
/// thread.
///
/// An `Output` is one target with its buffer and its thread, an `OutputWriter` is the part that does the writing. A `SpoolReceiver`
/// does the same for lines that come from a spool.
protocol OutputWriter: Sendable {
    /// Returns when the writer has accepted all the lines.
    func write(_ batch: LineBatch) throws(ToolError)
    /// Returns when nothing of what was accepted can be lost any more.
    func finish() throws(ToolError)
    /// Ends the wait of `finish`.
    func giveUp()

    var acceptedBytes: Int { get }
    var acceptedEvents: Int { get }
    /// The accepted bytes that are still in the kernel, and are lost if the output ends now.
    var unreadBytes: Int { get }
}

/// Writes the events for one target, with a buffer and a thread of its own.
final class Output: Sendable {
    let name: String
    let buffer: OutputBuffer
    private let writer: any OutputWriter
    private let drops: DropCount
    /// Counts the events; nil if the writer publishes to a queue, which counts them itself.
    private let activity: StageActivity?
    /// Is true if the output may drop events, so that its reader is not waited for long at the end.
    let isDropping: Bool

    /// - Parameters:
    ///   - collects: whether lines for a queue are kept until the input queue's entries are acknowledged.
    ///   - onDamage: called with each damaged part of the output's spool.
    init(
        _ plan: OutputPlan, spool: SpoolPlan, collects: Bool, _ tools: MiddlewareTools,
        onDamage: @escaping @Sendable (Damage) -> Void
    ) throws(ToolError) {
        let (runtime, bridge, log) = (tools.runtime, tools.bridge, tools.runtime.log)
        name = plan.target.name.printable
        drops = DropCount(name: name, log: log, activity: runtime.activity)
        activity = if case .queue = plan.target { nil } else { runtime.activity }
        isDropping = plan.overflow == .drop
        buffer = OutputBuffer(drops: isDropping ? drops : nil)
        guard plan.overflow != .spool else {
            writer = try SpooledWriter(
                plan.target, plan: spool, retry: plan.retry, drops: drops, runtime: runtime, bridge: bridge,
                onDamage: onDamage)
            return
        }
        writer =
            switch plan.target {
            case .standardOutput: try LineWriter(endpoint: "-", log: log)
            case .path(let path): try LineWriter(endpoint: path, log: log)
            case .command(let command): try CommandWriter(command: command, retry: plan.retry, log: log)
            case .queue(let queue):
                collects
                    ? QueueCollector(queue)
                    : QueueWriter(try BlockingQueueSink(queue, runtime: runtime, bridge: bridge))
            }
    }

    /// Writes the lines of the buffer until it is closed; blocks.
    ///
    /// - Throws: the failure, and the number of events that had been accepted before it.
    func run() throws(ToolError) {
        defer { drops.finish() }
        do throws(ToolError) {
            while let batch = buffer.next() {
                try writer.write(batch)
                activity?.countWritten(batch.slices.events)
            }
            try writer.finish()
        } catch {
            buffer.breakOff()
            throw error.adding("; it had accepted \(writer.acceptedEvents) events")
        }
    }

    /// Is true if accepted events outlive the process.
    var keepsUndelivered: Bool { writer is SpooledWriter }

    /// The collector of a queue whose events are published together with the acknowledgement.
    var collector: QueueCollector? { writer as? QueueCollector }

    /// The number of bytes that would be lost if the process ended now.
    var undeliveredBytes: Int { buffer.totalBytes - writer.acceptedBytes + writer.unreadBytes }

    /// Logs the number of dropped events in place of the output's thread.
    func tellDrops() { drops.finish() }

    func giveUp() { writer.giveUp() }
}
