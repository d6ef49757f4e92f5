import ArgumentParser
import Envelope
import JSON
import Payloads
import Testing

@testable import tg_send

@Suite struct SingleMessageTests {
    private func options(_ arguments: [String]) throws -> SingleOptions {
        let options = try SingleOptions.parse(arguments)
        try options.validateTogether()
        return options
    }

    private func command(_ arguments: String...) throws -> TelegramCommand {
        try #require(try options(["--chat", "42"] + arguments).commands().commands.first)
    }

    @Test func `Without a chat there is no message`() throws {
        #expect(try options([]).commands().commands.isEmpty)
        #expect(throws: ValidationError.self) { try options(["--text", "x"]) }
    }

    @Test(arguments: [
        ["--text", "x", "--delete", "3"], ["--video", "a", "--audio", "b"], ["--react", "0"],
        ["--text", "x", "y"], ["x", "y"], ["--photo", "a", "b"], ["--caption", "x"], ["--name", "x"],
        ["--code", "--parse-mode", "HTML", "x"], ["--delete", "3", "--button", "a=https://b"],
        ["--edit", "3", "--pin"],
        ["--document", "a", "--document", "b", "--button", "a=https://b"],
        ["--document", "a", "--document", "b", "--name", "c"],
        ["--photo", "-", "--photo", "-"], Array(repeating: ["--photo", "a"], count: 11).flatMap { $0 },
        ["--edit", "3", "--text", "x", "--delete", "4"],
        ["--text", "x", "--emoji", "👍"], ["--text", "x", "--thread", "0"],
    ])
    func `A chat needs exactly one complete action`(_ arguments: [String]) {
        #expect(throws: ValidationError.self) { try options(["--chat", "42"] + arguments) }
    }

    @Test(arguments: [
        ("42", ChatID.id(42)), ("-1001234567890", .id(-1_001_234_567_890)), ("@channel", .name("@channel")),
        ("me", .name("me")), ("99999999999999999999", .name("99999999999999999999")),
    ])
    func `A chat is an id or a name`(_ text: String, _ chat: ChatID) throws {
        #expect(try options(["--chat", text, "--text", "x"]).commands().commands.first?.chat == chat)
    }

    @Test func `A text is sent`() throws {
        let text = TextMessage("<b>x</b>", MessageOptions(parseMode: "HTML", replyTo: 7, isSilent: true))
        #expect(
            try command("--text", "<b>x</b>", "--parse-mode", "HTML", "--reply-to", "7", "--silent")
                == TelegramCommand(.send(text), chat: .id(42)))
    }

    @Test(arguments: FileMessage.Kind.allCases)
    func `A file is sent as its kind`(_ kind: FileMessage.Kind) throws {
        let command = try command("--\(kind.rawValue)", "a.bin", "--caption", "c")
        let file = FileMessage(kind, .path("a.bin"), caption: "c")
        #expect(command == TelegramCommand(.file(file), chat: .id(42)))
    }

    @Test func `A message is edited, deleted and reacted to by its id`() throws {
        #expect(
            try command("--edit", "3", "--text", "x", "--parse-mode", "HTML").body
                == .edit(messageID: 3, text: "x", parseMode: "HTML"))
        #expect(try command("--delete", "3").body == .delete(messageID: 3))
        #expect(try command("--react", "3", "--emoji", "👍").body == .react(emoji: "👍", messageID: 3))
    }

    @Test func `A reaction without an emoji is a thumb`() throws {
        #expect(try command("--react", "3").body == .react(emoji: "👍", messageID: 3))
    }

    @Test(arguments: ["-5 °C outside", "- one item", "--chat"])
    func `A text, a caption or a path may begin with a minus sign`(_ text: String) throws {
        #expect(try command("--text", text).body == .send(TextMessage(text)))
        let file = FileMessage(.video, .path(text), caption: text, description: MediaDescription(title: text))
        #expect(try command("--video", text, "--caption", text, "--title", text).body == .file(file))
    }

    @Test func `A message can go into a topic`() throws {
        let chat = ["--chat", "-1001234567890", "--thread", "7"]
        let text = try options(chat + ["--text", "hi"]).commands().commands.first
        #expect(text?.body == .send(TextMessage("hi", MessageOptions(threadID: 7))))
        #expect(
            try options(chat + ["--document", "a"]).commands().commands.first?.body
                == .file(FileMessage(.document, .path("a"), MessageOptions(threadID: 7))))
        for command in [
            text, TelegramCommand(.file(FileMessage(.audio, .path("a"), MessageOptions(threadID: 7))), chat: .id(-100)),
        ] {
            let command = try #require(command)
            // The topic that the command names goes before that of the message which it answers.
            let origin = EventOrigin(chat: .id(-100), messageID: 8, threadID: 9)
            #expect(BotCall(command, origin: origin).parameters["message_thread_id"] == 7)
            #expect(try TelegramCommand(command.json, type: command.type) == command)
        }
    }

    @Test func `The emoji none removes a reaction`() throws {
        #expect(try command("--react", "3", "--emoji", "none").body == .react(emoji: "", messageID: 3))
    }

    @Test(arguments: [
        ["--text", "x"], ["--video", "a.mp4"], ["--document", "a"], ["--edit", "3", "--text", "x"], ["--delete", "3"],
        ["--react", "3", "--emoji", "👍"],
    ])
    func `Every command is a job of one step`(_ arguments: [String]) throws {
        let event = Envelope(try #require(try options(["--chat", "42"] + arguments).commands().commands.first))
        #expect(TelegramBound.sent.contains(event.type))
        #expect(try Job(event).steps == [.command])
    }
}

