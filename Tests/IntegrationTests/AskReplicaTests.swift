import Envelope
import JSON
import Payloads
import TestSupport
import Testing

/// Answers questions while the replicas of Redis do not confirm what is written.
@Suite(.timeLimit(.minutes(3)), .enabled(if: !RedisServer.isCluster)) struct AskReplicaTests {
    @Test func `A press counts whose answer is written and confirmed only later`() async throws {
        let (redis, folder) = (try RedisServer(tcp: true), try TemporaryFolder())
        let replica = try RedisServer(configuration: ["replicaof 127.0.0.1 \(try #require(redis.port))"], tcp: true)
        #expect(try await eventually { try replica.cli("INFO", "replication").contains("master_link_status:up") })
        let site = try WebSite(root: folder.path)
        let run = try ToolRun(
            "media-ask", ["--allow-private", "--wait", "60s"],
            environment: ["TGPIPE_REDIS": "redis://127.0.0.1:\(try #require(redis.port))?replicas=1"], folder: folder)
        let link = "\(site.url)/choice/film?at=120:small.mp4&at=240:large.mp4"
        var request = Envelope(MediaDownload(kind: .video, source: .url(link), asks: true))
        request.actor = EventActor(id: 42, name: "Ann")
        request.origin = EventOrigin(chat: .id(42), messageID: 7)
        request.meta["bot"] = ["id": 9, "username": "helper_bot"]
        run.send(request.line)
        _ = try await run.waitForLines { lines in lines.contains { $0.contains("choosing") } }
        let question = try #require(try events(run).first { $0.payload["state"] == "choosing" })
        let button = try #require(question.payload["buttons"]?.array?[1].array?[1])
        replica.freeze()
        defer { replica.thaw() }
        run.send(press(try #require(button["data"]?.string)).line)
        #expect(try await eventually { try !redis.cli("KEYS", "*:answer").isEmpty })
        // Confirmations are waited for up to a second each.
        try await Task.sleep(for: .seconds(2))
        replica.thaw()
        _ = try await run.waitForLines { lines in lines.contains { $0.contains("commands.telegram.answer") } }
        let answer = try #require(try events(run).first { $0.type == "commands.telegram.answer" })
        #expect(answer.payload["text"] == "On it.")
        // The request goes on at once, and not at the end of its time.
        _ = try await run.waitForLines { lines in lines.contains { $0.contains("commands.media.video_download") } }
        let chosen = try #require(try events(run).first { $0.type == "commands.media.video_download" })
        #expect(chosen.payload["variant"]?["height"] == 120)
        run.closeInput()
        #expect(try await run.result().status == 0)
    }

    private func events(_ run: ToolRun) throws -> [Envelope] {
        try run.lines.map { try Envelope(try JSON(parsing: $0)) }
    }

    private func press(_ data: String) -> Envelope {
        let ann: JSON = ["id": 42, "is_bot": false, "first_name": "Ann"]
        var event = Envelope(
            type: "events.telegram.raw",
            payload: [
                "update_id": 5,
                "callback_query": [
                    "id": "77", "from": ann, "chat_instance": "1", "data": .string(data),
                    "message": [
                        "message_id": 8, "date": 1_800_000_000, "chat": ["id": 42, "type": "private"], "text": "?",
                        "reply_to_message": ["message_id": 7, "chat": ["id": 42, "type": "private"]],
                    ],
                ],
            ])
        event.actor = EventActor(id: 42, name: "Ann")
        event.meta["bot"] = ["id": 9, "username": "helper_bot"]
        return event
    }
}
