import Envelope
import JSON
import Spool
import Stage
import System

/// Represents a refused line for which there is no dead-letter output. Its entry goes to the dead letters of the input
/// queue.
struct UnclaimedRefusal: Sendable {
    private let refused: RefusedLine
    /// The lines of the entries that the refused line may have been made of by a middleware; empty if it is unchanged.
    private let origins: [[UInt8]]

    init(_ refused: RefusedLine, origins: [[UInt8]]) { (self.refused, self.origins) = (refused, origins) }

    var fault: MalformedInput { refused.fault }

    /// Returns whether the refused line came from a queue's entry with this line.
    func isOf(_ entry: [UInt8]) -> Bool { origins.isEmpty ? refused.isOf(entry) : origins.contains(entry) }
}

/// Collects the refused lines of all threads: writes them to the dead-letter output, or keeps them for the input queue.
final class DeadLetterCollector: Sendable {
    private struct State {
        var buffer: OutputBuffer?
        /// The lines that were refused before the output was open.
        var early: [RefusedLine] = []
        var unclaimed: [UnclaimedRefusal] = []
        /// For each line that the middlewares of all events made: the lines that it was made from.
        var origins: [[UInt8]: [[UInt8]]] = [:]
    }

    private static let mostEarlyLines = 100

    private let runtime: Runtime
    /// Is true if refused lines are kept for the input queue if there is no dead-letter output.
    private let isFedByQueue: Bool
    private let state = Monitor(State())

    init(runtime: Runtime, isFedByQueue: Bool) { (self.runtime, self.isFedByQueue) = (runtime, isFedByQueue) }

    /// Sets the dead-letter output's buffer, and puts the lines into it that were refused before.
    func begin(_ buffer: OutputBuffer) {
        let early = state.read { state in
            state.buffer = buffer
            defer { state.early = [] }
            return state.early
        }
        for refused in early { put(refused, into: buffer) }
    }

    /// Logs a refused line, and writes or keeps it.
    ///
    /// - Parameter origin: the line that middlewares made the refused line of, if that is another one.
    func add(_ refused: RefusedLine, origin: [UInt8]? = nil) {
        runtime.note(refused)
        if let buffer = state.read({ $0.buffer }) { put(refused, into: buffer) } else { keep(refused, origin: origin) }
    }

    /// Reports damage of a spool. There is no event that could be returned to the input queue.
    func add(_ damage: Damage) {
        let size = Int(damage.offsets.upperBound - damage.offsets.lowerBound)
        let refused = RefusedLine(
            line: damage.bytes, sizeBytes: size, fault: MalformedInput(.damaged, damage.reason), correlationID: nil)
        runtime.note(refused)
        let buffer = state.read { state in
            // Only outputs that are being opened find damage before there is a buffer; the log has it anyway.
            if state.buffer == nil, state.early.count < Self.mostEarlyLines { state.early.append(refused) }
            return state.buffer
        }
        if let buffer { put(refused, into: buffer) }
    }

    private func put(_ refused: RefusedLine, into buffer: OutputBuffer) {
        let line = refused.deadLetter(tool: runtime.tool).line
        let batch = LineBatch(room: line.count)
        line.withUnsafeBytes { batch.append(copying: $0, events: 1) }
        buffer.put(batch)
    }

    // MARK: For the input queue

    /// Remembers what a line was made of, so that a later refusal of it finds its entry.
    func note(_ line: [UInt8], madeOf origin: [UInt8]) {
        guard isFedByQueue else { return }
        state.update { $0.origins[line, default: []].append(origin) }
    }

    /// Keeps a refused line for the input queue, if there is one.
    func keep(_ refused: RefusedLine, origin: [UInt8]? = nil) {
        guard isFedByQueue else { return }
        state.update { state in
            let known = state.origins[origin ?? refused.line] ?? [origin].compactMap(\.self)
            state.unclaimed.append(UnclaimedRefusal(refused, origins: known))
        }
    }

    /// Returns the refused lines since the last call. By then, everything that came before the call must be delivered.
    func takeUnclaimed() -> [UnclaimedRefusal] {
        state.update { state in
            defer { (state.unclaimed, state.origins) = ([], [:]) }
            return state.unclaimed
        }
    }
}
