import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Provides an emulated Telegram with a bot, a Redis, and a clip to send, and runs tools with them.
struct SendFixture {
    let telegram: BotEmulator
    let redis: RedisServer
    let folder: TemporaryFolder
    private let clipBytes: Int

    init(clipBytes: Int) throws {
        telegram = try BotEmulator()
        redis = try RedisServer()
        folder = try TemporaryFolder()
        self.clipBytes = clipBytes
        try Data(repeating: 7, count: clipBytes).write(to: URL(fileURLWithPath: clip))
    }

    /// The path of the clip.
    var clip: String { folder("clip.mp4") }

    func run(_ tool: String, _ arguments: [String]) throws -> ToolRun {
        try ToolRun(
            tool, arguments, environment: telegram.environment.merging(["TGPIPE_REDIS": redis.address]) { $1 },
            folder: folder)
    }

    /// Returns an event that a message in a private chat has caused.
    func event(
        _ type: String, _ payload: JSONObject, chat: Int64, message: Int64 = 1, correlation: EventID = EventID()
    ) -> Envelope {
        Envelope(
            type: type, payload: payload,
            meta: ["origin": ["chat_id": .integer(chat), "message_id": .integer(message), "chat_type": "private"]],
            correlationID: correlation)
    }

    /// Returns the event after which the clip is sent.
    func ready(chat: Int64, message: Int64 = 1, correlation: EventID = EventID()) -> Envelope {
        event(
            "events.dl.video.ready",
            [
                "kind": "video", "key": .string("video/\(String(repeating: "c", count: 64)).mp4"),
                "store": .string("file:\(folder("store"))"), "path": .string(clip),
                "size_bytes": .integer(Int64(clipBytes)), "content_type": "video/mp4", "file_name": "clip.mp4",
            ], chat: chat, message: message, correlation: correlation)
    }

    /// Lets each user write once, and returns the ids of the messages. A bot may only answer those who have written to it.
    @discardableResult
    func meet(_ chats: ClosedRange<Int64>) async throws -> [Int64: Int64] {
        var ids: [Int64: Int64] = [:]
        for chat in chats { ids[chat] = try await telegram.say("x", as: BotEmulator.User(chat, "User")) }
        return ids
    }

    /// Puts events into the queue `send`.
    func push(_ events: [Envelope]) async throws {
        let pusher = try run("blob-put", ["--to", "queue:send"])
        pusher.send(events.flatMap(\.line))
        pusher.closeInput()
        #expect(try await pusher.result().status == 0)
    }

    /// Returns the events of a queue.
    func queued(_ queue: String) throws -> [Envelope] {
        try redis.cli("XRANGE", "tgpipe:{queues}:\(queue):stream", "-", "+").split(separator: "\n")
            .filter { $0.hasPrefix("{") }.map { try Envelope(try JSON(parsing: String($0))) }
    }

    /// Returns the correlation ids of the requests that are shown in a chat and not ended.
    func openRequests() throws -> [String] {
        let keys = try redis.cli("--scan", "--pattern", "tgpipe:*:open").split(separator: "\n")
        return try keys.flatMap { try redis.cli("HKEYS", String($0)).split(separator: "\n").map(String.init) }
    }

    /// Returns whether a request has a placeholder reply.
    func hasReply(to correlation: EventID) throws -> Bool {
        Int(try redis.cli("GET", "tgpipe:correlation:\(correlation):reply")) ?? 0 > 0
    }
}
