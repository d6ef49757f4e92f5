import Envelope
import JSON
import System
import Spool
import Stage

/// Where threads other than the router's put dead letters.
final class DeadLetterBox: Sendable {
    private struct State {
        var outbox: Outbox?
        var early: [RefusedLine] = []
    }

    private let runtime: Runtime
    private let state = Monitor(State())

    init(runtime: Runtime) { self.runtime = runtime }

    /// From now on there is somewhere to put them.
    func begin(_ outbox: Outbox) {
        let early = state.read { state in
            state.outbox = outbox
            return state.early
        }
        for refused in early { put(refused, into: outbox) }
    }

    func add(_ damage: Damage) {
        let size = Int(damage.offsets.upperBound - damage.offsets.lowerBound)
        add(
            RefusedLine(
                line: damage.bytes, sizeBytes: size, fault: MalformedInput(.damaged, damage.reason), correlationID: nil)
        )
    }

    @Sendable func add(_ refused: RefusedLine) {
        runtime.note(refused)
        let outbox = state.read { state in
            // Only damage that is found while outputs are being opened; it is in the log anyway.
            if state.outbox == nil, state.early.count < 100 { state.early.append(refused) }
            return state.outbox
        }
        if let outbox { put(refused, into: outbox) }
    }

    private func put(_ refused: RefusedLine, into outbox: Outbox) {
        let line = refused.deadLetter(tool: runtime.tool).line
        let parcel = Parcel(room: line.count)
        line.withUnsafeBytes { parcel.append(copying: $0, events: 1) }
        outbox.put(parcel)
    }
}
