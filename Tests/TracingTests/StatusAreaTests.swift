import Foundation
import Glibc
import Testing

@testable import Tracing

/// A terminal that keeps what a person would see.
private final class Screen {
    private let master: Int32
    let slave: Int32
    private(set) var lines = [""]
    private var row = 0
    private var column = 0

    init() throws {
        master = open("/dev/ptmx", O_RDWR | O_NOCTTY)
        // TIOCSPTLCK and TIOCGPTN of Linux.
        var (isLocked, number): (Int32, Int32) = (0, 0)
        let isReady = ioctl(master, 0x4004_5431, &isLocked) == 0 && ioctl(master, 0x8004_5430, &number) == 0
        slave = open("/dev/pts/\(number)", O_RDWR | O_NOCTTY)
        try #require(isReady && slave >= 0)
        _ = fcntl(master, F_SETFL, O_NONBLOCK)
    }

    deinit {
        close(slave)
        close(master)
    }

    /// Takes what was written, and returns the lines.
    func read() -> [String] {
        var bytes = [UInt8](repeating: 0, count: 65_536)
        while case let count = Glibc.read(master, &bytes, bytes.count), count > 0 {
            put(Array(String(decoding: bytes[..<count], as: UTF8.self).unicodeScalars))
        }
        return lines.last == "" ? lines.dropLast() : lines
    }

    private func put(_ text: [Unicode.Scalar]) {
        var rest = text[...]
        while let next = rest.popFirst() {
            switch next {
            case "\r": column = 0
            case "\n":
                row += 1
                if row == lines.count { lines.append("") }
            case "\u{1B}":
                let sequence = String(String.UnicodeScalarView(rest.prefix { $0 != "K" && $0 != "A" }))
                let end = rest.dropFirst(sequence.unicodeScalars.count).first
                rest = rest.dropFirst(sequence.unicodeScalars.count + 1)
                if end == "K" { lines[row] = String(lines[row].prefix(column)) }
                if end == "A" { row -= 1 }
            default:
                lines[row] = String(lines[row].prefix(column)) + String(next) + String(lines[row].dropFirst(column + 1))
                column += 1
            }
        }
        while lines.count > row + 1, lines.last == "" { lines.removeLast() }
    }
}

@Suite struct StatusAreaTests {
    private func area(_ screen: Screen, process: pid_t = getpid(), in folder: String? = nil) -> StatusArea {
        let area = StatusArea(descriptor: screen.slave, isTerminal: true, process: process)
        if let folder { area.share { folder } }
        return area
    }

    private func log(_ text: String) -> [UInt8] { Array("\(text)\n".utf8) }

    @Test func `Lines stay below the log, and leave nothing behind`() throws {
        let screen = try Screen()
        let area = area(screen)
        let (first, second) = (area.makeKey(), area.makeKey())
        area.write(log("begin"))
        area.show("one 10 %", key: first, isUrgent: true)
        area.show("two 20 %", key: second, isUrgent: true)
        #expect(screen.read() == ["begin", "one 10 %", "two 20 %"])
        area.write(log("a line of the log"))
        area.show("one", key: first, isUrgent: true)
        #expect(screen.read() == ["begin", "a line of the log", "one", "two 20 %"])
        area.clear(key: first)
        #expect(screen.read() == ["begin", "a line of the log", "two 20 %"])
        area.clear()
        area.write(log("end"))
        #expect(screen.read() == ["begin", "a line of the log", "end"])
    }

    @Test func `No more lines are shown than there is room for`() throws {
        let screen = try Screen()
        let area = area(screen)
        for number in 1...20 { area.show("line \(number)", key: area.makeKey(), isUrgent: true) }
        #expect(screen.read() == (1...7).map { "line \($0)" } + ["and 13 more"])
    }

    @Test func `Processes that share a terminal do not overwrite each other's lines`() throws {
        let screen = try Screen()
        let folder = "\(NSTemporaryDirectory())/terminals.\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let one = area(screen, in: folder)
        let other = area(screen, process: getppid(), in: folder)
        let (first, second, third) = (one.makeKey(), one.makeKey(), other.makeKey())
        one.show("chat 1", key: first, isUrgent: true)
        other.show("5 stored", key: third, isUrgent: true)
        one.show("chat 2", key: second, isUrgent: true)
        #expect(screen.read().sorted() == ["5 stored", "chat 1", "chat 2"])
        other.write(log("from the other"))
        one.write(log("from the one"))
        other.show("6 stored", key: third, isUrgent: true)
        #expect(Array(screen.read().prefix(2)) == ["from the other", "from the one"])
        #expect(screen.read().dropFirst(2).sorted() == ["6 stored", "chat 1", "chat 2"])
        one.clear()
        #expect(screen.read() == ["from the other", "from the one", "6 stored"])
        other.clear()
        #expect(screen.read() == ["from the other", "from the one"])
    }

    @Test func `What a killed process has left is not taken for lines that are there`() throws {
        let screen = try Screen()
        let folder = "\(NSTemporaryDirectory())/terminals.\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        // No process has this number.
        let killed = area(screen, process: .max, in: folder)
        killed.show("a", key: killed.makeKey(), isUrgent: true)
        killed.show("b", key: killed.makeKey(), isUrgent: true)
        // The shell goes on in a new line.
        Array("\n$ next\n".utf8).withUnsafeBytes { _ = Glibc.write(screen.slave, $0.baseAddress, $0.count) }
        let next = area(screen, in: folder)
        next.show("c", key: next.makeKey(), isUrgent: true)
        #expect(screen.read() == ["a", "b", "$ next", "c"])
    }

    @Test func `Nothing but the log is written where no lines are shown`() throws {
        let screen = try Screen()
        let area = StatusArea(descriptor: screen.slave, isTerminal: false, process: getpid())
        area.show("line", key: area.makeKey(), isUrgent: true)
        area.write(log("log"))
        area.clear()
        #expect(screen.read() == ["log"])
    }
}
