import JSON
import Stage
import System

/// Reads the input on a thread of its own, at most one read ahead of the router, so that reading costs the router no time.
final class Intake: Sendable {
    enum Piece: Sendable {
        case lines(BlockLease)
        case tooLong(prefix: [UInt8], sizeBytes: Int)
        /// The router reaches the barrier when everything before it is delivered.
        case barrier(Barrier)
    }

    private struct State {
        var pieces: [Piece] = []
        /// The barrier that the router has not reached yet.
        var barrier: Barrier?
        var isEnded = false
        var failure: ToolError?
        /// Is true if the router has ended, so that nobody takes the pieces.
        var isAbandoned = false
    }

    /// The time for which the reader waits for outputs that keep up, which keeps memory small.
    private static let usualPatience = Duration.milliseconds(50)

    private let state = Monitor(State())
    private let budget: BlockBudget
    private let buffers: [OutputBuffer]

    init(_ buffers: [OutputBuffer]) {
        self.buffers = buffers
        budget = BlockBudget(outputs: buffers.count)
    }

    // MARK: The reader's side

    /// Reads to the end of the input, or until the shutdown is requested; blocks.
    func read(_ reader: LineReader) {
        var failure: ToolError?
        var patience = Intake.usualPatience
        do throws(ToolError) {
            while true {
                if !budget.hasRoom { patience = waitForRoom(patience) }
                guard let outputs = try reader.next() else { break }
                put(pieces(of: outputs))
            }
        } catch {
            failure = error
        }
        end(failure)
    }

    /// Ends the input: nothing more will be put.
    func end(_ failure: ToolError?) {
        state.update { state in
            state.isEnded = true
            state.failure = failure
        }
    }

    /// Routes lines that were not read here, and blocks until every output has accepted them.
    ///
    /// - Parameter lines: whole lines with their line feeds.
    /// - Returns: the refused lines that have no dead-letter output; nil if an output or the router failed.
    func route(_ lines: [UInt8], maxLineBytes: Int) -> [UnclaimedRefusal]? {
        let barrier = Barrier()
        if !budget.hasRoom { _ = waitForRoom(Intake.usualPatience) }
        put(blocks(of: lines, maxLineBytes: maxLineBytes) + [.barrier(barrier)], barrier)
        return barrier.wait()
    }

    /// Cuts bytes into lines as if they had been read.
    func blocks(of lines: [UInt8], maxLineBytes: Int = .max / 2) -> [Piece] {
        var splitter = LineSplitter(maxLineBytes: maxLineBytes, blockBytes: max(lines.count, 1))
        splitter.free.copyBytes(from: lines)
        return pieces(of: splitter.take(lines.count))
    }

    /// Returns some of the lines of a block, in their order, without copying them.
    func part(of lease: BlockLease, _ ranges: [Range<Int>]) -> BlockLease {
        BlockLease(LineBlock(ranges[...], of: lease.block), budget, sharing: lease)
    }

    /// - Parameter outputs: the result of one call of the splitter, so that all their lines share one memory.
    private func pieces(of outputs: [LineSplitter.Output]) -> [Piece] {
        var first: BlockLease?
        return outputs.map { output in
            switch output {
            case .lines(let block):
                let lease = BlockLease(block, budget, sharing: first)
                first = first ?? lease
                return .lines(lease)
            case .tooLong(let prefix, let sizeBytes): return .tooLong(prefix: prefix, sizeBytes: sizeBytes)
            }
        }
    }

    /// Waits until the router has taken the previous pieces, and adds these. After the router has ended, only a put
    /// with a barrier returns: pieces from a pipe must not be dropped in order to read more.
    private func put(_ pieces: [Piece], _ barrier: Barrier? = nil) {
        let isAbandoned = state.wait { state -> Bool? in
            if state.isAbandoned, barrier != nil { return true }
            guard state.pieces.isEmpty else { return nil }
            state.pieces = pieces
            state.barrier = barrier
            return false
        }
        if isAbandoned == true { barrier?.reach(nil) }
    }

    /// Waits for room in memory.
    ///
    /// - Parameter patience: the time to wait before the lines of slow outputs are copied together.
    /// - Returns: the patience for the next wait.
    private func waitForRoom(_ patience: Duration) -> Duration {
        if budget.waitForRoom(atMost: patience) { return Intake.usualPatience }
        // Some output is slow. Its lines are copied, so that they keep no block in use, and the other outputs do not
        // wait for it as long as it stays slow. When there is no more room for copies, every output waits.
        var pause = Duration.milliseconds(1)
        repeat {
            for buffer in buffers { buffer.compact() }
            pause = min(pause * 2, .milliseconds(100))
        } while !budget.waitForRoom(atMost: pause)
        return .milliseconds(1)
    }

    // MARK: The router's side

    /// Returns the pieces that were read next; waits for them. Returns nil at the end.
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

    /// Is true if more pieces are ready.
    var hasMore: Bool { state.read { !$0.pieces.isEmpty } }

    /// Tells the reader that the router takes nothing more, so that nobody waits for it.
    func abandon() {
        let barrier = state.update { state in
            state.isAbandoned = true
            return state.barrier
        }
        barrier?.reach(nil)
    }

    /// The number of bytes that were read and that the router has not taken.
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

/// Marks a place in the input, and lets a thread wait until everything before it is delivered.
final class Barrier: Sendable {
    private let outcome = Monitor<[UnclaimedRefusal]??>(nil)

    /// Ends the wait; only the first call counts.
    ///
    /// - Parameter refused: the refused lines that have no dead-letter output; nil if an output or the router failed.
    func reach(_ refused: [UnclaimedRefusal]?) { outcome.update { if case .none = $0 { $0 = .some(refused) } } }

    func wait() -> [UnclaimedRefusal]? { outcome.wait { $0 } ?? nil }
}
