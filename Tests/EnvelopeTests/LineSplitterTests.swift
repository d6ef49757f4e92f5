@testable import Envelope
import JSON
import Testing

@Suite struct LineSplitterTests {
    private func split(_ bytes: [UInt8], chunk: Int, limit: Int = 1000, block: Int = 64) -> (
        lines: [[UInt8]], tooLong: [Int]
    ) {
        var splitter = LineSplitter(maxLineBytes: limit, blockBytes: block)
        var outputs: [LineSplitter.Output] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let free = splitter.free
            let piece = rest.prefix(min(chunk, free.count))
            free.copyBytes(from: piece)
            rest = rest.dropFirst(piece.count)
            outputs += splitter.take(piece.count)
        }
        outputs += splitter.finish()
        var lines: [[UInt8]] = []
        var tooLong: [Int] = []
        for output in outputs {
            switch output {
            case .lines(let block): lines += block.lines.map(\.bytes)
            case .tooLong(_, let size): tooLong.append(size)
            }
        }
        return (lines, tooLong)
    }

    @Test(arguments: [1, 2, 3, 7, 64, 1000])
    func `Lines are the same however their bytes arrive`(_ chunk: Int) {
        let lines = (0..<200).map { Array(repeating: UInt8(ascii: "x"), count: $0 % 150 + 1) }
        #expect(split(Array(lines.joined(separator: [0x0A])), chunk: chunk).lines == lines)
    }

    @Test func `Blank lines and lone carriage returns are dropped`() {
        #expect(split(Array("a\n\n  \n\r\nb\r\n".utf8), chunk: 100).lines == [Array("a".utf8), Array("b\r".utf8)])
    }

    @Test(arguments: [1, 50, 5000])
    func `A line over the limit is reported and later lines are read`(_ chunk: Int) {
        let long = [UInt8](repeating: 0x78, count: 5000)
        let (lines, tooLong) = split(Array("a\n".utf8) + long + Array("\nb\n".utf8), chunk: chunk)
        #expect(lines == [Array("a".utf8), Array("b".utf8)])
        #expect(tooLong == [5000])
    }

    @Test(arguments: [1, 2000, 5000])
    func `The kept part of a long line holds nothing of the next line`(_ chunk: Int) {
        let long = [UInt8](repeating: 0x78, count: 1500)
        var splitter = LineSplitter(maxLineBytes: 1000, blockBytes: 8192)
        var kept: [[UInt8]] = []
        var rest = (long + Array("\nsomebody else's\n".utf8))[...]
        while !rest.isEmpty {
            let piece = rest.prefix(chunk)
            splitter.free.copyBytes(from: piece)
            rest = rest.dropFirst(piece.count)
            for case .tooLong(let prefix, _) in splitter.take(piece.count) { kept.append(prefix) }
        }
        #expect(kept.count == 1)
        #expect(kept.allSatisfy { !$0.isEmpty && $0.allSatisfy { $0 == 0x78 } })
    }

    @Test func `A line of exactly the limit is accepted`() {
        let line = [UInt8](repeating: 0x78, count: 1000)
        #expect(split(line + [0x0A], chunk: 333).lines == [line])
        #expect(split(line + [0x78, 0x0A], chunk: 333).tooLong == [1001])
    }

    @Test func `An unfinished line over the limit is reported at the end`() {
        #expect(split([UInt8](repeating: 0x78, count: 3000), chunk: 100).tooLong == [3000])
    }

    @Test(arguments: [1, 7, 50, 100_000])
    func `Lines over the limit keep their place among the others`(_ chunk: Int) {
        let long = String(repeating: "x", count: 40)
        let text = "a\n\(long)\nb\nc\n\(long)y\n\(long)z\nd\n"
        var splitter = LineSplitter(maxLineBytes: 20, blockBytes: 4096)
        var seen: [String] = []
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let piece = rest.prefix(chunk)
            splitter.free.copyBytes(from: piece)
            rest = rest.dropFirst(piece.count)
            for output in splitter.take(piece.count) {
                switch output {
                case .lines(let block): seen += block.lines.map { String(decoding: $0.bytes, as: UTF8.self) }
                case .tooLong(_, let size): seen.append("\(size)")
                }
            }
        }
        #expect(seen == ["a", "40", "b", "c", "41", "41", "d"])
    }

    @Test func `The parts of a block keep its memory`() {
        let long = String(repeating: "x", count: 40)
        let text = Array("first\n\(long)\nlast\n".utf8)
        var kept: [Line] = []
        do {
            var splitter = LineSplitter(maxLineBytes: 20, blockBytes: 4096)
            splitter.free.copyBytes(from: text)
            for case .lines(let block) in splitter.take(text.count) { kept += block.lines }
            for _ in 0..<20 {
                splitter.free.copyBytes(from: Array("overwritten\n".utf8))
                _ = splitter.take(12)
            }
        }
        #expect(kept.map { String(decoding: $0.bytes, as: UTF8.self) } == ["first", "last"])
    }
}
