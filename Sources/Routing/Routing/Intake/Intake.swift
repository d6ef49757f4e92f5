import JSON
import System
import Stage

/// The input, read on a thread of its own, so that reading costs the router nothing. At most one read ahead of it.
final class Intake: Sendable {
    enum Piece: Sendable {
        case lines(BlockLease)
        case tooLong(prefix: [UInt8], sizeBytes: Int)
        /// To be reached when everything before it is delivered.
        case barrier(Barrier)
    }

    private struct State {
        var pieces: [Piece] = []
        var isEnded = false
        var failure: ToolError?
    }

    /// Outputs that keep up are awaited for so long, which keeps memory small.
    private static let usualPatience = Duration.milliseconds(50)

    private let state = Monitor(State())
    private let budget: BlockBudget
    private let outboxes: [Outbox]

    init(_ outboxes: [Outbox]) {
        self.outboxes = outboxes
        budget = BlockBudget(outputs: outboxes.count)
    }

    /// Reads to the end of the input, or until the shutdown is requested; blocks.
    func read(_ reader: LineReader) {
        var failure: ToolError?
        var patience = Intake.usualPatience
        do throws(ToolError) {
            while true {
                if !budget.hasRoom { patience = waitForRoom(patience) }
                guard let outputs = try reader.next() else { break }
                put(outputs.map(piece))
            }
        } catch {
            failure = error
        }
        end(failure)
    }

    /// Nothing more will come.
    func end(_ failure: ToolError?) {
        state.update { state in
            state.isEnded = true
            state.failure = failure
        }
    }

    /// Puts lines that were not read here, and a place behind them; waits until there is room.
    func put(lines: [UInt8], maxLineBytes: Int, _ barrier: Barrier) {
        if !budget.hasRoom { _ = waitForRoom(Intake.usualPatience) }
        put(blocks(of: lines, maxLineBytes: maxLineBytes) + [.barrier(barrier)])
    }

    /// Lines as if they had been read.
    func blocks(of lines: [UInt8], maxLineBytes: Int = .max / 2) -> [Piece] {
        var splitter = LineSplitter(maxLineBytes: maxLineBytes, blockBytes: max(lines.count, 1))
        splitter.free.copyBytes(from: lines)
        return splitter.take(lines.count).map(piece)
    }

    private func piece(_ output: LineSplitter.Output) -> Piece {
        switch output {
        case .lines(let block): .lines(BlockLease(block, budget))
        case .tooLong(let prefix, let sizeBytes): .tooLong(prefix: prefix, sizeBytes: sizeBytes)
        }
    }

    private func put(_ pieces: [Piece]) {
        _ = state.wait { state -> Void? in
            guard state.pieces.isEmpty else { return nil }
            state.pieces = pieces
            return ()
        }
    }

    /// Waits for room in memory; how long to wait the next time before outputs that are slow are dealt with.
    private func waitForRoom(_ patience: Duration) -> Duration {
        if budget.waitForRoom(atMost: patience) { return Intake.usualPatience }
        // Some output is slow: what waits for it is put where it keeps nobody else waiting. For as long as it stays slow the
        // others do not wait for it again; when there is no more place for its events, everybody does.
        var pause = Duration.milliseconds(1)
        repeat {
            for outbox in outboxes { outbox.compact() }
            pause = min(pause * 2, .milliseconds(100))
        } while !budget.waitForRoom(atMost: pause)
        return .milliseconds(1)
    }

    /// What was read next; waits for it. nil: the end.
    func next() throws(ToolError) -> [Piece]? {
        let pieces = state.wait { state -> [Piece]? in
            guard !state.pieces.isEmpty || state.isEnded else { return nil }
            defer { state.pieces = [] }
            return state.pieces
        }
        if let pieces, !pieces.isEmpty { return pieces }
        if let failure = state.read({ $0.failure }) { throw failure }
        return nil
    }

    /// Whether more is there already.
    var hasMore: Bool { state.read { !$0.pieces.isEmpty } }

    /// Read, and not yet taken by the router.
    var waitingBytes: Int {
        state.read { state in
            state.pieces.reduce(0) { sum, piece in
                switch piece {
                case .lines(let lease): sum + lease.end
                case .tooLong(_, let sizeBytes): sum + sizeBytes
                case .barrier: sum
                }
            }
        }
    }
}
