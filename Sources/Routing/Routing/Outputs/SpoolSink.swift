import JSON
import System
import Logging
import Spool
import Stage
import Synchronization

/// A target behind a spool: what is accepted is on disk, and a thread of its own delivers it.
final class SpoolSink: Sink, @unchecked Sendable {
    private struct State {
        var isGivenUp = false
        var isEnded = false
        var failure: ToolError?
    }

    private let name: String
    private let spool: Spool
    private let writer: SpoolWriter
    private let outlet: any SpoolOutlet
    private let drops: DropCount
    private let log: Logger
    private let bytes = Atomic(0)
    private let events = Atomic(0)
    private let state = Monitor(State())

    /// Opens the spool and its outlet, and begins to deliver what is there.
    init(
        _ target: Target, plan: SpoolPlan, retry: RetryPolicy, drops: DropCount, runtime: Runtime, bridge: TaskBridge,
        onDamage: @escaping @Sendable (Damage) -> Void
    ) throws(ToolError) {
        let (name, log) = (target.name.printable, runtime.log)
        (self.name, self.log, self.drops) = (name, log, drops)
        spool = try plan.open(target, name: name, log: log)
        writer = SpoolWriter(spool)
        outlet = try SpoolSink.outlet(target, retry: retry, runtime: runtime, bridge: bridge)
        let pump = SpoolPump(
            name: name, spool: spool, outlet: outlet, shutdown: runtime.shutdown, log: log, onDamage: onDamage,
            isGivenUp: { [state] in state.read { $0.isGivenUp } })
        let box = PumpBox(pump)
        BlockingThread.start { [state, shutdown = runtime.shutdown] in
            var failure: ToolError?
            do throws(ToolError) { try box.pump.run() } catch { failure = error }
            state.update { [failure] state in
                state.failure = failure
                state.isEnded = true
            }
            // Somebody should know while there is no input.
            if failure != nil { shutdown.request() }
        }
    }

    private static func outlet(
        _ target: Target, retry: RetryPolicy, runtime: Runtime, bridge: TaskBridge
    ) throws(ToolError) -> any SpoolOutlet {
        switch target {
        case .standardOutput: return try LineOutlet(endpoint: "-")
        case .command(let command):
            return try CommandOutlet(CommandProcess(command: command, retry: retry, log: runtime.log))
        case .queue(let queue): return QueueOutlet(try QueueTarget(queue, runtime: runtime, bridge: bridge))
        case .path(let path):
            try LineSink.requireFIFO(path)
            return LineOutput.isNamedFIFO(path) ? try FIFOOutlet(path: path) : try LineOutlet(endpoint: path)
        }
    }

    func write(_ parcel: Parcel) throws(ToolError) {
        if let failure = state.read({ $0.failure }) { throw failure }
        var dropped = 0
        do throws(SpoolError) {
            let pieces = parcel.places.pieces
            let result = pieces.withUnsafeBufferPointer { pieces in
                Result { () throws(SpoolError) in try writer.append(pieces) }
            }
            dropped = try result.get()
        } catch {
            throw error.stageError
        }
        drops.add(dropped)
        bytes.add(parcel.bytes, ordering: .relaxed)
        events.add(parcel.places.events - dropped, ordering: .relaxed)
    }

    func finish() throws(ToolError) {
        spool.close()
        let failure = state.wait { state -> ToolError?? in
            state.isEnded || state.isGivenUp ? .some(state.failure) : nil
        }
        let waiting = spool.waitingBytes
        if waiting > 0 {
            log.notice("\(waiting) bytes stay in the spool \(spool.folder); the next ev-route delivers them to \(name)")
        }
        if let failure = failure ?? nil { throw failure }
    }

    func giveUp() {
        state.update { $0.isGivenUp = true }
        spool.abandon()
        outlet.giveUp()
    }

    var acceptedBytes: Int { bytes.load(ordering: .relaxed) }
    var acceptedEvents: Int { events.load(ordering: .relaxed) }
    /// What is accepted is on disk.
    var unreadBytes: Int { 0 }
}

/// On its way to its thread.
private final class PumpBox: @unchecked Sendable {
    let pump: SpoolPump
    init(_ pump: SpoolPump) { self.pump = pump }
}
