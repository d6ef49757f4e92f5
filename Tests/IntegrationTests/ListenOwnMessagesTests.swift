import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Tests that an account obeys its owner's hand, and never what programs send through it.
@Suite(.timeLimit(.minutes(3))) struct ListenOwnMessagesTests {
    private static let command = ".vdl https://example.org/v"
    private let alice: AccountFixture
    private let redis: RedisServer

    init() async throws {
        alice = try await AccountFixture()
        redis = try RedisServer()
        try await alice.logIn()
    }

    private var environment: [String: String] {
        alice.environment.merging(["TGPIPE_REDIS": redis.address]) { $1 }
    }

    private func run(_ tool: String, _ arguments: [String], input: String = "") async throws -> ToolRun.Result {
        try await ToolRun.run(tool, arguments, input: input, environment: environment, folder: alice.folder)
    }

    private func listen() async throws -> ToolRun.Result {
        try await run("tg-listen", ["--session", AccountFixture.name, "--once"])
    }

    private func send(_ text: String) async throws {
        let result = try await run("tg-send", ["--session", AccountFixture.name, "--chat", "77", "--text", text])
        #expect(result.status == 0, "\(result.errors)")
    }

    private func writeByHand(_ text: String) async throws {
        let own: JSON = ["id": .integer(MTProtoEmulator.alice), "first_name": "Alice"]
        try await alice.control("message", ["chat_id": 77, "from": own, "text": .string(text)])
    }

    /// Returns, for each event, whether a program sent its message.
    private func marks(_ result: ToolRun.Result) throws -> [Bool] {
        try result.envelopes().map { event in
            #expect(event.meta["outgoing"] == true)
            return event.meta["sent_by_program"] == true
        }
    }

    private func commands(_ lines: [String]) async throws -> [String] {
        let result = try await run(
            "tg-gate", ["--admin", "\(MTProtoEmulator.alice)"], input: lines.map { $0 + "\n" }.joined())
        return try result.envelopes().map(\.type)
    }

    @Test func `Messages of tg-send are no commands, although the listener was down, and those of the hand are`()
        async throws
    {
        // An answer to a stranger has the stranger's name in it.
        let chat: JSONObject = [
            "chat_id": 77, "from": ["id": 77, "first_name": "Bob", "username": "bobby"], "text": "hi",
        ]
        try await alice.control("message", chat)
        #expect(try await listen().status == 0)
        try await send(Self.command)
        try await writeByHand(Self.command)
        try await send(".whoami")
        let result = try await listen()
        #expect(try marks(result) == [true, false, true], "\(result.errors)")
        #expect(try await commands(result.lines) == ["commands.media.video_download"])
    }

    @Test func `A program's message to oneself is no command, and one's own is`() async throws {
        let own: JSON = ["id": .integer(MTProtoEmulator.alice), "first_name": "Alice"]
        let order: JSONObject = [
            "chat_id": .integer(MTProtoEmulator.alice), "from": own, "text": .string(Self.command),
        ]
        #expect(try await listen().status == 0)
        let sent = try await run("tg-send", ["--session", AccountFixture.name, "--chat", "me", "--text", Self.command])
        #expect(sent.status == 0, "\(sent.errors)")
        try await alice.control("message", order)
        let result = try await listen()
        #expect(try result.envelopes().map { $0.meta["sent_by_program"] } == [true, nil], "\(result.errors)")
        #expect(try await commands(result.lines) == ["commands.media.video_download"])
    }

    @Test func `Messages of another process are no commands while the listener runs`() async throws {
        let chat: JSONObject = [
            "chat_id": 77, "from": ["id": 77, "first_name": "Bob", "username": "bobby"], "text": "hi",
        ]
        try await alice.control("message", chat)
        #expect(try await listen().status == 0)
        let owner = try ToolRun(
            "tg-session", ["run", AccountFixture.name], environment: environment, folder: alice.folder)
        #expect(try await eventually { owner.log.contains("connected") })
        let listener = try ToolRun(
            "tg-listen", ["--session", AccountFixture.name], environment: environment, folder: alice.folder)
        #expect(try await eventually { listener.log.contains("listening") })
        for number in 1...5 {
            try await send("\(Self.command)\(number)")
            try await writeByHand("\(Self.command)\(number)")
            _ = try await listener.waitForLines { $0.count == 2 * number }
        }
        listener.signal(SIGTERM)
        let result = try await listener.result()
        #expect(try marks(result) == (1...5).flatMap { _ in [true, false] }, "\(result.errors)")
        #expect(try await commands(result.lines).count == 5)
        owner.signal(SIGTERM)
        #expect(try await owner.result().status == 0)
    }
}
