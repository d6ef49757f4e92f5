@testable import Routing
import Testing

@Suite struct ResendBufferTests {
    private func sent(_ text: String, pipeBytes: Int = 16) -> ResendBuffer {
        var lines = ResendBuffer(pipeBytes: pipeBytes)
        for byte in text.utf8 { lines.append([byte]) }
        return lines
    }

    private func untaken(_ lines: ResendBuffer, _ unread: Int) -> String {
        String(decoding: lines.untaken(unread: unread), as: UTF8.self)
    }

    @Test(arguments: [
        (0, ""), (1, "cc\n"), (2, "cc\n"), (3, "cc\n"), (4, "bb\ncc\n"), (6, "bb\ncc\n"), (7, "aa\nbb\ncc\n"),
        (9, "aa\nbb\ncc\n"), (99, "aa\nbb\ncc\n"),
    ])
    func `Unread bytes are sent again from the beginning of a line`(_ unread: Int, _ expected: String) {
        #expect(untaken(sent("aa\nbb\ncc\n"), unread) == expected)
    }

    @Test func `An unfinished last line is kept`() {
        #expect(untaken(sent("aa\nbb"), 0) == "bb")
        #expect(untaken(sent("aa\nbb"), 1) == "bb")
    }

    @Test func `A reader that read no complete line is recognised`() {
        #expect(!sent("aa\nbb\n").hasTakenLine(unread: 6))
        #expect(!sent("aa\nbb\n").hasTakenLine(unread: 4))
        #expect(sent("aa\nbb\n").hasTakenLine(unread: 3))
    }

    @Test func `Only as many bytes as the pipe can hold are kept`() {
        let text = (0..<1000).map { "line \($0)\n" }.joined()
        let lines = sent(text)
        #expect(untaken(lines, 16) == "line 998\nline 999\n")
        #expect(untaken(lines, 1 << 20).utf8.count <= 5 * 16)
        #expect(lines.hasTakenLine(unread: 16))
    }

    @Test func `A line longer than the pipe is kept complete`() {
        let long = String(repeating: "x", count: 500)
        #expect(untaken(sent("a\n\(long)\nb"), 16) == "\(long)\nb")
    }
}
