import Glibc
import JSON
import Logging
package import Spool
import Stage
import Synchronization
import System

/// Writes lines into a spool, which accepts them once they are on disk, and delivers them to the target on a thread of its own.
final class SpooledWriter: OutputWriter, @unchecked Sendable {
    private struct State {
        var isGivenUp = false
        var isEnded = false
        var failure: ToolError?
    }

    private let name: String
    private let spool: Spool
    private let writer: SpoolWriter
    private let receiver: any SpoolReceiver
    private let drops: DropCount
    private let log: Logger
    private let bytes = Atomic(0)
    private let events = Atomic(0)
    private let state = Monitor(State())

    /// Opens the spool and its target, and begins to deliver the lines of earlier runs.
    init(
        _ target: Target, plan: SpoolPlan, retry: RetryPolicy, drops: DropCount, runtime: Runtime, bridge: AsyncBridge,
        onDamage: @escaping @Sendable (Damage) -> Void
    ) throws(ToolError) {
        let (name, log) = (target.name.printable, runtime.log)
        (self.name, self.log, self.drops) = (name, log, drops)
        spool = try plan.open(target, name: name, log: log)
        writer = SpoolWriter(spool)
        receiver = try SpooledWriter.receiver(target, retry: retry, runtime: runtime, bridge: bridge)
        let pump = SpoolPump(
            name: name, spool: spool, receiver: receiver, shutdown: runtime.shutdown, log: log, onDamage: onDamage,
            isGivenUp: { [state] in state.read { $0.isGivenUp } })
        let box = PumpBox(pump)
        BlockingThread.start { [state, shutdown = runtime.shutdown] in
            var failure: ToolError?
            do throws(ToolError) { try box.pump.run() } catch { failure = error }
            state.update { [failure] state in
                state.failure = failure
                state.isEnded = true
            }
            // Without input, no write would report the failure.
            if failure != nil { shutdown.request() }
        }
    }

    private static func receiver(
        _ target: Target, retry: RetryPolicy, runtime: Runtime, bridge: AsyncBridge
    ) throws(ToolError) -> any SpoolReceiver {
        switch target {
        case .standardOutput: return try LineReceiver(endpoint: "-")
        case .command(let command):
            return try CommandReceiver(CommandProcess(command: command, retry: retry, log: runtime.log))
        case .queue(let queue): return QueueReceiver(try BlockingQueueSink(queue, runtime: runtime, bridge: bridge))
        case .path(let path):
            try LineWriter.requireFIFO(path)
            return LineOutput.isNamedFIFO(path) ? try FIFOReceiver(path: path) : try LineReceiver(endpoint: path)
        }
    }

    func write(_ batch: LineBatch) throws(ToolError) {
        if let failure = state.read({ $0.failure }) { throw failure }
        var dropped = 0
        do throws(SpoolError) {
            let pieces = batch.slices.pieces
            let result = pieces.withUnsafeBufferPointer { pieces in
                Result { () throws(SpoolError) in try writer.append(pieces) }
            }
            dropped = try result.get()
        } catch {
            throw error.stageError
        }
        drops.add(dropped)
        bytes.add(batch.bytes, ordering: .relaxed)
        events.add(batch.slices.events - dropped, ordering: .relaxed)
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
        receiver.giveUp()
    }

    var acceptedBytes: Int { bytes.load(ordering: .relaxed) }
    var acceptedEvents: Int { events.load(ordering: .relaxed) }
    /// The value is 0 because accepted lines are on disk.
    var unreadBytes: Int { 0 }
}

/// Passes the pump to its thread, although the pump is not `Sendable`.
private final class PumpBox: @unchecked Sendable {
    let pump: SpoolPump
    init(_ pump: SpoolPump) { self.pump = pump }
}

/// Moves lines from a spool to its receiver, on a thread of its own.
struct SpoolPump {
    private static let patience = Duration.seconds(5)
    /// The time without progress, after a signal, after which the lines stay for the next process.
    private static let patienceAtEnd = Duration.milliseconds(500)

    let name: String
    let spool: Spool
    let receiver: any SpoolReceiver
    let shutdown: Shutdown
    let log: Logger
    let onDamage: @Sendable (Damage) -> Void
    let isGivenUp: @Sendable () -> Bool

