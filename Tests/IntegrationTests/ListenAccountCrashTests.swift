import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Tests that each message of an account is emitted once, whichever process is killed.
///
/// `TGPIPE_TEST_KILLS` and `TGPIPE_TEST_MESSAGES` make it larger: 50 and 10,000 is what the toolkit promises.
@Suite(.timeLimit(.minutes(15))) struct ListenAccountCrashTests {
    private let alice: AccountFixture
    private let kills = ListenAccountCrashTests.number("TGPIPE_TEST_KILLS", 5)
    private let messages = ListenAccountCrashTests.number("TGPIPE_TEST_MESSAGES", 600)
    private static let chats = 20

    init() async throws { alice = try await AccountFixture() }

    private static func number(_ name: String, _ standard: Int) -> Int {
        ProcessInfo.processInfo.environment[name].flatMap(Int.init) ?? standard
    }

    /// Returns the chat of a number: an even number is a private chat, an odd one a channel.
    private static func chat(_ number: Int) -> JSONObject {
        guard number % 2 == 0 else {
            return [
                "chat_id": .integer(-1_000_000_000_100 - Int64(number)), "chat_type": "channel",
                "title": .string("News \(number)"),
            ]
        }
        let id = Int64(100 + number)
        return ["chat_id": .integer(id), "from": .object(["id": .integer(id), "first_name": .string("P\(number)")])]
    }

    /// Writes messages to all chats, a few at a time.
    private func write() async throws {
        let each = messages / ListenAccountCrashTests.chats
        for start in stride(from: 0, to: each, by: 5) {
            for number in 0..<ListenAccountCrashTests.chats {
                var order = ListenAccountCrashTests.chat(number)
                order["text"] = .string("\(number)-\(start)-{n}")
                order["count"] = .integer(Int64(min(5, each - start)))
                try await alice.control("burst", order)
            }
        }
    }

    private func kill(_ start: () throws -> ToolRun) async throws {
        for _ in 0..<kills {
            let run = try start()
            try await Task.sleep(for: .milliseconds(Int.random(in: 50...250)))
            run.signal(SIGKILL)
            _ = try await run.result()
        }
    }

    /// Writes messages while the listener is killed again and again. A run before that stores the listener's position, and a run
    /// after it fetches the rest.
    private func writeWhileKilling(_ listen: @Sendable (_ more: [String]) throws -> ToolRun) async throws {
        #expect(try await listen(["--once"]).result().status == 0)
        async let written: Void = write()
        try await kill { try listen([]) }
        try await written
        let last = try await listen(["--once"]).result()
        #expect(last.status == 0, "\(last.errors.suffix(2000))")
    }

    private func expectEachOnce(_ events: [Envelope]) {
        let raw = events.filter { $0.type == "events.telegram.raw" }
        let texts = raw.compactMap { ($0.payload["message"] ?? $0.payload["channel_post"])?["text"]?.string }
        let total = messages / ListenAccountCrashTests.chats * ListenAccountCrashTests.chats
        let lost = total - Set(texts).count
        #expect(texts.count == total && lost == 0, "\(texts.count - Set(texts).count) twice, \(lost) lost")
        for (chat, messages) in Dictionary(grouping: raw.compactMap(\.seen), by: \.chat) {
            #expect(messages.map(\.id) == messages.map(\.id).sorted(), "the chat \(chat) is out of order")
        }
        #expect(raw.compactMap { $0.payload["update_id"]?.int } == Array(1...Int64(max(1, raw.count))))
    }

    @Test func `A killed listener emits every message once, to a file`() async throws {
        let output = alice.folder("out.ndjson")
        let arguments = [
            "--session", AccountFixture.name, "--state", alice.folder("state.json"), "--to", output,
        ]
        let listen = { @Sendable [alice] (more: [String]) throws in
            try ToolRun("tg-listen", arguments + more, environment: alice.environment, folder: alice.folder)
        }
        try await writeWhileKilling(listen)
        // A torn line was ended, and its event emitted anew.
        let lines = try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n")
        expectEachOnce(lines.compactMap { try? Envelope(try JSON(parsing: String($0))) })
        #expect(try await alice.violations() == [])
    }

    @Test func `A killed listener emits every message once, to a queue`() async throws {
        let queues = try QueueFixture()
        let environment = alice.environment.merging(queues.environment) { $1 }
        let listen = { @Sendable [alice] (more: [String]) throws in
            try ToolRun(
                "tg-listen", ["--session", AccountFixture.name, "--to", "queue:raw"] + more, environment: environment,
                folder: alice.folder)
        }
        try await writeWhileKilling(listen)
        expectEachOnce(try await queues.run("ev-queue", "peek", "raw", "-n", "0").envelopes())
        #expect(try await alice.violations() == [])
    }

    /// The owner of the session dies again and again; the listener is spoken to by each next one, and goes on by itself.
    @Test func `Killing the session's owner loses and repeats no message`() async throws {
        let arguments = ["--session", AccountFixture.name, "--state", alice.folder("state.json")]
        let run = { @Sendable [alice] (tool: String, arguments: [String]) throws in
            try ToolRun(tool, arguments, environment: alice.environment, folder: alice.folder)
        }
        #expect(try await run("tg-listen", arguments + ["--once"]).result().status == 0)
        let first = try run("tg-session", ["run", AccountFixture.name])
        let socket = alice.folder("state/sessions/\(AccountFixture.name).sock")
        #expect(try await eventually { FileManager.default.fileExists(atPath: socket) })
        let listener = try run("tg-listen", arguments)
        #expect(try await eventually { listener.log.contains("listening") })
        async let written: Void = write()
        try await Task.sleep(for: .milliseconds(100))
        first.signal(SIGKILL)
        _ = try await first.result()
        try await kill { try run("tg-session", ["run", AccountFixture.name]) }
        let last = try run("tg-session", ["run", AccountFixture.name])
        try await written
        let total = messages
        _ = try await listener.waitForLines { $0.count >= total }
        listener.signal(SIGTERM)
        let result = try await listener.result()
        #expect(result.status == 0, "\(result.errors.suffix(2000))")
        last.signal(SIGTERM)
        _ = try await last.result()
        expectEachOnce(try result.envelopes())
        #expect(try await alice.violations() == [])
    }
}

extension Envelope {
    /// The chat and the id of the message that the event contains.
    fileprivate var seen: (chat: Int64, id: Int64)? {
        guard let message = payload["message"] ?? payload["channel_post"], let chat = message["chat"]?["id"]?.int,
            let id = message["message_id"]?.int
        else { return nil }
        return (chat, id)
    }
}
