import Glibc
import System
import Testing

@testable import Stage

@Suite struct LineOutputTests {
    /// A pipe without a name, as a shell makes it.
    private final class Pipe {
        let reading: Int32
        let writing: Int32

        init() throws {
            let ends = try #require(PipeCalls.open())
            (reading, writing) = (ends.reading, ends.writing)
            _ = fcntl(reading, F_SETFL, O_NONBLOCK)
        }

        deinit { for end in [reading, writing] { close(end) } }

        var path: String { "/proc/self/fd/\(writing)" }

        func read() -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: 1 << 20)
            let count = Glibc.read(reading, &bytes, bytes.count)
            return Array(bytes.prefix(max(0, count)))
        }
    }

    private func write(_ text: String, _ output: LineOutput) -> Bool {
        Array(text.utf8).withUnsafeBytes(output.writeWithoutWaiting)
    }

    /// Returns whether the kernel can write to an unnamed pipe without waiting: from Linux 6.4 on.
    private func isSupported() throws -> Bool {
        var system = utsname()
        try #require(uname(&system) == 0)
        let release = withUnsafeBytes(of: &system.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let numbers = release.split { !$0.isNumber }.prefix(2).compactMap { Int($0) }
        return try !#require(numbers.count == 2 ? numbers : nil).lexicographicallyPrecedes([6, 4])
    }

    @Test func `A line that a pipe has room for is written at once, and a long one is not`() throws {
        let pipe = try Pipe()
        let output = LineOutput(name: "a pipe", pipe.writing)
        #expect(write("a line\n", output) == (try isSupported()))
        #expect(pipe.read() == (try isSupported() ? Array("a line\n".utf8) : []))
        #expect(!write(String(repeating: "x", count: 4096) + "\n", output))
        #expect(pipe.read().isEmpty)
    }

    @Test func `Nothing is written to a pipe that is full`() throws {
        let pipe = try Pipe()
        let output = LineOutput(name: "a pipe", pipe.writing)
        var count = 0
        let line = String(repeating: "x", count: 4095) + "\n"
        while count < 1000, write(line, output) { count += 1 }
        #expect(count < 1000)
        #expect((count > 0) == (try isSupported()))
        #expect(pipe.read().count == count * 4096)
    }

    @Test func `Nothing is written between the parts of another writer's lines`() throws {
        let pipe = try Pipe()
        let output = LineOutput(name: "a pipe", pipe.writing)
        let other = open(pipe.path, O_WRONLY | O_CLOEXEC)
        try #require(flock(other, LOCK_EX) == 0)
        #expect(!write("a line\n", output))
        close(other)
        #expect(write("a line\n", output) == (try isSupported()))
    }

    @Test func `A pipe without a reader is left to the write that reports it`() throws {
        signal(SIGPIPE, SIG_IGN)
        let ends = try #require(PipeCalls.open())
        defer { close(ends.writing) }
        let output = LineOutput(name: "a pipe", ends.writing)
        close(ends.reading)
        #expect(!write("a line\n", output))
        #expect(throws: ToolError.self) { try Array("a line\n".utf8).withUnsafeBytes { try output.write($0) } }
    }
}
