import Glibc
import JSON
import Logging
@testable import Routing
import Stage
import Testing

@Suite struct OutputBufferTests {
    /// Blocks of lines, as a reader makes them.
    private func blocks(_ text: String) -> [LineBlock] {
        var splitter = LineSplitter(blockBytes: 1 << 20)
        let bytes = Array(text.utf8)
        splitter.free.copyBytes(from: bytes)
        return splitter.take(bytes.count).compactMap { output in
            if case .lines(let block) = output { block } else { nil }
        }
    }

    private func batch(_ text: String, _ budget: BlockBudget) throws -> LineBatch {
        let block = try #require(blocks(text).first)
        var slices = LineSlices()
        for range in block.ranges { slices.add(block.base + range.lowerBound, bytes: range.count + 1) }
        return LineBatch(slices, in: [BlockLease(block, budget)])
    }

    private func text(_ batch: LineBatch) -> String {
        batch.slices.pieces.reduce(into: "") { text, piece in
            text += String(
                decoding: UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len), as: UTF8.self)
        }
    }

    private func drain(_ buffer: OutputBuffer) -> [LineBatch] {
        buffer.close()
        var batches: [LineBatch] = []
        while let batch = buffer.next() { batches.append(batch) }
        return batches
    }

    @Test func `Adjacent lines are written as one piece`() throws {
        let batch = try batch("aa\nbb\ncc\n", BlockBudget(outputs: 1))
        #expect(batch.slices.pieces.count == 1)
        #expect(batch.slices.events == 3 && batch.bytes == 9)
    }

    @Test(arguments: [(0, 0), (2, 0), (3, 1), (5, 1), (6, 2), (9, 3), (99, 3)])
    func `The lines of a partial write are counted`(_ bytes: Int, _ lines: Int) throws {
        let batch = try batch("aa\nbb\ncc\n", BlockBudget(outputs: 1))
        #expect(batch.slices.events(inFirst: bytes) == lines)
    }

    @Test func `Compacting keeps the order and frees the blocks`() throws {
        let budget = BlockBudget(outputs: 1)
        let buffer = OutputBuffer()
        let texts = (0..<50).map { "line \($0)\nline \($0) again\n" }
        for (number, text) in texts.enumerated() {
            buffer.add(try batch(text, budget))
            if number % 3 == 2 { buffer.compact() }
        }
        buffer.compact()
        #expect(budget.hasRoom)
        let batches = drain(buffer)
        #expect(batches.count == 1)
        #expect(batches.map(text).joined() == texts.joined())
        #expect(batches.map(\.slices.events).reduce(0, +) == 100)
        #expect(buffer.totalBytes == texts.joined().utf8.count)
    }

    @Test func `Compacting has a limit`() throws {
        #expect(OutputBuffer.limitBytes == 4 << 20)
        let budget = BlockBudget(outputs: 1)
        let buffer = OutputBuffer()
        let text = String(repeating: "x", count: 900_000) + "\n"
        for _ in 0..<8 { buffer.add(try batch(text, budget)) }
        buffer.compact()
        #expect(budget.hasRoom)
        let batches = drain(buffer)
        #expect(batches.filter { !$0.holdsBlocks }.map(\.bytes).reduce(0, +) == 4 * text.utf8.count)
        #expect(batches.filter(\.holdsBlocks).count == 4)
    }

    @Test func `A broken output accepts all lines and keeps none`() throws {
        let budget = BlockBudget(outputs: 1)
        let buffer = OutputBuffer()
        buffer.add(try batch("a\n", budget))
        buffer.breakOff()
        for _ in 0..<100 { buffer.add(try batch("a\n", budget)) }
        #expect(budget.hasRoom)
        #expect(drain(buffer).isEmpty)
    }

    private func copy(_ bytes: Int) -> LineBatch {
        LineBatch(lines: [Line([UInt8](repeating: 0x78, count: bytes - 1))])
    }

    @Test func `lines that are dropped have no place to wait for`() {
        let buffer = OutputBuffer(drops: DropCount(name: "test", log: Logger(label: "test"), activity: StageActivity()))
        #expect(buffer.put(copy(3 << 20)) == 3 << 20)
        #expect(buffer.put(copy(2 << 20)) == nil)
        #expect(buffer.put(copy(1 << 20)) == 4 << 20)
        #expect(buffer.totalBytes == 4 << 20)
        #expect(drain(buffer).map(\.bytes) == [3 << 20, 1 << 20])
        #expect(buffer.waitUntilSettled(to: 4 << 20))
    }

    @Test func `a buffer is settled once its output asks for more, and never after a failure`() {
        let buffer = OutputBuffer()
        #expect(buffer.waitUntilSettled())
        let place = buffer.put(copy(10))
        buffer.close()
        #expect(buffer.next()?.bytes == 10)
        #expect(buffer.next() == nil)
        #expect(place == 10 && buffer.waitUntilSettled(to: place))
        buffer.breakOff()
        #expect(!buffer.waitUntilSettled())
    }

    @Test func `the parts of a block count once against the budget`() throws {
        let budget = BlockBudget(outputs: 0)
        let blocks = blocks("a\nb\n")
        let first = BlockLease(try #require(blocks.first), budget)
        let others = (0..<100).map { _ in BlockLease(first.block, budget, sharing: first) }
        #expect(budget.hasRoom && others.count == 100)
    }

    @Test func `lines survive the way into a batch and out of it`() {
        let lines = ["a", "bb", "ccc"].map { Array($0.utf8) }
        let batch = LineBatch(lines: lines.map { Line($0) })
        #expect(batch.lines == lines && batch.slices.events == 3 && batch.bytes == 9)
    }
}
