import Glibc
import Logging
import Spool
import Stage
import System

/// Takes events out of a spool and into its outlet, on a thread of its own.
struct SpoolPump {
    private static let patience = Duration.seconds(5)
    /// After a signal, a reader that takes nothing for so long gets the rest from the next process.
    private static let patienceAtEnd = Duration.milliseconds(500)

    let name: String
    let spool: Spool
    let outlet: any SpoolOutlet
    let shutdown: Shutdown
    let log: Logger
    let onDamage: @Sendable (Damage) -> Void
    let isGivenUp: @Sendable () -> Bool

    /// Returns when everything is delivered, or what is not may stay in the spool.
    func run() throws(ToolError) {
        let reader = SpoolReader(spool)
        do throws(SpoolError) {
            try outlet.resume(reader)
        } catch {
            throw error.stageError
        }
        var stalled = Stall()
        while !isGivenUp(), !(shutdown.isRequested && stalled.time > SpoolPump.patienceAtEnd) {
            switch try next(reader) {
            case .lines(let stretch):
                if try outlet.take(stretch, reader) { stalled = Stall() } else { tell(&stalled) }
            case .damage(let damage): onDamage(damage)
            case .nothing:
                outlet.settle(reader)
                stalled = Stall()
            case .end:
                if try outlet.finish(reader) { return reader.clear() }
                usleep(2000)
                tell(&stalled)
            }
        }
        outlet.settle(reader)
    }

    private func next(_ reader: SpoolReader) throws(ToolError) -> SpoolReader.Next {
        do throws(SpoolError) { return try reader.next(atMost: .milliseconds(100)) } catch { throw error.stageError }
    }

    private func tell(_ stall: inout Stall) {
        guard !stall.isTold, stall.time > SpoolPump.patience else { return }
        stall.isTold = true
        log.warning("nobody takes what is in \(name); \(spool.waitingBytes) bytes wait in its spool \(spool.folder)")
    }

    private struct Stall {
        private let since = ContinuousClock.now
        var isTold = false
        var time: Duration { .now - since }
    }
}
