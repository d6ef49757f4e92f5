import Glibc
import Synchronization

/// Holds the lines of one block of input, which share its memory. It never changes.
package final class LineBlock: @unchecked Sendable {
    package let base: UnsafeMutableRawPointer
    package let ranges: [Range<Int>]
    private let memory: BlockMemory?
    private let capacity: Int
    /// The block that owns the memory, if this one is a part of it.
    private let whole: LineBlock?

    init(base: UnsafeMutableRawPointer, capacity: Int, ranges: [Range<Int>], memory: BlockMemory?) {
        self.base = base
        self.capacity = capacity
        self.ranges = ranges
        self.memory = memory
        whole = nil
    }

    /// Makes a block of some of the lines of another one, whose memory it keeps.
    package init(_ ranges: ArraySlice<Range<Int>>, of whole: LineBlock) {
        base = whole.base
        capacity = 0
        self.ranges = Array(ranges)
        memory = nil
        self.whole = whole
    }

    deinit {
        guard whole == nil else { return }
        if let memory { memory.give(base, capacity) } else { base.deallocate() }
    }

    package var lines: some Sequence<Line> { ranges.lazy.map { Line(block: self, range: $0) } }
}

/// Holds one line as it was read, without its line feed, and keeps the block that contains it alive.
package struct Line: Sendable {
    package let block: LineBlock
    package let range: Range<Int>

    /// Calls a body with the bytes, after which `JSONParser.paddingBytes` more bytes are readable.
    package func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(start: block.base + range.lowerBound, count: range.count))
    }

    package var bytes: [UInt8] { withBytes { Array($0) } }

    /// Makes a line that was not read from a stream.
    package init(_ bytes: [UInt8]) {
        let base = UnsafeMutableRawPointer.allocate(byteCount: bytes.count + JSONParser.paddingBytes, alignment: 64)
        bytes.withUnsafeBytes { if let source = $0.baseAddress { base.copyMemory(from: source, byteCount: $0.count) } }
        range = 0..<bytes.count
        block = LineBlock(base: base, capacity: bytes.count, ranges: [range], memory: nil)
    }

    init(block: LineBlock, range: Range<Int>) {
        self.block = block
        self.range = range
    }
}

/// Keeps the memory of a stream's blocks for its next blocks, which costs less than new pages for each.
final class BlockMemory: Sendable {
    private static let keptBlocks = 8

    private let usualBytes: Int
    private let spare = Mutex<[UInt]>([])

    init(usualBytes: Int) { self.usualBytes = usualBytes }

    deinit {
        spare.withLock { for address in $0 { UnsafeMutableRawPointer(bitPattern: address)?.deallocate() } }
    }

    /// Returns memory of `capacity` bytes, and `JSONParser.paddingBytes` more.
    func take(_ capacity: Int) -> UnsafeMutableRawPointer {
        let kept = capacity == usualBytes ? spare.withLock { $0.popLast() } : nil
        return kept.flatMap { UnsafeMutableRawPointer(bitPattern: $0) }
            ?? .allocate(byteCount: capacity + JSONParser.paddingBytes, alignment: 64)
    }

    func give(_ base: UnsafeMutableRawPointer, _ capacity: Int) {
        let address = UInt(bitPattern: base)
        let isKept =
            capacity == usualBytes
            && spare.withLock { spare in
                guard spare.count < BlockMemory.keptBlocks else { return false }
                spare.append(address)
                return true
            }
        if !isKept { base.deallocate() }
    }
}

