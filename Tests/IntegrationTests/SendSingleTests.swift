import Envelope
import Foundation
import Glibc
import JSON
import TestSupport
import Testing

/// Tests tg-send as a shell user calls it, for one message.
@Suite(.timeLimit(.minutes(3))) struct SendSingleTests {
    private let telegram: BotEmulator
    private let folder: TemporaryFolder
    private let ann = BotEmulator.User(42, "Ann")

    init() async throws {
        telegram = try BotEmulator()
        folder = try TemporaryFolder()
        try await telegram.say("hello", as: ann)
    }

    private func send(_ arguments: [String], input: String = "", _ more: [String: String] = [:]) async throws
        -> ToolRun.Result
    {
        try await ToolRun.run(
            "tg-send", arguments, input: input, environment: telegram.environment.merging(more) { $1 }, folder: folder)
    }

    private func texts() async throws -> [String] { try await telegram.answers(in: 42).compactMap(\.text) }

    /// Writes a small picture, which the emulator measures as Telegram does.
    private func picture(_ name: String) throws -> String {
        let path = folder(name)
        let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
        try #require(Data(base64Encoded: png)).write(to: URL(fileURLWithPath: path))
        return path
    }

    @Test func `The output of a program becomes a message`() async throws {
        let plain = try await send(["--chat", "42"], input: "load average: 0.42\n")
        #expect(plain.status == 0, "\(plain.errors)")
        #expect(try await send(["--chat", "42", "-"], input: "by a dash\n").status == 0)
        #expect(try await send(["--chat", "42", "an argument"]).status == 0)
        #expect(try await send(["a default chat"], ["TG_CHAT": "42"]).status == 0)
        #expect(try await texts() == ["load average: 0.42", "by a dash", "an argument", "a default chat"])
        let id = try #require(try plain.envelopes().first?.payload["message_id"]?.int)
        #expect(try await send(["--chat", "42", "--edit", "\(id)"], input: "load average: 7\n").status == 0)
        #expect(try await texts().first == "load average: 7")
        let empty = try await send(["--chat", "42"], input: "\n")
        #expect(empty.status == 64)
        #expect(empty.errors.contains("the text is empty"))
    }

    @Test func `Success is silent, as cron wants it, unless the user asks for the log`() async throws {
        let silent = try await send(["--chat", "42", "x", "--print", "none"], ["TGPIPE_LOG": "json"])
        #expect(silent.status == 0 && silent.output.isEmpty && silent.errors.isEmpty, "\(silent.errors)")
        let told = try await send(["--chat", "42", "x", "-v"], ["TGPIPE_LOG": ""])
        #expect(told.errors.contains("tg-send: sent ("), "\(told.errors)")
        let asked = try await send(["--chat", "42", "x", "-v", "--log-format", "json"], ["TGPIPE_LOG": ""])
        #expect(asked.errors.contains(#""message":"sent""#), "\(asked.errors)")
        let id = try #require(try told.envelopes().first?.payload["message_id"]?.int)
        let deleted = try await send(["--chat", "42", "--delete", "\(id)"], ["TGPIPE_LOG": "human:info"])
        #expect(deleted.errors.hasPrefix("tg-send: deleted ("), "\(deleted.errors)")
        // The mail of cron is for people, and so is the error in it.
        let failed = try await send(["--chat", "999", "x"], ["TGPIPE_LOG": ""])
        let reason = "tg-send: error: Telegram: chat not found (a person must have started the bot"
        #expect(failed.errors.hasPrefix(reason), "\(failed.errors)")
        #expect(try await send(["--chat", "42", "x", "-v", "-q"]).status == 64)
    }

    @Test func `A text that is given as events is refused with what may have been meant`() async throws {
        let redis = try RedisServer()
        let plain = try await send([], input: "disk full\nagain\n", ["TGPIPE_REDIS": redis.address])
        #expect(plain.status == 65)
        #expect(
            plain.errors.components(separatedBy: "name a chat, as in 'tg-send --chat ID'").count == 2, "\(plain.errors)"
        )
        let named = try await send([], input: "disk full\n", ["TGPIPE_REDIS": redis.address, "TG_CHAT": "42"])
        #expect(named.status == 65 && named.errors.contains("call 'tg-send -'"), "\(named.errors)")
        #expect(try await send(["-"], input: "disk full\n", ["TG_CHAT": "42"]).status == 0)
        #expect(try await texts() == ["disk full"])
    }

    @Test func `Code is shown as it is`() async throws {
        let result = try await send(["--chat", "42", "--code"], input: "a < b && c\n  d\n")
        #expect(result.status == 0, "\(result.errors)")
        let message = try #require(try await telegram.answers(in: 42).last?.message)
        #expect(message["text"] == "a < b && c\n  d")
        #expect(message["entities"]?.array?.first?["type"] == "pre")
    }

    @Test func `A long output is split, and the exit status tells when it is refused`() async throws {
        let lines = (1...1500).map { "line \($0)" }.joined(separator: "\n")
        #expect(try await send(["--chat", "42"], input: lines).status == 0)
        #expect(try await texts().joined(separator: "\n") == lines)
        let refused = try await send(["--chat", "42", "--long", "refuse"], input: lines)
        #expect(refused.status == 64)
        let document = try await send(["--chat", "42", "--long", "document", "--name", "lines.txt"], input: lines)
        #expect(document.status == 0, "\(document.errors)")
        #expect(try await telegram.answers(in: 42).last?.message["document"]?["file_name"] == "lines.txt")
    }

    @Test(arguments: ["photo", "video", "animation", "audio", "voice", "document"])
    func `Each kind of file is sent from a pipe`(_ kind: String) async throws {
        let path = try picture("cat.png")
        let result = try await ToolRun.run(
            "tg-send", ["--chat", "42", "--\(kind)", "-", "--name", "cat.png", "--caption", "c"],
            bytes: Array(try Data(contentsOf: URL(fileURLWithPath: path))), environment: telegram.environment)
        #expect(result.status == 0, "\(result.errors)")
        let message = try #require(try await telegram.answers(in: 42).last?.message)
        #expect(message[kind] != nil && message["caption"] == "c", "\(message)")
        #expect(try result.envelopes().first?.payload["action"] == .string("send_\(kind)"))
    }

    @Test func `Several files become one album`() async throws {
        let (first, second) = (try picture("a.png"), try picture("b.png"))
        let result = try await send(["--chat", "42", "--photo", first, "--photo", second, "--caption", "both"])
        #expect(result.status == 0, "\(result.errors)")
        let messages = try await telegram.answers(in: 42).map(\.message)
        #expect(messages.count == 2 && messages.allSatisfy { $0["photo"] != nil })
        #expect(messages.first?["caption"] == "both")
        #expect(Set(messages.map { $0["media_group_id"] }).count == 1)
        let payload = try #require(try result.envelopes().first?.payload)
        #expect(payload["message_id"] == messages.first?["message_id"])
        #expect(payload["message_ids"]?.array == messages.map { $0["message_id"] ?? .null })
        let single = try await send(["--chat", "42", "--file", first])
        #expect(try single.envelopes().first?.payload["action"] == "send_document")
        #expect(try single.envelopes().first?.payload["message_ids"] == nil)
    }

    @Test func `Buttons, protection, previews and pins reach Telegram`() async throws {
        let result = try await send([
            "--chat", "42", "see https://example.com", "--button", "Docs=https://example.com/docs", "--button",
            "More=https://example.com/more", "--protect", "--link-preview", "--pin",
        ])
        #expect(result.status == 0, "\(result.errors)")
        let message = try #require(try await telegram.answers(in: 42).last?.message)
        let rows = message["reply_markup"]?["inline_keyboard"]?.array ?? []
        #expect(rows.map { $0.array?.first?["text"] } == ["Docs", "More"])
        #expect(message["has_protected_content"] == true)
        #expect(message["link_preview_options"] == nil)
        let pins = try await telegram.calls("pinChatMessage")
        #expect(pins.map { $0["params"]?["message_id"]?.long } == [message["message_id"]?.int])
        #expect(try result.envelopes().map { $0.payload["action"] } == ["send", "pin"])
    }

    @Test func `A refused pin loses nothing of a long text`() async throws {
        try await telegram.fault("pinChatMessage", "400")
        let lines = (1...1500).map { "line \($0)" }.joined(separator: "\n")
        let result = try await send(["--chat", "42", "--pin"], input: lines)
        #expect(result.status == 1)
        #expect(try await texts().joined(separator: "\n") == lines)
        #expect(
            result.errors.contains("3 of 3 messages were sent") || result.errors.contains("4 of 4 messages were sent"))
    }

    @Test(arguments: [[], ["--document", "-"]]) func `A signal ends the wait for input at once`(_ what: [String])
        async throws
    {
        let run = try ToolRun(
            "tg-send", ["--chat", "42"] + what, environment: telegram.environment, folder: folder)
        try await Task.sleep(for: .seconds(1))
        run.signal(SIGINT)
        #expect(try await run.result().status == 128 + SIGINT)
    }

    @Test func `The link or nothing can be printed`() async throws {
        let link = try await send(["--chat", "42", "x", "--print", "link"])
        let id = try #require(try await telegram.answers(in: 42).last?.id)
        #expect(link.lines == ["tg://openmessage?user_id=42&message_id=\(id)"])
        #expect(try await send(["--chat", "42", "x", "--print", "none"]).output.isEmpty)
    }

    @Test(arguments: [
        (["--chat", "42", "two", "words"], "quote it"), (["hello"], "needs --chat"),
        (["--chat", "42", "--photo", "a.jpg", "b.jpg"], "write --photo before each file"),
        (["--chat", "42", "x", "--schedule", "2h"], "--schedule needs an account"),
        (["--chat", "42", "x", "--schedule", "yesterday"], "--schedule"),
        (["--chat", "42", "x", "--button", "Docs"], "--button"),
        (["--chat", "42", "--chat", "43", "x"], "--chat is given twice"),
        (["--txet", "x"], "--text"), (["--chat", "", "x"], "--chat is empty"), (["--silent"], "needs --chat"),
        (["--chat", "42", "--photo", "a.jpg", "--width", "5"], "--width needs a video"),
        (["--chat", "42", "--react", "3", "--code"], "--code is for a text"),
        (["--chat", "42", "x", "--from", "queue:a"], "--from is for events"),
        (["--chat", "42", "-5 degrees"], "goes behind --"),
        (["--chat", "42", "--width", "wide", "--txet", "x"], "--txet"),
    ])
    func `A mistake in the arguments is named, and nothing is sent`(_ arguments: [String], _ words: String) async throws
    {
        let result = try await send(arguments)
        #expect(result.status == 64)
        #expect(result.errors.hasPrefix("tg-send: error: ") && result.errors.contains(words), "\(result.errors)")
        // The reason, the help of the option that it is about, and where the rest is.
        #expect(result.errors.split(separator: "\n").count <= 3, "\(result.errors)")
        #expect(try await telegram.answers(in: 42).isEmpty)
    }
}
