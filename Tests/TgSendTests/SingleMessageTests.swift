import ArgumentParser
import Envelope
import JSON
import Testing

@testable import tg_send

@Suite struct SingleMessageTests {
    private func options(_ arguments: [String]) throws -> SingleOptions {
        let options = try SingleOptions.parse(arguments)
        try options.validateTogether()
        return options
    }

    private func event(_ arguments: String...) throws -> Envelope {
        try #require(try options(["--chat", "42"] + arguments).event())
    }

    @Test func `Without a chat there is no message`() throws {
        #expect(try options([]).event() == nil)
        #expect(throws: ValidationError.self) { try options(["--text", "x"]) }
    }

    @Test(arguments: [
        [], ["--text", "x", "--delete", "3"], ["--video", "a", "--audio", "b"], ["--edit", "3"], ["--react", "3"],
        ["--edit", "3", "--text", "x", "--delete", "4"],
    ])
    func `A chat needs exactly one complete action`(_ arguments: [String]) {
        #expect(throws: ValidationError.self) { try options(["--chat", "42"] + arguments) }
    }

    @Test(arguments: [
        ("42", JSON.integer(42)), ("-1001234567890", .integer(-1_001_234_567_890)), ("@channel", "@channel"),
        ("me", "me"), ("99999999999999999999", "99999999999999999999"),
    ])
    func `A chat is an id or a name`(_ text: String, _ chat: JSON) throws {
        #expect(try options(["--chat", text, "--text", "x"]).event()?.payload["chat_id"] == chat)
    }

    @Test func `A text is a command to send it`() throws {
        let event = try event("--text", "<b>x</b>", "--parse-mode", "HTML", "--reply-to", "7", "--silent")
        #expect(event.type == "commands.telegram.send")
        #expect(
            event.payload
                == ["chat_id": 42, "parse_mode": "HTML", "reply_to": 7, "silent": true, "text": "<b>x</b>"])
    }

    @Test(arguments: ["video", "audio", "document"])
    func `A file is a command of its kind`(_ kind: String) throws {
        let event = try event("--\(kind)", "a.bin", "--caption", "c", "--title", "t")
        #expect(event.type == "commands.telegram.send_\(kind)")
        #expect(event.payload["path"] == "a.bin" && event.payload["caption"] == "c" && event.payload["title"] == "t")
        #expect(event.payload["text"] == nil)
    }

    @Test func `A message is edited, deleted and reacted to by its id`() throws {
        let edit = try event("--edit", "3", "--text", "x")
        #expect(edit.type == "commands.telegram.edit")
        #expect(edit.payload["message_id"] == 3 && edit.payload["text"] == "x")
        let delete = try event("--delete", "3")
        #expect(delete.type == "commands.telegram.delete" && delete.payload["message_id"] == 3)
        let react = try event("--react", "3", "--emoji", "👍")
        #expect(react.type == "commands.telegram.react" && react.payload["emoji"] == "👍")
    }

    @Test func `The emoji none removes a reaction`() throws {
        #expect(try event("--react", "3", "--emoji", "none").payload["emoji"] == "")
    }

    @Test(arguments: [
        ["--text", "x"], ["--video", "a.mp4"], ["--document", "a"], ["--edit", "3", "--text", "x"], ["--delete", "3"],
        ["--react", "3", "--emoji", "👍"],
    ])
    func `Every command is one that tg-send accepts`(_ arguments: [String]) throws {
        let event = try #require(try options(["--chat", "42"] + arguments).event())
        #expect(Job.accepts(event.type))
        _ = try BotCall(String(event.type.dropFirst("commands.telegram.".count)), event)
    }
}