@Suite struct BotCallTests {
    private let origin = EventOrigin(chat: .id(-100), messageID: 8, threadID: 3)

    private func parameters(_ body: TelegramCommand.Body, chat: ChatID? = nil) -> JSONObject {
        BotCall(TelegramCommand(body, chat: chat), origin: origin).parameters
    }

    @Test func `A command without a chat goes to the chat and topic of its origin`() {
        let parameters = parameters(.send(TextMessage("x")))
        #expect(parameters["chat_id"] == -100 && parameters["message_thread_id"] == 3)
        #expect(parameters["reply_parameters"] == nil)
        #expect(self.parameters(.send(TextMessage("x")), chat: .id(42))["message_thread_id"] == nil)
    }

    @Test func `A reply and a file answer the origin's message, unless another is named`() {
        #expect(parameters(.reply(TextMessage("x")))["reply_parameters"]?["message_id"] == 8)
        #expect(
            parameters(.reply(TextMessage("x", MessageOptions(replyTo: 5))))["reply_parameters"]?["message_id"] == 5)
        let file = FileMessage(.video, .fileID("a"))
        #expect(parameters(.file(file))["reply_parameters"]?["message_id"] == 8)
        #expect(parameters(.file(file), chat: .id(42))["reply_parameters"] == nil)
    }

    @Test func `Plain text is cut to Telegram's limits and formatted text is not`() {
        let long = String(repeating: "x", count: 5000)
        #expect(parameters(.send(TextMessage(long)))["text"]?.string?.utf16.count == 4096)
        #expect(parameters(.send(TextMessage(long, MessageOptions(parseMode: "HTML"))))["text"]?.string?.count == 5000)
        let file = FileMessage(.document, .fileID("a"), caption: long)
        #expect(parameters(.file(file))["caption"]?.string?.utf16.count == 1024)
    }

    @Test func `A file's details are those that its method accepts`() {
        let description = MediaDescription(
            title: "t", performer: "p", durationSeconds: JSONNumber(3.5), width: 320, height: -1)
        let video = parameters(.file(FileMessage(.video, .url("https://x.org/a"), description: description)))
        #expect(video["video"] == "https://x.org/a" && video["duration"] == 4 && video["width"] == 320)
        #expect(video["height"] == nil && video["title"] == nil && video["supports_streaming"] == nil)
        let audio = parameters(.file(FileMessage(.audio, .fileID("a"), description: description)))
        #expect(audio["title"] == "t" && audio["performer"] == "p" && audio["width"] == nil)
        let huge = MediaDescription(durationSeconds: JSONNumber(1e300))
        #expect(parameters(.file(FileMessage(.video, .fileID("a"), description: huge)))["duration"] == nil)
    }

    @Test func `A reaction is set or removed`() {
        #expect(parameters(.react(emoji: "👍", messageID: nil))["message_id"] == 8)
        #expect(parameters(.react(emoji: "", messageID: 5))["reaction"] == [])
    }
}
