import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Tests tg-send and media-fetch with the account Alice.
@Suite(.timeLimit(.minutes(3))) struct SendAccountTests {
    private let telegram: MTProtoEmulator
    private let account: AccountFolder
    private let redis: RedisServer
    private let key = "video/\(String(repeating: "a", count: 64)).mp4"

    init() async throws {
        telegram = try await MTProtoEmulator()
        account = try await AccountFolder(telegram)
        redis = try RedisServer()
    }

    private func send(_ events: [Envelope], _ arguments: [String] = []) async throws -> ToolRun.Result {
        try await account.run(
            "tg-send", arguments, input: String(decoding: events.flatMap(\.line), as: UTF8.self),
            environment: ["TGPIPE_REDIS": redis.address])
    }

    /// Returns an event that answers a message of the chat with Bob.
    private func event(_ type: String, _ payload: JSONObject, answering message: Int64? = nil) -> Envelope {
        Envelope(
            type: type, payload: payload,
            meta: [
                "origin": [
                    "chat_id": 77, "message_id": message.map { .integer($0) } ?? 99_999, "chat_type": "private",
                ],
                "received_at": .string(Timestamp.now.description),
            ])
    }

    /// Returns the messages of Alice's chat with Bob, or of another chat.
    private func chat(_ id: Int64 = 77) async throws -> [JSON] {
        try await telegram.server.call("GET", "/control/chat/\(id)?account=\(MTProtoEmulator.alice)")["messages"]?.array
            ?? []
    }

    private func texts(_ id: Int64 = 77) async throws -> [String] {
        try await chat(id).compactMap { $0["message"]?["text"]?.string }
    }

    private func payloads(_ result: ToolRun.Result) throws -> [JSON] {
        try result.envelopes().map { .object($0.payload) }
    }

    @Test func `A message to Saved Messages needs only flags`() async throws {
        let result = try await account.run("tg-send", ["--session", "alice", "--chat", "me", "--text", "a note"])
        #expect(result.status == 0, "\(result.errors)")
        #expect(try await texts(MTProtoEmulator.alice) == ["a note"])
        #expect(try payloads(result).first?["action"] == "send")
        #expect(try await account.violations() == [])
    }

    @Test func `A message can be scheduled, and an album and a pin are sent`() async throws {
        try await telegram.write("question")
        let later = try await account.run(
            "tg-send", ["--session", "alice", "--chat", "@bobby", "--schedule", "2h", "in two hours"])
        #expect(later.status == 0, "\(later.errors)")
        // Its id would name another message of the chat.
        #expect(try payloads(later).map { $0["message_id"] } == [nil])
        #expect(try await texts() == ["question"])
        let waiting = try await account.run(
            "tg-call", ["--session", "alice", "messages.getScheduledHistory", #"{"peer":"@bobby","hash":0}"#])
        #expect(waiting.output.contains("in two hours"), "\(waiting.output)\(waiting.errors)")
        let names = ["a.txt", "b.txt"].map { account.folder($0) }
        for name in names { try Data(name.utf8).write(to: URL(fileURLWithPath: name)) }
        let album = try await account.run(
            "tg-send",
            ["--session", "alice", "--chat", "@bobby", "--caption", "both", "--pin"]
                + names.flatMap { ["--document", $0] })
        #expect(album.status == 0, "\(album.errors)")
        let messages = try await chat().compactMap { $0["message"] }.filter { $0["document"] != nil }
        #expect(messages.compactMap { $0["document"]?["file_name"]?.string } == ["a.txt", "b.txt"])
        #expect(Set(messages.map { $0["media_group_id"] }).count == 1)
        #expect(try payloads(album).map { $0["action"] } == ["send_album", "pin"])
        let piped = try await account.run(
            "tg-send", ["--session", "alice", "--chat", "@bobby", "--document", "-", "--name", "log.txt"],
            input: "a log")
        #expect(piped.status == 0, "\(piped.errors)")
        #expect(try await chat().last?["message"]?["document"]?["file_name"] == "log.txt")
        for (option, value) in [("--button", ["Docs=https://example.com"]), ("--protect", [])] {
            let refused = try await account.run("tg-send", ["--session", "alice", "--chat", "77", "x", option] + value)
            #expect(refused.status == 64 && refused.errors.contains("needs a bot"), "\(refused.errors)")
        }
        #expect(try await account.violations() == [])
    }

    @Test func `Commands are carried out`() async throws {
        try await telegram.write("question")
        let question = try #require(try await chat().last?["message"]?["message_id"]?.int)
        let result = try await send([
            event("commands.telegram.reply", ["text": "<b>answer</b>", "parse_mode": "HTML"], answering: question),
            event("commands.telegram.react", ["emoji": "👍"], answering: question),
            event("commands.telegram.reply", ["text": "to nobody"]),
        ])
        #expect(result.status == 0, "\(result.errors)")
        let named = try await send([event("commands.telegram.send", ["chat_id": "@bobby", "text": "by name"])])
        #expect(named.status == 0, "\(named.errors)")
        let messages = try await chat()
        let answer = try #require(messages.first { $0["message"]?["text"] == "answer" }?["message"])
        #expect(answer["reply_to_message"]?["message_id"]?.int == question)
        #expect(answer["entities"]?.array?.first?["type"] == "bold")
        #expect(try await texts() == ["question", "answer", "to nobody", "by name"])
        // A reaction may overtake replies.
        let actions = try payloads(result)
        #expect(actions.filter { $0["action"] == "react" }.count == 1 && actions.count == 3)
        let sent = actions.filter { $0["action"] == "reply" }
        let id = try #require(sent.first?["message_id"])
        let changed = try await send([
            event("commands.telegram.edit", ["message_id": id, "text": "better"]),
            event("commands.telegram.edit", ["message_id": id, "text": "better"]),
            event("commands.telegram.delete", ["message_id": sent.last?["message_id"]]),
            event("commands.telegram.delete", ["message_id": sent.last?["message_id"]]),
        ])
        #expect(changed.status == 0, "\(changed.errors)")
        #expect(try await texts().contains("better"))
        #expect(try await chat().filter { $0["deleted"] == true }.count == 1)
        #expect(try payloads(changed).map { $0["action"]?.string } == ["edit", "edit", "delete", "delete"])
        #expect(try await account.violations() == [])
    }

    private func clip(bytes: Int) throws -> JSONObject {
        let path = account.folder("clip.mp4")
        try Data((0..<bytes).map { UInt8(truncatingIfNeeded: $0 &* 31) }).write(to: URL(fileURLWithPath: path))
        return [
            "kind": "video", "key": .string(key), "store": .string("file:\(account.folder("store"))"),
            "path": .string(path), "size_bytes": .integer(Int64(bytes)), "content_type": "video/mp4",
            "file_name": "clip.mp4", "title": "A <clip>", "duration_seconds": 3.2, "width": 320, "height": 240,
        ]
    }

    @Test func `Media is uploaded once, then sent by its id even after its reference expires`() async throws {
        try await telegram.write("send me that")
        let ready = event("events.dl.video.ready", try clip(bytes: 1_500_000))
        let first = try await send([ready])
        #expect(first.status == 0, "\(first.errors)")
        #expect(try payloads(first).map { $0["action"]?.string } == ["send_video"])
        let video = try #require(try await chat().last?["message"]?["video"])
        #expect(video["file_size"]?.int == 1_500_000 && video["duration"]?.int == 3 && video["width"]?.int == 320)
        let parts = try await telegram.calls("upload.saveFilePart").count
        try await telegram.control("expire")
        let second = try await send([event("events.dl.video.ready", try clip(bytes: 1_500_000))])
        #expect(second.status == 0, "\(second.errors)")
        #expect(try payloads(second).first?["cached"] == true)
        #expect(try await chat().count { $0["message"]?["video"] != nil } == 2)
        #expect(try await telegram.calls("upload.saveFilePart").count == parts)
        #expect(try await account.violations() == [])
    }

    @Test func `Sending the same event again makes no second message`() async throws {
        try await telegram.write("hello")
        let command = event("commands.telegram.send", ["text": "once"])
        for _ in 0..<2 { #expect(try await send([command]).status == 0) }
        #expect(try await texts() == ["hello", "once"])
        // The answer to a third message is lost.
        try await telegram.control(
            "fault", ["method": "messages.sendMessage", "kind": "drop", "times": 1, "after": true])
        let result = try await send([event("commands.telegram.send", ["text": "twice?"])])
        #expect(result.status == 0, "\(result.errors)")
        #expect(try await texts() == ["hello", "once", "twice?"])
        // For a message that Telegram has already, the result names the chat by its id.
        let note = Envelope(type: "commands.telegram.send", payload: ["chat_id": "me", "text": "note"])
        for _ in 0..<2 {
            let result = try await account.run(
                "tg-send", input: String(decoding: note.line, as: UTF8.self),
                environment: ["TGPIPE_REDIS": redis.address])
            #expect(try payloads(result).first?["chat_id"]?.int == MTProtoEmulator.alice)
        }
        #expect(try await texts(MTProtoEmulator.alice) == ["note"])
    }

    @Test func `A flood wait is reported with its end and observed`() async throws {
        try await telegram.write("hello")
        try await telegram.control(
            "fault", ["method": "messages.sendMessage", "kind": "error", "error": "FLOOD_WAIT_4", "times": 1])
        let result = try await send([event("commands.telegram.send", ["text": "late"])])
        #expect(result.status == 0, "\(result.errors)")
        #expect(try result.envelopes().map(\.type) == ["events.telegram.waiting", "events.telegram.sent"])
        let waiting = try payloads(result).first
        #expect(waiting?["account_id"]?.int == MTProtoEmulator.alice && waiting?["method"] == "messages.sendMessage")
        #expect(try await texts() == ["hello", "late"])
    }

    @Test func `A flood wait during an upload is reported and the missing parts are sent after it`() async throws {
        let path = account.folder("file.bin")
        try Data(repeating: 7, count: 3_000_000).write(to: URL(fileURLWithPath: path))
        try await telegram.control("fault", ["method": "upload.saveFilePart", "error": "FLOOD_WAIT_3", "times": 1])
        let result = try await account.run("tg-send", ["--chat", "me", "--document", path])
        #expect(result.status == 0, "\(result.errors)")
        #expect(try result.envelopes().map(\.type) == ["events.telegram.waiting", "events.telegram.sent"])
        #expect(try await chat(MTProtoEmulator.alice).count == 1)
    }

    @Test func `A refusal is reported and an ended session is exit status 77`() async throws {
        try await telegram.write("hello")
        let refused = try await send([
            event("commands.telegram.send", ["text": "<b>x", "parse_mode": "HTML"]),
            event("commands.telegram.send", ["chat_id": "@nobody_at_all", "text": "x"]),
            event("commands.telegram.send_video", ["file_id": "BAACAgIAAxkBAAM"]),
        ])
        #expect(refused.status == 0, "\(refused.errors)")
        #expect(try refused.envelopes().map(\.type) == Array(repeating: "events.telegram.failed", count: 3))
        try await telegram.control("revoke", ["account": .integer(MTProtoEmulator.alice)])
        #expect(try await send([event("commands.telegram.send", ["text": "x"])]).status == 77)
        #expect(try await account.run("tg-send", ["--session", "other", "--chat", "me", "--text", "x"]).status == 78)
    }

    @Test func `A file in a message is fetched by the account that received it`() async throws {
        let path = account.folder("note.bin")
        try Data(repeating: 5, count: 700_000).write(to: URL(fileURLWithPath: path))
        let sent = try await account.run("tg-send", ["--chat", "me", "--document", path])
        #expect(sent.status == 0, "\(sent.errors)")
        let id = try #require(try sent.envelopes().first?.payload["file_id"])
        let command = Envelope(
            type: "commands.media.video_download",
            payload: [
                "file": [
                    "file_id": id, "file_unique_id": "unique", "type": "document", "file_name": "note.bin",
                    "file_size": 700_000,
                ]
            ], meta: ["origin": ["chat_id": 42, "message_id": 1]])
        let result = try await account.run(
            "media-fetch", ["--store", "file:\(account.folder("store"))"],
            input: String(decoding: command.line, as: UTF8.self), environment: ["TGPIPE_REDIS": redis.address])
        #expect(result.status == 0, "\(result.errors)")
        let fetched = try #require(try result.envelopes().last)
        #expect(fetched.type == "events.media.fetched", "\(fetched.payload)")
        #expect(fetched.payload["size_bytes"]?.int == 700_000)
    }

    @Test func `After a kill an upload sends only the missing parts`() async throws {
        let path = account.folder("large.bin")
        try Data((0..<40_000_000).map { UInt8(truncatingIfNeeded: ($0 &* 31) >> 3) }).write(
            to: URL(fileURLWithPath: path))
        let parts = 40_000_000 / (512 << 10) + 1
        let arguments = ["--chat", "me", "--document", path]
        let killed = try ToolRun("tg-send", arguments, environment: account.environment, folder: account.folder)
        var sent = 0
        while sent < 10 { sent = try await telegram.calls("upload.saveBigFilePart").count }
        killed.signal(SIGKILL)
        _ = try await killed.result()
        let before = try await telegram.calls("upload.saveBigFilePart").count
        #expect(before < parts)
        let result = try await account.run("tg-send", arguments)
        #expect(result.status == 0, "\(result.errors)")
        let all = try await telegram.calls("upload.saveBigFilePart").count
        // Parts that were in transit or not recorded are sent again.
        #expect(all <= parts + 16)
        let message = try #require(try await chat(MTProtoEmulator.alice).last?["message"])
        #expect(message["document"]?["file_size"]?.int == 40_000_000)
        #expect(try await account.violations() == [])
    }

    @Test func `A long file path works, also through another process that owns the session`() async throws {
        let name = String(repeating: "d", count: 120)
        let deep = account.folder("\(name)/\(name)")
        try FileManager.default.createDirectory(atPath: deep, withIntermediateDirectories: true)
        try Data("content".utf8).write(to: URL(fileURLWithPath: deep + "/file.txt"))
        let owner = try ToolRun(
            "tg-session", ["run", account.name], environment: account.environment, folder: account.folder)
        #expect(try await eventually { owner.log.contains("is shared at") })
        let result = try await account.run("tg-send", ["--chat", "me", "--document", deep + "/file.txt"])
        #expect(result.status == 0, "\(result.errors)")
        #expect(try await chat(MTProtoEmulator.alice).count == 1)
        owner.signal(SIGTERM)
        #expect(try await owner.result().status == 0)
    }

    @Test func `Telegram fetches a file given by URL`() async throws {
        try await telegram.write("hello")
        let www = account.folder("www")
        try FileManager.default.createDirectory(atPath: www, withIntermediateDirectories: true)
        try Data(repeating: 1, count: 5000).write(to: URL(fileURLWithPath: "\(www)/clip.mp4"))
        let site = try WebSite(root: www)
        let result = try await send([
            event("commands.telegram.send_video", ["url": .string("\(site.url)/clip.mp4"), "caption": "from there"])
        ])
        #expect(result.status == 0, "\(result.errors)")
        let message = try #require(try await chat().last?["message"])
        #expect(message["video"]?["file_size"]?.int == 5000 && message["caption"] == "from there")
        #expect(try await account.violations() == [])
    }
}
