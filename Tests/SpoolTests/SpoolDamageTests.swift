import Foundation
import Spool
import Testing

@Suite(.timeLimit(.minutes(1))) struct SpoolDamageTests {
    private let here: SpoolFixture
    private static let lines = "0000000000000001.ndjson"
    private static let sums = "0000000000000001.sums"

    init() throws { here = try SpoolFixture() }

    private func filled(_ count: Int = 100) throws {
        let spool = try here.spool()
        try SpoolFixture.append(0..<count, to: SpoolWriter(spool))
    }

    private func change(_ name: String, at offset: Int, to byte: UInt8) throws {
        var contents = try Data(contentsOf: URL(fileURLWithPath: here.file(name)))
        contents[offset] = byte
        try contents.write(to: URL(fileURLWithPath: here.file(name)))
    }

    private func start(of number: Int) -> Int { SpoolFixture.text(0..<number).utf8.count }

    @Test func `A damaged line is reported with its offsets and all others are delivered`() throws {
        try filled()
        try change(Self.lines, at: start(of: 50) + 3, to: 0)
        let text = try SpoolFixture.read(here.spool())
        let hole = "<\(start(of: 50))-\(start(of: 51))>\n"
        #expect(text == SpoolFixture.text(0..<50) + hole + SpoolFixture.text(51..<100))
    }

    @Test func `A damaged line feed loses one line`() throws {
        try filled()
        try change(Self.lines, at: start(of: 51) - 1, to: UInt8(ascii: "x"))
        let hole = "<\(start(of: 50))-\(start(of: 51))>\n"
        #expect(try SpoolFixture.read(here.spool()) == SpoolFixture.text(0..<50) + hole + SpoolFixture.text(51..<100))
    }

    @Test(arguments: 0..<8) func `A damaged checksum or position loses one line`(_ byte: Int) throws {
        try filled()
        try change(Self.sums, at: 50 * 8 + byte, to: 0xA5)
        let hole = "<\(start(of: 50))-\(start(of: 51))>\n"
        #expect(try SpoolFixture.read(here.spool()) == SpoolFixture.text(0..<50) + hole + SpoolFixture.text(51..<100))
    }

    @Test func `Many damaged lines are each reported`() throws {
        try filled(30_000)
        for number in stride(from: 100, to: 30_000, by: 5000) { try change(Self.lines, at: start(of: number), to: 1) }
        let text = try SpoolFixture.read(here.spool())
        #expect(text.split(separator: "\n").filter { $0.hasPrefix("<") }.count == 6)
        #expect(text.split(separator: "\n").filter { $0.hasPrefix("line") }.count == 30_000 - 6)
    }

    @Test func `A torn last line is removed and complete lines without checksums are delivered`() throws {
        try filled()
        let file = try #require(FileHandle(forWritingAtPath: here.file(Self.lines)))
        try file.seekToEnd()
        try file.write(contentsOf: Data("line a\nnothing\nline b\nline to".utf8))
        try file.close()
        let text = try SpoolFixture.read(here.spool())
        let end = start(of: 100)
        #expect(text == SpoolFixture.text(0..<100) + "line a\n<\(end + 7)-\(end + 15)>\nline b\n")
        #expect(here.told.all.contains { $0.contains("7 bytes of a torn line, which are cut at offset \(end + 22)") })
        let spool = try here.spool()
        try SpoolFixture.append(100..<110, to: SpoolWriter(spool))
        #expect(try SpoolFixture.read(spool) == SpoolFixture.text(100..<110))
    }

    @Test func `A segment without checksums is delivered with a warning`() throws {
        try filled()
        try FileManager.default.removeItem(atPath: here.file(Self.sums))
        #expect(try SpoolFixture.read(here.spool()) == SpoolFixture.text(0..<100))
        #expect(here.told.all.contains { $0.contains("100 lines without checksums from offset 0") })
    }

    @Test func `A truncated segment is delivered up to its end and the missing bytes are reported`() throws {
        try filled()
        let file = try #require(FileHandle(forWritingAtPath: here.file(Self.lines)))
        try file.truncate(atOffset: UInt64(start(of: 90) + 1))
        try file.close()
        #expect(try SpoolFixture.read(here.spool()) == SpoolFixture.text(0..<90))
        #expect(here.told.all.contains { $0.contains("10 lines behind offset \(start(of: 90)) are missing") })
    }

    @Test func `After a damaged cursor everything is delivered again`() throws {
        try filled()
        #expect(try SpoolFixture.read(here.spool()) == SpoolFixture.text(0..<100))
        try Data("garbage garbage garbage".utf8).write(to: URL(fileURLWithPath: here.file("cursor")))
        #expect(try SpoolFixture.read(here.spool()) == SpoolFixture.text(0..<100))
        #expect(here.told.all.contains { $0.contains("is not a cursor file") })
    }
}