/// Cuts a stream of bytes into lines, and copies only the lines that span two reads. It does no I/O itself.
///
/// Blank lines are dropped. A line over the limit is reported with its beginning when it ends, in its place among the other lines,
/// and takes no memory before.
package struct LineSplitter: ~Copyable {
    package enum Output: Sendable {
        /// Lines in the order in which they came. All such outputs of one call of `take` share one memory.
        case lines(LineBlock)
        case tooLong(prefix: [UInt8], sizeBytes: Int)

        package var lineCount: Int {
            switch self {
            case .lines(let block): block.ranges.count
            case .tooLong: 1
            }
        }
    }

    /// The number of bytes that are kept of a line over the limit.
    static let prefixBytes = 4096

    private let maxLineBytes: Int
    private let blockBytes: Int
    private let memory: BlockMemory
    private var buffer: UnsafeMutableRawPointer
    private var capacity: Int
    private var filled = 0
    private var skipped: (prefix: [UInt8], sizeBytes: Int)?

    package init(maxLineBytes: Int = 8 << 20, blockBytes: Int = 256 << 10) {
        self.maxLineBytes = maxLineBytes
        self.blockBytes = blockBytes
        memory = BlockMemory(usualBytes: blockBytes)
        capacity = blockBytes
        buffer = memory.take(blockBytes)
    }

    deinit { memory.give(buffer, capacity) }

    /// The memory for the next bytes. After a read into it, call `take` with the number of bytes.
    package var free: UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(start: buffer + filled, count: capacity - filled)
    }

    /// Takes `count` bytes that were put into `free`.
    package mutating func take(_ count: Int) -> [Output] {
        guard count > 0 else { return [] }
        let new = UnsafeRawBufferPointer(start: buffer + filled, count: count)
        let lastFeed = new.lastIndex(of: UInt8(ascii: "\n")).map { filled + $0 }
        filled += count
        guard let lastFeed else { return takeUnfinished() }
        var outputs: [Output] = []
        let start = finishSkipped(into: &outputs)
        if start <= lastFeed {
            outputs.append(contentsOf: cut(from: start, through: lastFeed))
        } else {
            restart(from: start)
        }
        return outputs
    }

    /// Returns the last line, if the stream ended without a line feed.
    package mutating func finish() -> [Output] {
        if let skipped {
            self.skipped = nil
            return [.tooLong(prefix: skipped.prefix, sizeBytes: skipped.sizeBytes + filled)]
        }
        guard filled > 0 else { return [] }
        if filled == capacity { grow(to: capacity + 1) }
        (buffer + filled).storeBytes(of: UInt8(ascii: "\n"), as: UInt8.self)
        filled += 1
        return cut(from: 0, through: filled - 1)
    }

    private mutating func takeUnfinished() -> [Output] {
        if skipped != nil {
            skipped?.sizeBytes += filled
            filled = 0
        } else if filled > maxLineBytes {
            let prefix = LineSplitter.prefix(of: UnsafeRawBufferPointer(start: buffer, count: filled))
            skipped = (prefix, filled)
            filled = 0
            shrink()
        } else if filled == capacity {
            grow(to: min(capacity * 2, max(maxLineBytes + 1, capacity + 1)))
        }
        return []
    }

    /// Ends the line that is being skipped, if there is one.
    ///
    /// - Returns: The index at which the next line starts.
    private mutating func finishSkipped(into outputs: inout [Output]) -> Int {
        guard let skipped else { return 0 }
        let bytes = UnsafeRawBufferPointer(start: buffer, count: filled)
        let end = bytes.firstIndex(of: UInt8(ascii: "\n")) ?? filled
        outputs.append(.tooLong(prefix: skipped.prefix, sizeBytes: skipped.sizeBytes + end))
        self.skipped = nil
        return end + 1
    }

    /// Returns the block up to the last line feed. The bytes after it begin the next block.
    private mutating func cut(from start: Int, through lastFeed: Int) -> [Output] {
        let whole = buffer
        let tail = lastFeed + 1..<filled
        let (ranges, tooLong) = LineSplitter.ranges(
            UnsafeRawBufferPointer(start: whole, count: lastFeed + 1), from: start, limit: maxLineBytes)
        let wholeCapacity = capacity
        capacity = max(blockBytes, tail.count * 2)
        buffer = memory.take(capacity)
        buffer.copyMemory(from: whole + tail.lowerBound, byteCount: tail.count)
        filled = tail.count
        let block = LineBlock(base: whole, capacity: wholeCapacity, ranges: ranges, memory: memory)
        return tooLong.isEmpty ? [.lines(block)] : LineSplitter.parts(of: block, around: tooLong)
    }

    /// Returns a block's lines and the lines that are too long, in the order in which they came.
    private static func parts(of block: LineBlock, around tooLong: [Range<Int>]) -> [Output] {
        var outputs: [Output] = []
        var rest = block.ranges[...]
        func addLines(_ lines: ArraySlice<Range<Int>>) {
            if !lines.isEmpty { outputs.append(.lines(LineBlock(lines, of: block))) }
        }
        for range in tooLong {
            let before = rest.prefix { $0.lowerBound < range.lowerBound }
            addLines(before)
            rest = rest.dropFirst(before.count)
            let line = UnsafeRawBufferPointer(start: block.base + range.lowerBound, count: range.count)
            outputs.append(.tooLong(prefix: prefix(of: line), sizeBytes: range.count))
        }
        addLines(rest)
        return outputs
    }

    /// Returns the beginning of a line that is too long, which may be all of it.
    private static func prefix(of line: UnsafeRawBufferPointer) -> [UInt8] { Array(line.prefix(prefixBytes)) }

    private static func ranges(
        _ bytes: UnsafeRawBufferPointer, from start: Int, limit: Int
    ) -> (lines: [Range<Int>], tooLong: [Range<Int>]) {
        var lines: [Range<Int>] = []
        lines.reserveCapacity(bytes.count / 512)
        var tooLong: [Range<Int>] = []
        var begin = start
        while begin < bytes.count {
            let end = bytes[begin...].firstFeed ?? bytes.count
            if end - begin > limit {
                tooLong.append(begin..<end)
            } else if !isBlank(bytes[begin..<end]) {
                lines.append(begin..<end)
            }
            begin = end + 1
        }
        return (lines, tooLong)
    }

    private static func isBlank(_ line: Slice<UnsafeRawBufferPointer>) -> Bool {
        line.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
    }

    private mutating func restart(from start: Int) {
        let count = max(0, filled - start)
        if count > 0 { buffer.copyMemory(from: buffer + start, byteCount: count) }
        filled = count
    }

    private mutating func grow(to newCapacity: Int) {
        let bigger = memory.take(newCapacity)
        bigger.copyMemory(from: buffer, byteCount: filled)
        memory.give(buffer, capacity)
        (buffer, capacity) = (bigger, newCapacity)
    }

    private mutating func shrink() {
        guard capacity > blockBytes else { return }
        memory.give(buffer, capacity)
        (buffer, capacity) = (memory.take(blockBytes), blockBytes)
    }
}

extension Slice<UnsafeRawBufferPointer> {
    /// The index of the first line feed. This is the hot loop, and the generic search takes several times as long as `memchr`.
    fileprivate var firstFeed: Int? {
        guard let start = base.baseAddress, !isEmpty else { return nil }
        guard let found = memchr(start + startIndex, 0x0A, count) else { return nil }
        return UnsafeRawPointer(found) - start
    }
}
