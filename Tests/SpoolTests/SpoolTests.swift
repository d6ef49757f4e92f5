import Foundation
import Spool
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(1))) struct SpoolTests {
    private let here: SpoolFixture

    init() throws { here = try SpoolFixture() }

    @Test func `Appended lines are read in order`() throws {
        let spool = try here.spool()
        let writer = SpoolWriter(spool)
        try SpoolFixture.append(0..<5000, to: writer)
        #expect(spool.waitingBytes == SpoolFixture.text(0..<5000).utf8.count)
        #expect(try SpoolFixture.read(spool) == SpoolFixture.text(0..<5000))
        #expect(spool.waitingBytes == 0)
        try SpoolFixture.append(5000..<5010, to: writer)
        #expect(try SpoolFixture.read(spool) == SpoolFixture.text(5000..<5010))
    }

    @Test func `The next process resumes where the last one stopped`() throws {
        for round in 0..<5 {
            let spool = try here.spool()
            try SpoolFixture.append(round * 100..<(round + 1) * 100, to: SpoolWriter(spool))
            let reader = SpoolReader(spool)
            guard case .lines(let stretch) = try reader.next(atMost: .seconds(1)) else { return #expect(Bool(false)) }
            // To the middle of a line.
            let expected = SpoolFixture.text(0..<500).utf8.dropFirst(round * 1000)
            #expect(stretch.bytes.elementsEqual(expected.prefix(stretch.bytes.count)))
            reader.skip(1000)
        }
        #expect(try SpoolFixture.read(here.spool()).utf8.elementsEqual(SpoolFixture.text(0..<500).utf8.dropFirst(5000)))
    }

    @Test func `Read segments are removed and new ones are started`() throws {
        let limits = SpoolLimits(totalBytes: 1 << 20)
        let spool = try here.spool(limits)
        let writer = SpoolWriter(spool)
        for round in 0..<50 {
            try SpoolFixture.append(round * 1000..<(round + 1) * 1000, to: writer)
            #expect(try SpoolFixture.read(spool) == SpoolFixture.text(round * 1000..<(round + 1) * 1000))
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: here.folder("spool"))
        #expect(names.filter { $0.hasSuffix(".ndjson") }.count <= 2)
    }

    @Test func `A full spool drops and counts lines if configured to`() throws {
        let spool = try here.spool(SpoolLimits(totalBytes: 1 << 20, whenFull: .drop))
        let dropped = try SpoolFixture.append(0..<40_000, to: SpoolWriter(spool))
        let kept = try SpoolFixture.read(spool)
        #expect(dropped > 0)
        #expect(kept.utf8.count > 800_000 && kept.utf8.count <= 1 << 20)
        let numbers = kept.split(separator: "\n").compactMap { Int($0.split(separator: " ")[1]) }
        #expect(numbers == numbers.sorted() && Set(numbers).count == numbers.count)
        #expect(kept.split(separator: "\n").count + dropped == 40_000)
        #expect(here.told.all.count == 1 && here.told.all.first?.contains("is full") == true)
    }

    @Test func `A full spool makes the writer wait until the reader makes room`() async throws {
        let spool = try here.spool(SpoolLimits(totalBytes: 1 << 20))
        async let done: Void = Task.detached {
            try SpoolFixture.append(0..<40_000, to: SpoolWriter(spool))
            spool.close()
        }.value
        let reader = SpoolReader(spool)
        var text = ""
        reading: while true {
            switch try reader.next(atMost: .seconds(20)) {
            case .lines(let stretch):
                text += String(decoding: stretch.bytes, as: UTF8.self)
                reader.skip(stretch.bytes.count)
                reader.forget(keeping: 0)
            case .damage, .nothing, .end: break reading
            }
        }
        try await done
        #expect(text == SpoolFixture.text(0..<40_000))
    }

    @Test func `A spool belongs to one process`() throws {
        let spool = try here.spool()
        #expect { try here.spool() } throws: { "\($0)".contains("is in use by process \(getpid())") }
        spool.close()
    }

    @Test func `Going back finds the beginning of a line, even in an earlier segment`() throws {
        let spool = try here.spool(SpoolLimits(totalBytes: 1 << 20))
        try SpoolFixture.append(0..<4000, to: SpoolWriter(spool))
        let reader = SpoolReader(spool)
        let text = SpoolFixture.text(0..<4000)
        while case .lines(let stretch) = try reader.next(atMost: .milliseconds(1)) { reader.skip(stretch.bytes.count) }
        try reader.goBack(text.utf8.count - 3, toLineStart: true)
        #expect(try SpoolFixture.read(spool) == text)
        try SpoolReader(spool).goBack(5, toLineStart: true)
        #expect(try SpoolFixture.read(spool) == SpoolFixture.line(3999))
    }
}
