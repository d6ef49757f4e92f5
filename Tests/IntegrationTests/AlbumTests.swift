import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Sends pictures in albums by processes that may die, or share the work, against the emulated Telegram.
@Suite(.timeLimit(.minutes(3))) struct AlbumTests {
    private let telegram: BotEmulator
    private let redis: RedisServer
    private let folder: TemporaryFolder
    private let correlation = EventID()

    init() throws {
        (telegram, redis, folder) = (try BotEmulator(), try RedisServer(tcp: true), try TemporaryFolder())
        let words = "ffmpeg -v error -f lavfi -i testsrc=s=64x48 -frames:v 1 \(folder("p.png"))".split(separator: " ")
        #expect(try SpawnedProgram(words.map(String.init)).wait() == 0)
    }

    /// Returns the event of a picture of a group of two.
    private func picture(_ item: Int64) throws -> Envelope {
        let size = try FileManager.default.attributesOfItem(atPath: folder("p.png"))[.size] as? Int64 ?? 0
        return Envelope(
            type: "events.dl.image.ready",
            payload: [
                "kind": "image", "key": .string("image/\(String(repeating: "\(item)", count: 64)).bin"),
                "store": .string("file:\(folder("store"))"), "path": .string(folder("p.png")),
                "size_bytes": .integer(size), "content_type": "image/png", "file_name": "p.png", "width": 64,
                "height": 48,
            ],
            meta: [
                "origin": ["chat_id": 101, "message_id": 1, "chat_type": "private"],
                "group": ["item": .integer(item), "count": 2],
            ], correlationID: correlation)
    }

    private var ended: String { "tgpipe:{group:\(correlation):image}:ended" }

    /// Sends events, and returns how many photos and albums were sent.
    private func calls(for events: [Envelope], redis address: String, isWaiting: Bool = false) async throws -> Int {
        try await telegram.say("x", as: BotEmulator.User(101, "User"))
        let run = try ToolRun(
            "tg-send", ["--no-pacing"], environment: telegram.environment.merging(["TGPIPE_REDIS": address]) { $1 },
            folder: folder)
        for event in events { run.send(event.line) }
        // At the end of the input, nobody waits for further pictures.
        if isWaiting { _ = try await run.waitForLines { $0.contains { $0.contains("events.telegram.sent") } } }
        run.closeInput()
        #expect(try await run.result().status == 0)
        return try await telegram.calls("sendMediaGroup").count + telegram.calls("sendPhoto").count
    }

    @Test func `Two pictures are one album`() async throws {
        #expect(try await calls(for: [picture(1), picture(2)], redis: redis.address, isWaiting: true) == 1)
        // Nothing is noted any more that would keep the group from ending.
        #expect(try redis.cli("HGET", ended, "1").isEmpty)
    }

    @Test func `An album is not sent again by a process that takes over from one that died after it`() async throws {
        // What the dead process has noted with the album, before the end of its own event.
        try redis.cli("HSET", ended, "1", #"{"album":true,"first":true}"#, "2", #"{"album":true}"#)
        #expect(try await calls(for: [picture(1), picture(2)], redis: redis.address) == 0)
        // It ends the group, as the dead process would have.
        #expect(try redis.cli("HGET", ended, "1").isEmpty)
    }

    @Test func `A picture that another process sends before its turn is not sent again`() async throws {
        let (ended, redis) = (ended, redis)
        let relay = try PausingRelay(to: try #require(redis.port), before: "waiters:2") {
            // The other process has sent both as one album.
            _ = try? redis.cli("HSET", ended, "1", "", "2", #"{"album":true}"#)
        }
        #expect(try await calls(for: [picture(2)], redis: "redis://127.0.0.1:\(relay.port)") == 0)
        #expect(try redis.cli("HGET", ended, "2") == #"{"album":true}"#)
    }
}
