import ArgumentParser
import Envelope
import Foundation
import Glibc
import JSON
import Payloads
import System
import Testing

@testable import tg_send

@Suite struct SingleContentTests {
    private func options(_ arguments: [String]) throws -> SingleOptions {
        let options = try SingleOptions.parse(["--chat", "42"] + arguments)
        try options.validateTogether()
        return options
    }

    private func bodies(_ arguments: [String], input: String? = nil) throws -> [TelegramCommand.Body] {
        try options(arguments).commands(input: input).commands.map(\.body)
    }

    private func texts(_ arguments: [String], input: String? = nil) throws -> [String] {
        try bodies(arguments, input: input).map { body in
            guard case .send(let message) = body else { throw CancellationError() }
            return message.text
        }
    }

    @Test(arguments: [
        ([], true), (["-"], true), (["--text", "-"], true), (["--code"], true), (["--edit", "3"], true),
        (["x"], false), (["--text", "x"], false), (["--photo", "a"], false), (["--photo", "-"], false),
        (["--delete", "3"], false), (["--react", "3"], false),
    ])
    func `Without another source the text is standard input`(_ arguments: [String], _ reads: Bool) throws {
        #expect(try options(arguments).readsText == reads)
        if reads, arguments != ["--edit", "3"], arguments != ["--code"] {
            #expect(try texts(arguments, input: "hello") == ["hello"])
        }
    }

    @Test func `The text is an argument or an option`() throws {
        #expect(try texts(["the backup is done"]) == ["the backup is done"])
        #expect(try texts(["--text", "the backup is done"]) == ["the backup is done"])
        #expect(try bodies(["--edit", "3"], input: "new") == [.edit(messageID: 3, text: "new", parseMode: nil)])
    }

    @Test(arguments: ["", " \n\t"])
    func `An empty text is refused`(_ text: String) throws {
        #expect(throws: ToolError.self) { try bodies([], input: text) }
        #expect(throws: ToolError.self) { try bodies(["--edit", "3"], input: text) }
    }

    @Test func `Code keeps its signs`() throws {
        let body = try bodies(["--code"], input: "if a < b && b > c")
        let message = TextMessage("<pre>if a &lt; b &amp;&amp; b &gt; c</pre>", MessageOptions(parseMode: "HTML"))
        #expect(body == [.send(message)])
    }

    @Test func `A long text is split at the ends of lines, and nothing of it is lost`() throws {
        let lines = (1...2000).map { "line \($0)" }
        let pieces = try texts([], input: lines.joined(separator: "\n"))
        #expect(pieces.count == 5)
        #expect(pieces.allSatisfy { $0.utf16.count <= 4096 })
        #expect(pieces.joined(separator: "\n").split(separator: "\n").map(String.init) == lines)
    }

    @Test(arguments: ["🏳️‍🌈", "e\u{301}", "a b ", "日", "\r\n", "x"])
    func `A text without line ends is split between words or characters`(_ unit: String) throws {
        let text = "<" + String(repeating: unit, count: 9000) + ">"
        let pieces = try #require(text.pieces(first: 1024, others: 4096, atMost: 100))
        #expect((pieces.first?.utf16.count ?? 0) <= 1024 && pieces.allSatisfy { $0.utf16.count <= 4096 })
        func solid(_ text: String) -> String { text.filter { !$0.isWhitespace } }
        #expect(solid(pieces.joined()) == solid(text))
    }

    @Test func `A character longer than a message does not stop the splitting`() throws {
        let text = "e" + String(repeating: "\u{301}", count: 40_000)
        let pieces = try #require(text.pieces(first: 4096, others: 4096, atMost: 100))
        #expect(pieces.count == 10)
        #expect(pieces.flatMap(\.unicodeScalars).count == 40_001)
        #expect(text.pieces(first: 4096, others: 4096, atMost: 9) == nil)
    }

    @Test func `Only the first piece replies and only the last has the buttons`() throws {
        let long = Array(repeating: "word", count: 1500).joined(separator: " ")
        let bodies = try bodies(["--reply-to", "7", "--button", "More=https://example.com/?a=b"], input: long)
        let options = bodies.map { body in
            if case .send(let message) = body { message.options } else { MessageOptions() }
        }
        #expect(options.map(\.replyTo) == [7, nil])
        #expect(options.map(\.buttons) == [[], [MessageOptions.Button("More", url: "https://example.com/?a=b")]])
    }

