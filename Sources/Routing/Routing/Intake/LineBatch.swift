import Glibc
import JSON
import System

/// Limits how much of the input is kept in memory where it was read.
final class BlockBudget: Sendable {
    static let blockBytes = 1 << 20

    private let limitBytes: Int
    private let usedBytes = Monitor(0)

    /// - Parameter outputs: the number of outputs. Each may keep the block that it is writing, and the reader needs some more.
    init(outputs: Int) { limitBytes = (outputs + 4) * BlockBudget.blockBytes }

    var hasRoom: Bool { usedBytes.read { [limitBytes] in $0 < limitBytes } }

    /// Waits until another block may be read.
    ///
    /// - Returns: false if the time is over first.
    func waitForRoom(atMost limit: Duration) -> Bool {
        usedBytes.wait(atMost: limit) { [limitBytes] in $0 < limitBytes ? true : nil } ?? false
    }

    fileprivate func add(_ bytes: Int) { usedBytes.update { $0 += bytes } }
}

/// Keeps a block of the input in memory while a batch refers to it, and counts it against the budget.
final class BlockLease: Sendable {
    let block: LineBlock
    /// The offset at which the block's lines end.
    let end: Int
    private let bytes: Int
    private let budget: BlockBudget
    /// The lease of another part of the same memory, which counts for both.
    private let sharing: BlockLease?

    init(_ block: LineBlock, _ budget: BlockBudget, sharing: BlockLease? = nil) {
        self.block = block
        self.budget = budget
        self.sharing = sharing
        end = block.ranges.last?.upperBound ?? 0
        bytes = sharing == nil ? max(BlockBudget.blockBytes, end) : 0
        budget.add(bytes)
    }

    deinit { budget.add(-bytes) }
}

/// Lists the places in memory that hold whole lines.
struct LineSlices {
    private(set) var pieces: [iovec] = []
    private(set) var bytes = 0
    private(set) var events = 0

    init() { pieces.reserveCapacity(512) }

    /// Adds lines that follow each other in memory.
    mutating func add(_ lines: UnsafeMutableRawPointer, bytes added: Int, events: Int = 1) {
        bytes += added
        self.events += events
        if let last = pieces.indices.last, pieces[last].iov_base + pieces[last].iov_len == lines {
            pieces[last].iov_len += added
        } else {
            pieces.append(iovec(iov_base: lines, iov_len: added))
        }
    }

    /// Returns the number of lines that end in the first `count` bytes.
    func events(inFirst count: Int) -> Int {
        var rest = count
        var events = 0
        for piece in pieces where rest > 0 {
            let part = min(rest, piece.iov_len)
            events += UnsafeRawBufferPointer(start: piece.iov_base, count: part).lineFeeds
            rest -= part
        }
        return events
    }
}

/// Holds whole lines for one output: where they were read, or as copies. Only one thread may use it at a time.
final class LineBatch: @unchecked Sendable {
    /// The smallest memory for copies; a small batch gets room for more lines.
    private static let copyBytes = 256 << 10

    private(set) var slices: LineSlices
    private let leases: [BlockLease]
    private let copy: UnsafeMutableRawBufferPointer?

    /// Makes a batch of lines in blocks, which stay in memory as long as the batch.
    init(_ slices: LineSlices, in leases: [BlockLease]) {
        self.slices = slices
        self.leases = leases
        copy = nil
    }

    /// Makes an empty batch for copies.
    init(room: Int) {
        slices = LineSlices()
        leases = []
        copy = .allocate(byteCount: max(room, LineBatch.copyBytes), alignment: 64)
    }

    /// Makes a batch of copies of lines.
    convenience init(lines: [Line]) {
        self.init(room: lines.reduce(0) { $0 + $1.range.count + 1 })
        for line in lines {
            line.withBytes { append(copying: $0, events: 0) }
            withUnsafeBytes(of: UInt8(ascii: "\n")) { append(copying: $0, events: 1) }
        }
    }

    deinit { copy?.deallocate() }

    var bytes: Int { slices.bytes }

    /// Is true if the batch keeps blocks of the input in memory.
    var holdsBlocks: Bool { !leases.isEmpty }

    /// The number of bytes that can still be copied into the batch.
    var room: Int { copy.map { $0.count - bytes } ?? 0 }

    /// The lines, without their line feeds.
    var lines: [[UInt8]] { copiedLines.map(\.bytes) }

    /// Copies of the lines, which share one memory.
    var copiedLines: [Line] {
        var splitter = LineSplitter(maxLineBytes: .max / 2, blockBytes: max(bytes, 1))
        let free = splitter.free
        var filled = 0
        for piece in slices.pieces {
            let bytes = UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len)
            UnsafeMutableRawBufferPointer(rebasing: free[filled...]).copyMemory(from: bytes)
            filled += piece.iov_len
        }
        return splitter.take(filled).flatMap { output -> [Line] in
            if case .lines(let block) = output { Array(block.lines) } else { [] }
        }
    }

    /// Adds a copy of lines. The caller must have checked that there is room.
    func append(copying lines: UnsafeRawBufferPointer, events: Int) {
        guard let copy, lines.count <= room, let place = copy.baseAddress.map({ $0 + bytes }) else { return }
        UnsafeMutableRawBufferPointer(start: place, count: lines.count).copyMemory(from: lines)
        slices.add(place, bytes: lines.count, events: events)
    }

    func append(copying other: LineBatch) {
        var events = other.slices.events
        for piece in other.slices.pieces {
            append(copying: UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len), events: events)
            events = 0
        }
    }
}

extension Sequence<UInt8> {
    /// The number of line feeds.
    var lineFeeds: Int { reduce(0) { $0 + ($1 == 0x0A ? 1 : 0) } }
}
