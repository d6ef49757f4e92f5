import JSON
import System

/// How much of the input is kept in memory where it was read.
final class BlockBudget: Sendable {
    static let blockBytes = 1 << 20

    private let limitBytes: Int
    private let usedBytes = Monitor(0)

    /// - Parameter outputs: each may hold on to the block that it is writing, and the reader still needs some.
    init(outputs: Int) { limitBytes = (outputs + 4) * BlockBudget.blockBytes }

    var hasRoom: Bool { usedBytes.read { [limitBytes] in $0 < limitBytes } }

    /// Waits until another block may be read; false when the time is over first.
    func waitForRoom(atMost limit: Duration) -> Bool {
        usedBytes.wait(atMost: limit) { [limitBytes] in $0 < limitBytes ? true : nil } ?? false
    }

    fileprivate func add(_ bytes: Int) { usedBytes.update { $0 += bytes } }
}

/// A block of the input, in memory for as long as there is a parcel of it.
final class BlockLease: Sendable {
    let block: LineBlock
    /// Where its lines end.
    let end: Int
    private let bytes: Int
    private let budget: BlockBudget

    init(_ block: LineBlock, _ budget: BlockBudget) {
        self.block = block
        self.budget = budget
        end = block.ranges.last?.upperBound ?? 0
        bytes = max(BlockBudget.blockBytes, end)
        budget.add(bytes)
    }

    deinit { budget.add(-bytes) }
}
