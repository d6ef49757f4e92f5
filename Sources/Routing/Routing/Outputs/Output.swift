import JSON
import System
import Logging
import Spool
import Stage

/// One target of routes: its outbox, and the thread that empties it.
final class Output: Sendable {
    let name: String
    let outbox: Outbox
    private let sink: any Sink
    private let drops: DropCount
    /// Nobody waits for it for long.
    let isDropping: Bool

    init(
        _ plan: OutputPlan, spool: SpoolPlan, collects: Bool, runtime: Runtime, bridge: TaskBridge,
        onDamage: @escaping @Sendable (Damage) -> Void
    ) throws(ToolError) {
        let log = runtime.log
        name = plan.target.name.printable
        drops = DropCount(name: name, log: log)
        isDropping = plan.overflow == .drop
        outbox = Outbox(drops: isDropping ? drops : nil)
        guard plan.overflow != .spool else {
            sink = try SpoolSink(
                plan.target, plan: spool, retry: plan.retry, drops: drops, runtime: runtime, bridge: bridge,
                onDamage: onDamage)
            return
        }
        sink =
            switch plan.target {
            case .standardOutput: try LineSink(endpoint: "-", log: log)
            case .path(let path): try LineSink(endpoint: path, log: log)
            case .command(let command): try CommandSink(command: command, retry: plan.retry, log: log)
            case .queue(let queue):
                collects
                    ? QueueCollector(queue) : QueueWriter(try QueueTarget(queue, runtime: runtime, bridge: bridge))
            }
    }

    /// Writes what comes into the outbox until it is closed; blocks.
    ///
    /// - Throws: what went wrong, and how many events had been accepted until then.
    func run() throws(ToolError) {
        defer { drops.finish() }
        do throws(ToolError) {
            while let parcel = outbox.next() { try sink.write(parcel) }
            try sink.finish()
        } catch {
            outbox.breakOff()
            throw ToolError(error.exitStatus, "\(error.message); it had accepted \(sink.acceptedEvents) events")
        }
    }

    /// What is accepted outlives the process.
    var keepsUndelivered: Bool { sink is SpoolSink }

    /// A queue whose events go out together with the acknowledgement.
    var collector: QueueCollector? { sink as? QueueCollector }

    /// What would be lost if the process ended now.
    var undeliveredBytes: Int { outbox.totalBytes - sink.acceptedBytes + sink.unreadBytes }

    /// Tells, instead of the output, how many events were dropped.
    func tellDrops() { drops.finish() }

    func giveUp() { sink.giveUp() }
}