    /// Returns when everything is delivered, or the remaining lines may stay in the spool.
    func run() throws(ToolError) {
        let reader = SpoolReader(spool)
        do throws(SpoolError) {
            try receiver.resume(reader)
        } catch {
            throw error.stageError
        }
        var stalled = Stall()
        while !isGivenUp(), !(shutdown.isRequested && stalled.time > SpoolPump.patienceAtEnd) {
            switch try next(reader) {
            case .lines(let stretch):
                if try receiver.take(stretch, reader) { stalled = Stall() } else { warn(&stalled) }
            case .damage(let damage): onDamage(damage)
            case .nothing:
                receiver.settle(reader)
                stalled = Stall()
            case .end:
                if try receiver.finish(reader) { return reader.clear() }
                usleep(2000)
                warn(&stalled)
            }
        }
        receiver.settle(reader)
    }

    private func next(_ reader: SpoolReader) throws(ToolError) -> SpoolReader.Next {
        do throws(SpoolError) { return try reader.next(atMost: .milliseconds(100)) } catch { throw error.stageError }
    }

    private func warn(_ stall: inout Stall) {
        guard !stall.isLogged, stall.time > SpoolPump.patience else { return }
        stall.isLogged = true
        log.warning("no reader takes the contents of \(name); \(spool.waitingBytes) bytes wait in \(spool.folder)")
    }

    private struct Stall {
        private let since = ContinuousClock.now
        var isLogged = false
        var time: Duration { .now - since }
    }
}

/// Accepts the lines of a spool. All members but `giveUp` are called by the pump's thread.
protocol SpoolReceiver: AnyObject {
    /// Moves the reader back to the lines that were lost when the previous process ended.
    func resume(_ reader: SpoolReader) throws(SpoolError)
    /// Takes as much of a stretch as it can without a long wait, and advances the reader.
    ///
    /// - Returns: whether it took something.
    func take(_ stretch: Stretch, _ reader: SpoolReader) throws(ToolError) -> Bool
    /// Updates what the reader records; called from time to time while there is nothing to take.
    func settle(_ reader: SpoolReader)
    /// Called once everything has been taken.
    ///
    /// - Returns: whether nothing can be lost any more; otherwise it is called again.
    func finish(_ reader: SpoolReader) throws(ToolError) -> Bool
    /// Ends a wait. May be called by any thread.
    func giveUp()
}

extension SpoolReceiver {
    func resume(_ reader: SpoolReader) {}
    func settle(_ reader: SpoolReader) {}
    func giveUp() {}
}

extension SpoolError {
    var stageError: ToolError { ToolError(exitStatus, message) }
}

/// Holds the folder and the limits of the spools.
package struct SpoolPlan: Sendable {
    /// The folder that contains a folder for each spool.
    package var folder: String
    package var limits: SpoolLimits

    package init(folder: String, limits: SpoolLimits) { (self.folder, self.limits) = (folder, limits) }

    /// Opens the spool of a target.
    func open(_ target: Target, name: String, log: Logger) throws(ToolError) -> Spool {
        do { try makeDirectory(folder, mode: 0o700) } catch let error as ToolError { throw error } catch {
            throw ToolError(.localIO, "unable to make the folder \(folder)")
        }
        let parser = JSONParser()
        do throws(SpoolError) {
            return try Spool(
                folder: "\(folder)/\(SpoolPlan.folderName(target))", limits: limits,
                isEvent: { parser.scan($0).isEnvelope },
                notify: { notice in
                    switch notice {
                    case .found(let bytes): log.info("\(bytes) bytes of an earlier run are in the spool of \(name)")
                    case .full(let reason): log.warning("\(reason); \(limits.whenFull.words)")
                    case .damaged(let reason): log.error("\(reason)")
                    }
                })
        } catch {
            throw error.stageError
        }
    }

    /// Returns the target as a file name, with `%` and two digits for each byte that may not be in one. Long names are cut, and end with a
    /// checksum.
    static func folderName(_ target: Target) -> String {
        let text = target.endpoint
        var name = ""
        for byte in text.utf8 {
            let scalar = Unicode.Scalar(byte)
            let isPlain =
                scalar.isASCII
                && (scalar.properties.isAlphabetic || (48...57).contains(byte) || "._-".utf8.contains(byte))
            name +=
                isPlain
                ? String(Character(scalar)) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
        }
        guard name.utf8.count > 200 || name.hasPrefix(".") else { return name }
        // FNV-1a.
        let sum = text.utf8.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
        return "\(name.prefix(160).drop { $0 == "." })~\(String(sum, radix: 16))"
    }
}

extension SpoolLimits.WhenFull {
    fileprivate var words: String {
        switch self {
        case .block: "the input waits until its reader makes room"
        case .drop: "events are dropped until its reader makes room"
        }
    }
}
