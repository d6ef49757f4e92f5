import Envelope
import Foundation
import JSON
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct SendToolTests {
    private let telegram: BotEmulator
    private let redis: RedisServer
    private let folder: TemporaryFolder
    private let ann = BotEmulator.User(42, "Ann")
    private let key = "video/\(String(repeating: "a", count: 64)).mp4"

    init() throws {
        telegram = try BotEmulator()
        redis = try RedisServer()
        folder = try TemporaryFolder()
    }

    private var environment: [String: String] { telegram.environment.merging(["TGPIPE_REDIS": redis.address]) { $1 } }

    private func send(_ events: [Envelope], _ arguments: [String] = []) async throws -> ToolRun.Result {
        try await ToolRun.run(
            "tg-send", arguments, bytes: events.flatMap(\.line), environment: environment, folder: folder)
    }

    /// Returns an event that answers message 1 of a chat, by default the chat with Ann.
    private func event(_ type: String, _ payload: JSONObject, _ correlation: EventID = EventID(), chat: Int64 = 42)
        -> Envelope
    {
        Envelope(
            type: type, payload: payload,
            meta: [
                "origin": ["chat_id": .integer(chat), "message_id": 1, "chat_type": "private"],
                "received_at": .string(Timestamp.now.description),
            ], correlationID: correlation)
    }

    private func media(_ bytes: Int = 5000) throws -> JSONObject {
        let path = folder("clip.mp4")
        try Data(repeating: 7, count: bytes).write(to: URL(fileURLWithPath: path))
        return [
            "kind": "video", "key": .string(key), "store": .string("file:\(folder("store"))"), "path": .string(path),
            "size_bytes": .integer(Int64(bytes)), "content_type": "video/mp4", "file_name": "clip.mp4",
            "title": "A <clip>",
            "duration_seconds": 3.2, "width": 320, "height": 240,
        ]
    }

    private func ready(_ payload: JSONObject, _ correlation: EventID = EventID()) -> Envelope {
        event("events.dl.video.ready", payload, correlation)
    }

    @Test(arguments: [
        "Bad Request: REACTION_INVALID", "Bad Request: REACTIONS_DISABLED", "Forbidden: PREMIUM_ACCOUNT_REQUIRED",
    ])
    func `Where a reaction is not allowed a text answers`(_ refusal: String) async throws {
        let question = try await telegram.say("question", as: ann)
        try await telegram.fault(
            "setMessageReaction", refusal.hasPrefix("Bad") ? "400" : "403", times: 2, ["description": .string(refusal)])
        let result = try await send([
            event("commands.telegram.react", ["emoji": "👍", "text": "👍 This group is no longer banned."]),
            event("commands.telegram.react", ["emoji": "👍"]),
        ])
        let answer = try await telegram.chat(42).first { $0.isBots }
        #expect(answer?.text == "👍 This group is no longer banned." && answer?.repliesTo == question)
        // Without a text, the emoji answers where the chat allows no reactions.
        let second = refusal.hasPrefix("Bad") ? "sent" : "failed"
        // The answer of the first command is a second call, before which the second command may have failed.
        let types = try result.envelopes().map(\.type)
        #expect(Set(types) == ["events.telegram.sent", "events.telegram.\(second)"] && types.count == 2)
    }

    @Test func `A video from the command line tells its size, length and type, and a large one has a preview`()
        async throws
    {
        _ = try await telegram.say("question", as: ann)
        let filter = "testsrc2=d=2:s=640x360:r=25"
        let options = "-c:v libx264 -pix_fmt yuv420p -b:v 40M -minrate 40M -bufsize 40M -x264-params nal-hrd=cbr"
        let make = "ffmpeg -loglevel error -f lavfi -i \(filter)"
        #expect(try SpawnedProgram(["sh", "-c", "\(make) \(options) \(folder("large.mp4"))"]).wait() == 0)
        #expect(try SpawnedProgram(["sh", "-c", "\(make) -pix_fmt yuv420p \(folder("small.mp4"))"]).wait() == 0)
        for name in ["large", "small"] {
            let result = try await ToolRun.run(
                "tg-send", ["--chat", "42", "--video", folder("\(name).mp4")], environment: telegram.environment)
            #expect(result.status == 0, "\(result.errors)")
            let video = try #require(try await telegram.chat(42).last?.json["message"]?["video"])
            #expect(video["width"] == 640 && video["height"] == 360 && video["duration"] == 2)
            #expect(video["mime_type"] == "video/mp4")
            #expect((video["thumbnail"] != nil) == (name == "large"))
        }
        let told = try await ToolRun.run(
            "tg-send",
            ["--chat", "42", "--video", folder("small.mp4"), "--width", "64", "--height", "36", "--duration", "7.2"],
            environment: telegram.environment)
        #expect(told.status == 0)
        let video = try await telegram.chat(42).last?.json["message"]?["video"]
        #expect(video?["width"] == 64 && video?["height"] == 36 && video?["duration"] == 7)
    }

    @Test func `Commands are carried out`() async throws {
        let question = try await telegram.say("question", as: ann)
        let result = try await send([
            event("commands.telegram.reply", ["text": "<b>answer</b>", "parse_mode": "HTML"]),
            event("commands.telegram.react", ["emoji": "👍"]), event("commands.telegram.send", ["text": "plain"]),
        ])
        #expect(result.status == 0)
        let chat = try await telegram.chat(42)
        #expect(chat[0].reactions == ["👍"])
        #expect(chat.first { $0.text == "answer" }?.repliesTo == question)
        #expect(chat.first { $0.text == "plain" }?.repliesTo == nil)
        #expect(Set(try result.envelopes().map { $0.payload["action"] }) == ["reply", "react", "send"])
        let sent = try #require(chat.last { $0.isBots })
        let more = try await send([
            event("commands.telegram.edit", ["message_id": .integer(sent.id), "text": "changed"]),
            event("commands.telegram.edit", ["message_id": .integer(sent.id), "text": "changed"]),
            event("commands.telegram.react", ["emoji": ""]),
        ])
        #expect(try more.envelopes().map(\.type) == Array(repeating: "events.telegram.sent", count: 3))
        #expect(try await telegram.chat(42).first { $0.id == sent.id }?.edits.last == "changed")
        #expect(try await telegram.chat(42)[0].reactions == [])
        _ = try await send([event("commands.telegram.delete", ["message_id": .integer(sent.id)])])
        #expect(try await telegram.chat(42).first { $0.id == sent.id }?.isDeleted == true)
    }

    @Test func `A request is shown from its beginning to its end`() async throws {
        try await telegram.say(".vdl x", as: ann)
        let correlation = EventID()
        let run = try ToolRun("tg-send", ["--progress-interval", "100ms"], environment: environment, folder: folder)
        run.send(event("events.media.progress", ["kind": "video", "state": "accepted"], correlation).line)
        // Before that, the key has 0: a process is creating the reply.
        #expect(
            try await eventually { Int(try redis.cli("GET", "tgpipe:correlation:\(correlation):reply")) ?? 0 > 0 })
        #expect(try await telegram.answers(in: 42).map(\.text) == ["⏳ On it…"])
        run.send(
            event("events.media.progress", ["kind": "video", "state": "downloading", "fraction": 0.5], correlation).line
        )
        var edits: [String] = []
        for _ in 0..<500 where edits.isEmpty {
            edits = try await telegram.chat(42).last?.edits ?? []
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(edits.last?.hasPrefix("⬇️ Downloading ▰▰▰▰▰▱▱▱▱▱ 50%") == true)
        run.send(ready(try media(), correlation).line)
        run.closeInput()
        #expect(try await run.result().status == 0)
        let answers = try await telegram.answers(in: 42)
        #expect(answers.count == 1)
        #expect(answers[0].repliesTo == 1)
        let caption = answers[0].caption ?? ""
        #expect(caption.hasPrefix("A <clip>\n⏱ ") && caption.hasSuffix("s · \(correlation)"))
        #expect(answers[0].message["video"]?["width"] == 320)
    }

    @Test func `A second delivery uses the cached file_id`() async throws {
        try await telegram.say("x", as: ann)
        _ = try await send([ready(try media())])
        try FileManager.default.removeItem(atPath: folder("clip.mp4"))
        let second = try await send([ready(try media(0))])
        #expect(try second.envelopes().first?.payload["cached"] == true)
        let calls = try await telegram.calls("sendVideo")
        #expect(calls.count == 2)
        #expect(calls[1]["params"]?["video"]?.string != nil)
    }

    @Test func `An expired file_id is replaced by a new upload`() async throws {
        try await telegram.say("x", as: ann)
        _ = try await send([ready(try media())])
        let old = try redis.cli("GET", "tgpipe:{\(key)}:file_id:\(BotEmulator.botID)")
        try await telegram.server.call("POST", "/control/expire", ["all": true])
        let again = try await send([ready(try media())])
        #expect(try again.envelopes().last?.payload["cached"] == false)
        let new = try redis.cli("GET", "tgpipe:{\(key)}:file_id:\(BotEmulator.botID)")
        #expect(!new.isEmpty && new != old)
        #expect(try await telegram.answers(in: 42).count == 2)
    }

    @Test func `Without a local copy the file comes from the store`() async throws {
        try await telegram.say("x", as: ann)
        let site = try WebSite(root: folder.path)
        var payload = try media()
        payload["path"] = nil
        payload["store"] = "s3://elsewhere"
        payload["url"] = .string("\(site.url)/clip.mp4")
        #expect(try await send([ready(payload)]).envelopes().map(\.type) == ["events.telegram.sent"])
        #expect(try await site.requests("/clip.mp4").count == 1)
        #expect(FileManager.default.fileExists(atPath: folder("state/media/cache/\(key)")))
    }

    @Test func `A failure replaces the placeholder reply`() async throws {
        try await telegram.say(".vdl x", as: ann)
        let correlation = EventID()
        _ = try await send([
            event("events.media.progress", ["kind": "video", "state": "accepted"], correlation),
            event(
                "events.dl.video.failed",
                ["kind": "video", "code": "private", "reason": "This video is private.", "temporary": false],
                correlation),
        ])
        let answers = try await telegram.answers(in: 42)
        #expect(answers.map { $0.edits.last ?? $0.text } == ["❌ This video is private."])
    }

    @Test func `A failure without a placeholder reply is sent as a new reply`() async throws {
        try await telegram.say(".vdl x", as: ann)
        _ = try await send([
            event("events.dl.audio.failed", ["kind": "audio", "code": "x", "reason": "No.", "temporary": false])
        ])
        #expect(try await telegram.answers(in: 42).map(\.text) == ["❌ No."])
    }

    @Test func `A flood wait is observed while other chats continue`() async throws {
        try await telegram.say("x", as: ann)
        try await telegram.say("x", as: BotEmulator.User(43, "Bob"))
        try await telegram.fault("sendMessage", "429", ["retry_after": 2, "chat_id": 42])
        let result = try await send([
            event("commands.telegram.send", ["text": "late"]),
            event("commands.telegram.send", ["text": "prompt"], chat: 43),
        ])
        #expect(try result.envelopes().map { $0.payload["chat_id"] } == [43, 42])
        let calls = try await telegram.calls("sendMessage")
        let waits = calls.filter { $0["params"]?["text"] == "late" }.compactMap { $0["started_at"]?.double }
        #expect(waits.count == 2 && waits[1] - waits[0] >= 2)
    }

    @Test func `A flood wait holds all messages for the chat`() async throws {
        try await telegram.say("x", as: ann)
        try await telegram.fault("sendMessage", "429", ["retry_after": 2])
        let run = try ToolRun("tg-send", ["--no-pacing"], environment: environment, folder: folder)
        let failed = {
            event("events.dl.audio.failed", ["kind": "audio", "code": "x", "reason": "No.", "temporary": false]).line
        }
        run.send(failed())
        #expect(try await eventually { run.log.contains("requires a wait") })
        for _ in 0..<3 { run.send(failed()) }
        run.closeInput()
        #expect(try await run.result().status == 0)
        let starts = try await telegram.calls("sendMessage").compactMap { $0["started_at"]?.double }
        #expect(starts.count == 5)
        #expect(starts.dropFirst().allSatisfy { $0 - starts[0] >= 2 })
    }

    @Test func `An error does not wait until edits are allowed again`() async throws {
        try await telegram.say(".vdl x", as: ann)
        let correlation = EventID()
        try await telegram.fault("editMessageText", "429", times: 100, ["retry_after": 54_000])
        let result = try await send([
            event("events.media.progress", ["kind": "video", "state": "accepted"], correlation),
            event("commands.telegram.react", ["emoji": "👍"], correlation),
        ])
        #expect(result.status == 0)
        _ = try await send([
            event(
                "events.dl.video.failed", ["kind": "video", "code": "x", "reason": "No.", "temporary": false],
                correlation)
        ])
        #expect(try await telegram.answers(in: 42).map(\.text) == ["❌ No."])
    }

    @Test func `Progress that arrives after the end is not shown`() async throws {
        try await telegram.say(".vdl x", as: ann)
        let correlation = EventID()
        _ = try await send([
            event(
                "events.dl.video.failed", ["kind": "video", "code": "x", "reason": "No.", "temporary": false],
                correlation),
            event("events.media.progress", ["kind": "video", "state": "storing"], correlation),
            event("events.media.progress", ["kind": "audio", "state": "accepted"], correlation),
        ])
        #expect(try await telegram.answers(in: 42).map(\.text) == ["❌ No.", "⏳ On it…"])
    }

    @Test(arguments: ["500", "502", "drop"])
    func `Transient failures are retried`(_ kind: String) async throws {
        try await telegram.say("x", as: ann)
        try await telegram.fault("sendMessage", kind, times: 2)
        let result = try await send([event("commands.telegram.send", ["text": "hello"])])
        #expect(try result.envelopes().map(\.type) == ["events.telegram.sent"])
    }

    @Test func `A refusal becomes an event and the stream continues`() async throws {
        try await telegram.say("x", as: ann)
        let result = try await send([
            event("commands.telegram.send", ["text": "nobody"], chat: 999),
            event("commands.telegram.send", ["text": "ok"]),
        ])
        #expect(result.status == 0)
        let failed = try result.envelopes().first { $0.type == "events.telegram.failed" }
        #expect(failed?.payload["code"] == 400 && failed?.payload["chat_id"] == 999)
        #expect(try await telegram.answers(in: 42).map(\.text) == ["ok"])
    }

    @Test func `A file too large for Telegram is sent as a link`() async throws {
        try await telegram.say("x", as: ann)
        try await telegram.fault("sendVideo", "400", ["description": "Bad Request: file is too big"])
        var payload = try media()
        // The URL is longer than Telegram's limit for a message.
        let url = "https://store.example/clip.mp4?a=%22&signature=" + String(repeating: "1", count: 5000)
        (payload["url"], payload["url_expires_at"]) = (.string(url), "2026-12-01T12:30:59+02:00")
        _ = try await send([ready(payload)])
        let answer = try #require(try await telegram.answers(in: 42).first)
        #expect(
            answer.text
                == "📦 The file is too large for Telegram (5.0 kB). Here it is.\nThe link works until 2026-12-01 10:30 UTC."
        )
        #expect(answer.message["entities"]?.array?.compactMap { $0["url"]?.string } == [url])
    }

    @Test func `A reason that looks like markup is shown literally`() async throws {
        try await telegram.say("x", as: ann)
        let reason = #"No <b>"video"</b> & no </i> sound."#
        _ = try await send([
            event("events.dl.video.failed", ["kind": "video", "code": "no_media", "reason": .string(reason)])
        ])
        #expect(try await telegram.answers(in: 42).map(\.text) == ["❌ \(reason)"])
    }

    @Test func `A missing file is reported in the chat`() async throws {
        try await telegram.say("x", as: ann)
        var payload = try media()
        payload["path"] = "/nonexistent"
        let result = try await send([ready(payload)])
        #expect(try result.envelopes().map(\.type).contains("events.telegram.failed"))
        #expect(try await telegram.answers(in: 42).first?.text?.hasPrefix("❌ ") == true)
    }

    @Test func `Events that cannot be sent go to the dead-letter output`() async throws {
        let result = try await send(
            [
                Envelope(type: "commands.telegram.send", payload: ["text": "where?"]),
                event("commands.telegram.edit", ["text": "which?"]), event("events.dl.video.ready", ["kind": "video"]),
            ], ["--dead-letter", folder("dead")])
        #expect(result.status == 65)
        let letters = try String(contentsOfFile: folder("dead"), encoding: .utf8).split(separator: "\n")
        #expect(letters.count == 3)
    }

    @Test func `A group that became a supergroup receives its messages there`() async throws {
        try await telegram.server.call(
            "POST", "/control/message", ["chat_id": -5, "from": ["id": 42], "text": "hi", "chat_type": "group"])
        let new = try await telegram.server.call("POST", "/control/migrate", ["chat_id": -5, "from": ["id": 42]])["id"]
        let clip = try media()
        let result = try await send([
            event("commands.telegram.reply", ["text": "answer"], chat: -5),
            event("commands.telegram.send_video", ["path": clip["path"], "caption": "clip"], chat: -5),
        ])
        #expect(result.status == 0)
        #expect(try result.envelopes().map { $0.payload["chat_id"] } == [new, new])
        let answers = try await telegram.answers(in: try #require(new?.int))
        #expect(answers.map { $0.text ?? $0.caption } == ["answer", "clip"])
        // The second call goes to the new id at once.
        #expect(try await telegram.calls("sendMessage").count == 2)
        #expect(try await telegram.calls("sendVideo").count == 1)
        #expect(result.errors.contains("has become the supergroup"))
    }

    @Test func `After the lost answer of an album a later message is not taken for a part of it`() async throws {
        try await telegram.say("x", as: ann)
        var files: [JSON] = []
        for name in ["a.txt", "b.txt"] {
            try Data(name.utf8).write(to: URL(fileURLWithPath: folder(name)))
            files.append(.object(["kind": "document", "path": .string(folder(name))]))
        }
        try await telegram.fault("sendMediaGroup", "drop", times: 1, ["after": true])
        let run = try ToolRun("tg-send", environment: environment, folder: folder)
        run.send(event("commands.telegram.send", ["chat_id": 42, "text": "first"]).line)
        #expect(try await eventuallyAsync { try await telegram.answers(in: 42).count == 1 })
        run.send(event("commands.telegram.send_album", ["chat_id": 42, "files": .array(files)]).line)
        #expect(try await eventuallyAsync { try await telegram.answers(in: 42).count == 3 })
        // The answer is looked for before the next message.
        #expect(try await eventuallyAsync { try await telegram.calls("editMessageReplyMarkup").count >= 1 })
        try await telegram.fault("sendMessage", "drop")
        run.send(event("commands.telegram.send", ["chat_id": 42, "text": "must arrive"]).line)
        run.closeInput()
        let result = try await run.result()
        #expect(result.status == 0, "\(result.errors)")
        #expect(try await telegram.answers(in: 42).compactMap(\.text) == ["first", "must arrive"], "\(result.errors)")
        #expect(try await telegram.answers(in: 42).count == 4)
    }

    @Test func `Other events are forwarded unchanged`() async throws {
        let odd = #"{ "type":"my.event","correlation_id" : "0192F0C1-2345-7ABC-8DEF-0123456789AB"}"#
        let result = try await ToolRun.run("tg-send", input: odd + "\n", environment: environment)
        #expect(result.lines == [odd])
    }

    @Test func `One message can be sent without an envelope and without Redis`() async throws {
        try await telegram.say("x", as: ann)
        let text = try await ToolRun.run(
            "tg-send", ["--chat", "42", "--text", "the backup is done"], environment: telegram.environment)
        #expect(text.status == 0)
        let sent = try #require(try text.envelopes().first)
        #expect(sent.type == "events.telegram.sent")
        #expect(sent.causationID == nil)
        let path = folder("clip.mp4")
        _ = try media()
        let video = try await ToolRun.run(
            "tg-send", ["--chat", "42", "--video", path, "--caption", "a clip"], environment: telegram.environment)
        #expect(video.status == 0)
        #expect(try await telegram.answers(in: 42).contains { $0.caption == "a clip" })
        let bare = try await ToolRun.run(
            "tg-send", ["--chat", "42", "--text", "no home"],
            environment: telegram.environment.merging(["HOME": "", "TGPIPE_STATE": ""]) { $1 })
        #expect(bare.status == 0)
        let nobody = try await ToolRun.run(
            "tg-send", ["--chat", "999", "--text", "x"], environment: telegram.environment)
        #expect(nobody.status == 1)
        #expect(nobody.errors.contains("chat not found"))
        let missing = try await ToolRun.run(
            "tg-send", ["--chat", "42", "--video", "/nonexistent"], environment: telegram.environment)
        #expect(missing.status == 74)
        #expect(try await ToolRun.run("tg-send", ["--text", "x"], environment: telegram.environment).status == 64)
    }

    @Test func `The oldest cached files are deleted first and never one in use`() async throws {
        try await telegram.say("x", as: ann)
        let cache = folder("state/media/cache/video")
        try FileManager.default.createDirectory(atPath: cache, withIntermediateDirectories: true)
        for (name, age) in [("old", 300.0), ("used", 400.0), ("new", 10.0)] {
            try Data(repeating: 1, count: 1000).write(to: URL(fileURLWithPath: "\(cache)/\(name).mp4"))
            try FileManager.default.setAttributes(
                [.modificationDate: Date(timeIntervalSinceNow: -age)], ofItemAtPath: "\(cache)/\(name).mp4")
        }
        let used = open("\(cache)/used.mp4", O_RDONLY)
        flock(used, LOCK_SH)
        defer { close(used) }
        let arguments = ["--cleanup-every", "2", "--cache-size", "2100", "--no-pacing"]
        _ = try await send([ready(try media())], arguments)
        #expect(FileManager.default.fileExists(atPath: "\(cache)/old.mp4"))
        _ = try await send([ready(try media())], arguments)
        let left = try FileManager.default.contentsOfDirectory(atPath: cache)
        #expect(Set(left) == ["used.mp4", "new.mp4"])
    }

    @Test func `A large file is streamed from disk`() async throws {
        try await telegram.say("x", as: ann)
        _ = try await send([ready(try media(40_000_000))])
        #expect(try await telegram.answers(in: 42).first?.message["video"]?["file_size"] == 40_000_000)
    }

    @Test func `The token appears nowhere`() async throws {
        try await telegram.say("x", as: ann)
        let result = try await ToolRun.run(
            "tg-send", ["--chat", "42", "--text", "x", "--log-level", "trace"],
            environment: ["TG_BOT_TOKEN": BotEmulator.token, "TG_BOT_API_URL": "http://127.0.0.1:1"],
            deadline: .seconds(60))
        #expect(result.status == 69)
        #expect(!(result.errors + result.output).contains("TEST-token"))
    }
}
