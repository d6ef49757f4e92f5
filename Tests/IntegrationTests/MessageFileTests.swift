import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Fetches the files of Telegram messages.
@Suite(.timeLimit(.minutes(2))) struct MessageFileTests {
    private let redis: RedisServer
    private let folder: TemporaryFolder
    private let user = BotEmulator.User(42, "Ann")

    init() throws {
        redis = try RedisServer()
        folder = try TemporaryFolder()
    }

    /// Sends files as a user, and returns the commands that ask for them.
    private func commands(_ telegram: BotEmulator, _ kinds: [String]) async throws -> [Envelope] {
        var commands: [Envelope] = []
        for (number, kind) in kinds.enumerated() {
            // Equal files would be one file.
            try Data("file \(number)".utf8).write(to: URL(fileURLWithPath: folder("Notes of May.txt")))
            let id = try await telegram.sendFile(folder("Notes of May.txt"), kind: kind, as: user)
            let message = try #require(try await telegram.chat(42).first { $0.id == id }?.message)
            var file = try #require(message[kind]?.object)
            file["type"] = .string(kind)
            commands.append(
                Envelope(
                    type: "commands.media.video_download", payload: ["file": .object(file)],
                    meta: ["origin": ["chat_id": 42, "message_id": .integer(id), "chat_type": "private"]]))
        }
        return commands
    }

    private func fetch(_ telegram: BotEmulator, _ commands: [Envelope], _ arguments: [String] = []) async throws
        -> [Envelope]
    {
        let run = try ToolRun(
            "media-fetch", ["--store", "file:\(folder("store"))", "--allow-private"] + arguments,
            environment: telegram.environment.merging(["TGPIPE_REDIS": redis.address]) { $1 }, folder: folder)
        run.send(commands.flatMap(\.line))
        run.closeInput()
        let result = try await run.result()
        #expect(result.status == 0, "\(result.errors)")
        return try result.envelopes().filter { $0.type != "events.media.progress" }
    }

    @Test func `A wait that Telegram requires of one file holds back all, and none of them fails`() async throws {
        let telegram = try BotEmulator()
        let commands = try await commands(telegram, Array(repeating: "document", count: 4))
        try await telegram.fault("getFile", "429", times: 1, ["retry_after": 2])
        let results = try await fetch(telegram, commands, ["--concurrency", "1"])
        #expect(results.map(\.type) == Array(repeating: "events.media.fetched", count: 4))
        let calls = try await telegram.calls("getFile")
        let refused = try #require(calls.first { $0["status"] == 429 }?["started_at"]?.double)
        #expect(calls.count { $0["status"] == 429 } == 1)
        #expect(calls.allSatisfy { $0["status"] == 429 || $0["started_at"]?.double ?? 0 >= refused + 2 })
    }

    @Test func `A file of a local server has the name that its sender gave it, or else the server's`() async throws {
        let telegram = try BotEmulator("--local")
        // The Bot API tells no name of a voice message.
        let results = try await fetch(telegram, try await commands(telegram, ["document", "voice"]))
        #expect(results.count == 2)
        let names = results.compactMap { $0.payload["file_name"]?.string }
        #expect(names.contains("Notes of May.txt"), "\(results.map(\.payload))")
        #expect(names.count == 2 && names.allSatisfy { $0.contains(".") }, "\(names)")
    }
}
