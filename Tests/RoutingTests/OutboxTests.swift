import Glibc
import JSON
@testable import Routing
import Testing

@Suite struct OutboxTests {
    /// Blocks of lines, as a reader makes them.
    private func blocks(_ text: String) -> [LineBlock] {
        var splitter = LineSplitter(blockBytes: 1 << 20)
        let bytes = Array(text.utf8)
        splitter.free.copyBytes(from: bytes)
        return splitter.take(bytes.count).compactMap { output in
            if case .lines(let block) = output { block } else { nil }
        }
    }

    private func parcel(_ text: String, _ budget: BlockBudget) throws -> Parcel {
        let block = try #require(blocks(text).first)
        var places = Places()
        for range in block.ranges { places.add(block.base + range.lowerBound, bytes: range.count + 1) }
        return Parcel(places, in: [BlockLease(block, budget)])
    }

    private func text(_ parcel: Parcel) -> String {
        parcel.places.pieces.reduce(into: "") { text, piece in
            text += String(
                decoding: UnsafeRawBufferPointer(start: piece.iov_base, count: piece.iov_len), as: UTF8.self)
        }
    }

    private func drain(_ outbox: Outbox) -> [Parcel] {
        outbox.close()
        var parcels: [Parcel] = []
        while let parcel = outbox.next() { parcels.append(parcel) }
        return parcels
    }

    @Test func `Adjacent lines are written as one piece`() throws {
        let parcel = try parcel("aa\nbb\ncc\n", BlockBudget(outputs: 1))
        #expect(parcel.places.pieces.count == 1)
        #expect(parcel.places.events == 3 && parcel.bytes == 9)
    }

    @Test(arguments: [(0, 0), (2, 0), (3, 1), (5, 1), (6, 2), (9, 3), (99, 3)])
    func `The lines of a partial write are counted`(_ bytes: Int, _ lines: Int) throws {
        let parcel = try parcel("aa\nbb\ncc\n", BlockBudget(outputs: 1))
        #expect(parcel.places.events(inFirst: bytes) == lines)
    }

    @Test func `Compacting keeps the order and frees the blocks`() throws {
        let budget = BlockBudget(outputs: 1)
        let outbox = Outbox()
        let texts = (0..<50).map { "line \($0)\nline \($0) again\n" }
        for (number, text) in texts.enumerated() {
            outbox.add(try parcel(text, budget))
            if number % 3 == 2 { outbox.compact() }
        }
        outbox.compact()
        #expect(budget.hasRoom)
        let parcels = drain(outbox)
        #expect(parcels.count == 1)
        #expect(parcels.map(text).joined() == texts.joined())
        #expect(parcels.map(\.places.events).reduce(0, +) == 100)
        #expect(outbox.totalBytes == texts.joined().utf8.count)
    }

    @Test func `Compacting has a limit`() throws {
        #expect(Outbox.limitBytes == 4 << 20)
        let budget = BlockBudget(outputs: 1)
        let outbox = Outbox()
        let text = String(repeating: "x", count: 900_000) + "\n"
        for _ in 0..<8 { outbox.add(try parcel(text, budget)) }
        outbox.compact()
        #expect(budget.hasRoom)
        let parcels = drain(outbox)
        #expect(parcels.filter { !$0.holdsBlocks }.map(\.bytes).reduce(0, +) == 4 * text.utf8.count)
        #expect(parcels.filter(\.holdsBlocks).count == 4)
    }

    @Test func `A broken output accepts all lines and keeps none`() throws {
        let budget = BlockBudget(outputs: 1)
        let outbox = Outbox()
        outbox.add(try parcel("a\n", budget))
        outbox.breakOff()
        for _ in 0..<100 { outbox.add(try parcel("a\n", budget)) }
        #expect(budget.hasRoom)
        #expect(drain(outbox).isEmpty)
    }
}
