import Accounts
import Glibc
import System
import TestSupport
import Testing

@testable import tg_session

/// Makes questions whose answers come from a pipe.
struct QuestionsTests {
    private let answers: (read: Int32, write: Int32)
    private let stop: (read: Int32, write: Int32)
    private let questions: Questions

    init() throws {
        answers = try QuestionsTests.pipe()
        stop = try QuestionsTests.pipe()
        questions = Questions(stop: stop.read, input: answers.read)
    }

    private static func pipe() throws -> (Int32, Int32) {
        var ends: [Int32] = [-1, -1]
        try #require(Glibc.pipe(&ends) == 0)
        return (ends[0], ends[1])
    }

    private func answer(_ text: String) { _ = Array(text.utf8).withUnsafeBytes { writeAll(answers.write, $0) } }

    private func ask() async throws -> String { try await questions.ask("code: ", "code", isShown: false) }

    @Test func `Each answer is one line, and an unfinished last line counts`() async throws {
        answer("first\nsecond\r\n\nlast")
        close(answers.write)
        #expect(try await ask() == "first")
        #expect(try await ask() == "second")
        #expect(try await ask().isEmpty)
        #expect(try await ask() == "last")
        let error = await #expect(throws: AccountError.self) { try await ask() }
        #expect(error?.code == .loginRefused && error?.message.contains("no code is given") == true)
    }

    @Test func `An answer that is too long is refused`() async throws {
        answer(String(repeating: "x", count: 8192))
        await #expect(throws: AccountError.self) { try await ask() }
    }

    @Test func `A stop ends the wait for an answer`() async throws {
        close(stop.write)
        await #expect(throws: CancellationError.self) { try await ask() }
    }

    @Test func `A file's first line is the answer, also when the file appears later`() async throws {
        let folder = try TemporaryFolder()
        let path = folder("code")
        async let contents = questions.contents(of: path, "code")
        try await Task.sleep(for: .milliseconds(300))
        let file = try #require(fopen(path, "w"))
        fputs("12345\r\nmore\n", file)
        fclose(file)
        #expect(try await contents == "12345")
    }

    @Test func `A line that comes through a named pipe in pieces is one answer`() async throws {
        let folder = try TemporaryFolder()
        let path = folder("code")
        try #require(mkfifo(path, 0o600) == 0)
        async let contents = questions.contents(of: path, "code")
        let pipe = open(path, O_RDWR)
        defer { close(pipe) }
        for piece in ["12", "34", "5\nmore"] {
            #expect(Array(piece.utf8).withUnsafeBytes { writeAll(pipe, $0) } == 0)
            try await Task.sleep(for: .milliseconds(300))
        }
        #expect(try await contents == "12345")
    }

    @Test func `An empty file and an unreadable one are refused with their names`() async throws {
        let folder = try TemporaryFolder()
        let path = folder("empty")
        close(open(path, O_CREAT | O_WRONLY, 0o600))
        for path in [path, folder.path] {
            let error = await #expect(throws: ToolError.self) { try await questions.contents(of: path, "code") }
            #expect(error?.exitStatus == .configuration && error?.message.contains(path) == true)
        }
    }
}

struct LoginTextTests {
    @Test func `A QR code is drawn with a light border and square modules`() throws {
        let lines = try #require(QRCode("tg://login?token=abc")).text.split(separator: "\n")
        let widths = Set(lines.map(\.count))
        #expect(widths.count == 1)
        let modules = try #require(widths.first) - "\u{1b}[97;40m\u{1b}[0m".count
        #expect(lines.count == (modules + 1) / 2)
        #expect(lines.allSatisfy { $0.hasPrefix("\u{1b}[97;40m██") && $0.hasSuffix("██\u{1b}[0m") })
        #expect(QRCode(String(repeating: "x", count: 5000)) == nil)
    }
}