    @Test func `A long text is refused or becomes a document when the user says so`() throws {
        let long = String(repeating: "x", count: 5000)
        #expect(throws: ToolError.self) { try bodies(["--long", "refuse"], input: long) }
        let (commands, file) = try options(["--long", "document", "--name", "log.txt"]).commands(input: long)
        guard case .file(let message)? = commands.first?.body, case .path(let path) = message.source else {
            Issue.record("no document")
            return
        }
        #expect(message.fileName == "log.txt" && message.kind == .document)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == long)
        withExtendedLifetime(file) {}
        #expect(try texts(["--long", "refuse"], input: "short") == ["short"])
    }

    @Test func `A text of very many messages is refused`() {
        #expect(throws: ToolError.self) { try bodies([], input: String(repeating: "word ", count: 30_000)) }
    }

    @Test func `A long caption goes on in texts`() throws {
        let caption = Array(repeating: "word", count: 500).joined(separator: " ")
        let bodies = try bodies(["--photo", "a.jpg", "--caption", caption])
        guard case .file(let file)? = bodies.first, case .send(let rest)? = bodies.last else {
            Issue.record("\(bodies)")
            return
        }
        #expect(bodies.count == 2)
        #expect([file.caption ?? "", rest.text].joined(separator: " ") == caption)
    }

    @Test func `Several files are an album in the order in which they were given`() throws {
        let arguments = ["--video", "b.mp4", "--photo", "a.jpg", "--video", "c.mp4", "--caption", "all", "--silent"]
        guard case .album(let files)? = try bodies(arguments).first else {
            Issue.record("no album")
            return
        }
        #expect(files.map(\.source) == [.path("b.mp4"), .path("a.jpg"), .path("c.mp4")])
        #expect(files.map(\.kind) == [.video, .photo, .video])
        #expect(files.map(\.caption) == ["all", nil, nil])
        let command = TelegramCommand(.album(files), chat: .id(42))
        #expect(try TelegramCommand(command.json, type: command.type) == command)
    }

    @Test(arguments: [
        ("Docs=https://example.com", "Docs", "https://example.com"), ("a=b=http://x/?q=1", "a=b", "http://x/?q=1"),
        ("Chat=tg://user?id=42", "Chat", "tg://user?id=42"),
    ])
    func `A button is a text and a link`(_ argument: String, _ text: String, _ url: String) {
        #expect(ButtonArgument(argument: argument)?.button == MessageOptions.Button(text, url: url))
    }

    @Test(arguments: ["", "Docs", "=https://example.com", "Docs=example.com", "Docs=javascript:alert(1)"])
    func `A button without a text or a link is refused`(_ argument: String) {
        #expect(ButtonArgument(argument: argument) == nil)
    }

    @Test func `A message can be scheduled by a span, a time of day or a date`() throws {
        // 2026-11-21, noon in the time zone of this machine.
        var noon = tm(
            tm_sec: 0, tm_min: 0, tm_hour: 12, tm_mday: 21, tm_mon: 10, tm_year: 126, tm_wday: 0, tm_yday: 0,
            tm_isdst: -1, tm_gmtoff: 0, tm_zone: nil)
        let now = mktime(&noon)
        func seconds(_ text: String) -> Int64? { ScheduledTime(text, now: now).map { $0.unixSeconds - Int64(now) } }
        #expect(seconds("2h") == 7200)
        #expect(seconds("18:30") == 23_400)
        #expect(seconds("2026-11-21T12:00:01") == 1)
        #expect(seconds("2026-11-21 13:00") == 3600)
        for text in [
            "", "0s", "-1h", "25:00", "12:60", "2026-11-21T11:59", "2026-02-30T10:00", "2026-13-01T10:00", "soon",
        ] {
            #expect(seconds(text) == nil, "\(text)")
        }
        // The time of day that has passed is tomorrow's; a change of the clock in between can make it an hour more or less.
        let tomorrow = try #require(seconds("11:59"))
        #expect(abs(tomorrow - 86_340) <= 3600)
    }

    @Test(arguments: [
        (#"{"chat_id":-1001234567890,"message_id":8}"#, ChatID.id(-1_001_234_567_890), "https://t.me/c/1234567890/8"),
        (#"{"chat_id":-1001234567890,"message_id":8}"#, .name("@news"), "https://t.me/news/8"),
        (#"{"chat_id":42,"message_id":8}"#, .name("me"), "tg://openmessage?user_id=42&message_id=8"),
        (#"{"chat_id":-5,"message_id":8}"#, .id(-5), "tg://openmessage?chat_id=5&message_id=8"),
    ])
    func `A message has a link`(_ payload: String, _ chat: ChatID, _ link: String) throws {
        let event = Envelope(type: "events.telegram.sent", payload: try #require(JSON(parsing: payload).object))
        #expect(MessageLink(event, to: chat)?.text == link)
    }
}
