import Envelope
import Foundation
import JSON
import Payloads
import TestSupport
import Testing

/// Tests tg-watch with events that are made here.
@Suite(.timeLimit(.minutes(2))) struct WatchTests {
    private let redis: RedisServer

    init() throws { redis = try RedisServer() }

    /// Returns the update of a new message in a channel.
    private func update(_ id: Int64, _ more: JSONObject = [:], kind: String = "channel_post") -> Envelope {
        var body: JSONObject = [
            "message_id": .integer(id), "date": .integer(Int64(Date().timeIntervalSince1970)),
            "chat": ["id": -1_001_234, "type": "channel", "title": "News", "username": "TheNews"],
        ]
        for member in more.members { body[member.key] = member.value }
        return Envelope(type: "events.telegram.raw", payload: ["update_id": .integer(id), kind: .object(body)])
    }

    private func photo(_ name: String, size: Int64 = 100) -> JSONObject {
        [
            "photo": [
                [
                    "file_id": .string("F\(name)"), "file_unique_id": .string("U\(name)"), "file_size": .integer(size),
                    "width": 90, "height": 90,
                ]
            ]
        ]
    }

    private func watch(_ events: [Envelope], _ arguments: [String]) async throws -> ToolRun.Result {
        let result = try await ToolRun.run(
            "tg-watch", arguments, input: String(decoding: events.flatMap(\.line), as: UTF8.self),
            environment: ["TGPIPE_REDIS": redis.address])
        #expect(result.status == 0, "\(result.errors)")
        return result
    }

    @Test func `Messages that meet all conditions pass unchanged, and others do not pass`() async throws {
        let events = [
            update(1, ["text": "Release 2.0 is out"]), update(2, ["text": "Something else"]),
            update(3, ["text": "A RELEASE candidate"]),
            update(4, ["text": "release", "chat": ["id": -7, "type": "group", "title": "Others"]]),
            update(5, ["text": "release"], kind: "edited_channel_post"),
        ]
        for chat in ["@thenews", "-1001234", "https://t.me/TheNews"] {
            let result = try await watch(
                events, ["--chat", chat, "--text", "release", "--without", "candidate"])
            #expect(result.output == String(decoding: events[0].line, as: UTF8.self), "\(chat)")
        }
        let all = try await watch(events, ["--text", "release"])
        #expect(all.lines.count == 3)
    }

    @Test func `Kinds and sizes of media and the age and the sender select messages`() async throws {
        let old = Int64(Date().timeIntervalSince1970) - 7200
        let events = [
            update(1, photo("a", size: 500)), update(2, photo("b", size: 5000)), update(3, ["text": "no file"]),
            update(4, ["video": ["file_id": "V", "file_unique_id": "W", "file_size": 900]]),
            update(5, ["text": "old", "date": .integer(old)]),
            update(6, ["text": "hers", "from": ["id": 5, "username": "Eve", "first_name": "Eve"]], kind: "message"),
        ]
        func ids(_ arguments: String...) async throws -> [Int64] {
            try await watch(events, arguments).envelopes().compactMap { $0.payload["update_id"]?.int }
        }
        #expect(try await ids("--media", "photo") == [1, 2])
        #expect(try await ids("--media", "any", "--min-size", "600", "--max-size", "1000") == [4])
        #expect(try await ids("--max-age", "1h", "--text", "o") == [3])
        #expect(try await ids("--sender", "@eve") == [6])
        #expect(try await ids("--sender", "5") == [6])
    }

    @Test func `Each message is forwarded once, and an album as a whole`() async throws {
        var album = (10...12).map { id in
            update(Int64(id), photo("\(id)").with("media_group_id", "g"))
        }
        album.swapAt(0, 2)
        let arguments = ["--forward", "@archive", "--album-wait", "1s", "--silent"]
        let result = try await watch([update(1, ["text": "one"])] + album, arguments)
        let commands = try result.envelopes()
        #expect(commands.map(\.type) == Array(repeating: "commands.telegram.forward", count: 2))
        let first: JSONObject = [
            "from_chat_id": -1_001_234, "message_ids": [1], "chat_id": "@archive", "silent": true,
        ]
        #expect(commands.first?.payload == first)
        #expect(commands.last?.payload["message_ids"] == [10, 11, 12])
        // The same messages in other events, as after a restart or from the history.
        let again = try await watch(
            [update(1, ["text": "one"])]
                + album.map { update($0.payload["update_id"]?.int ?? 0, photo("x").with("media_group_id", "g")) },
            arguments)
        #expect(try again.envelopes().isEmpty)
        // Another target is another matter.
        let other = try await watch([update(1, ["text": "one"])], ["--copy", "77"])
        #expect(try other.envelopes().first?.payload["copy"] == true)
        let download = try await watch([update(10, photo("10"))], ["--download"])
        #expect(try download.envelopes().map(\.type) == ["commands.media.video_download"])
        #expect(try download.envelopes().first?.meta["source"]?["message_id"] == 10)
    }

    /// Puts an update into the queue `updates`.
    private func push(_ event: Envelope) throws {
        let line = String(decoding: event.line.dropLast(), as: UTF8.self)
        try redis.cli("XADD", "tgpipe:{queues}:updates:stream", "*", "e", line)
    }

    private func watcher(_ folder: TemporaryFolder) throws -> ToolRun {
        try ToolRun(
            "tg-watch",
            [
                "--from", "queue:updates", "--to", "queue:send", "--lease", "3s", "--forward", "@archive",
                "--album-wait", "1s",
            ], environment: ["TGPIPE_REDIS": redis.address], folder: folder)
    }

    /// Returns the ids of the messages of each forward so far.
    private func forwards() throws -> [[Int64]] {
        try redis.cli("XRANGE", "tgpipe:{queues}:send:stream", "-", "+").split(separator: "\n")
            .filter { $0.hasPrefix("{") }.map { try Envelope(try JSON(parsing: String($0))) }
            .map { $0.payload["message_ids"]?.array?.compactMap(\.int) ?? [] }
    }

    private func pending(_ consumer: String) throws -> Int {
        try redis.cli("XPENDING", "tgpipe:{queues}:updates:stream", "tg-watch", "-", "+", "10")
            .split(separator: "\n").count { $0.hasPrefix(consumer) }
    }

    @Test func `An album waits for a message that a process took before it died`() async throws {
        let folder = try TemporaryFolder()
        let parts = (30...32).map { update(Int64($0), photo("\($0)").with("media_group_id", "j")) }
        // A worker takes the first message, and is never heard of again.
        try push(parts[0])
        try redis.cli("XGROUP", "CREATE", "tgpipe:{queues}:updates:stream", "tg-watch", "0")
        try redis.cli("SADD", "tgpipe:{queues}:names", "updates")
        try redis.cli(
            "XREADGROUP", "GROUP", "tg-watch", "dead:1:x", "STREAMS", "tgpipe:{queues}:updates:stream", ">")
        let watcher = try watcher(folder)
        for part in parts.dropFirst() { try push(part) }
        #expect(try await eventually { try !forwards().isEmpty })
        watcher.signal(SIGTERM)
        #expect(try await watcher.result().status == 0)
        #expect(try forwards() == [[30, 31, 32]])
    }

    @Test func `A process that starts reads what has come before it takes an album for whole`() async throws {
        let folder = try TemporaryFolder()
        let parts = (40...42).map { update(Int64($0), photo("\($0)").with("media_group_id", "k")) }
        try push(parts[0])
        let first = try watcher(folder)
        #expect(try await eventually { try pending("held") == 1 })
        first.signal(SIGKILL)
        _ = try await first.result()
        // The time to wait passes while nobody reads.
        try await Task.sleep(for: .seconds(2))
        for part in parts.dropFirst() { try push(part) }
        let second = try watcher(folder)
        #expect(try await eventually { try !forwards().isEmpty })
        second.signal(SIGTERM)
        #expect(try await second.result().status == 0)
        #expect(try forwards() == [[40, 41, 42]])
    }

    @Test func `Albums that come together do not wait for each other`() async throws {
        let folder = try TemporaryFolder()
        let watcher = try watcher(folder)
        let albums: [[Int64]] = (0..<20).map { album in [100 + 2 * album, 101 + 2 * album] }
        for (number, ids) in albums.enumerated() {
            for id in ids { try push(update(id, photo("\(id)").with("media_group_id", .string("m\(number)")))) }
        }
        let start = ContinuousClock.now
        #expect(try await eventually { try forwards().count == 20 })
        #expect(ContinuousClock.now - start < .seconds(20))
        watcher.signal(SIGTERM)
        #expect(try await watcher.result().status == 0)
        #expect(try Set(forwards()) == Set(albums))
    }

    @Test func `One caption decides about a whole album, and what only tells what happened is no message`() async throws
    {
        let album = [
            update(20, photo("a").with("media_group_id", "h")),
            update(21, photo("b").with("media_group_id", "h").with("caption", "A release")),
        ]
        let joined = update(22, ["new_chat_title": "Renamed"])
        let arguments = ["--forward", "@archive", "--album-wait", "1s"]
        let result = try await watch(album + [joined], arguments + ["--text", "release"])
        #expect(try result.envelopes().map { $0.payload["message_ids"] } == [[20, 21]])
        let none = try await watch(album, ["--forward", "@other", "--album-wait", "1s", "--without", "release"])
        #expect(try none.envelopes().isEmpty)
    }

    @Test func `What comes from the target, from a program, or from a chat that forbids forwarding is treated apart`()
        async throws
    {
        let own = Envelope(
            type: "events.telegram.raw", payload: update(1, ["text": "by a program"]).payload,
            meta: ["sent_by_program": true])
        let result = try await watch([own, update(2, ["text": "x"])], ["--forward", "@TheNews"])
        #expect(try result.envelopes().isEmpty)
        let guarded: JSONObject = ["has_protected_content": true]
        let events = [
            update(3, guarded.with("text", "secret")), update(4, guarded.with("sticker", ["file_id": "S"])),
            update(
                5, photo("a").with("has_protected_content", true).with("caption", "two").with("media_group_id", "g")),
            update(6, photo("b").with("has_protected_content", true).with("media_group_id", "g")),
        ]
        let sent = try await watch(events, ["--forward", "77", "--album-wait", "1s"])
        let commands = try sent.envelopes()
        #expect(commands.map(\.type) == ["commands.telegram.send", "commands.telegram.send_album"])
        #expect(commands.first?.payload["text"] == "secret\n\nNews — https://t.me/TheNews/3")
        let files = commands.last?.payload["files"]?.array ?? []
        #expect(files.map { $0["reupload"] } == [true, true])
        #expect(files.map { $0["file_id"] } == ["Fa", "Fb"])
        #expect(files.first?["caption"] == "two\n\nNews — https://t.me/TheNews/5")
        #expect(sent.errors.contains("forbids it"))
    }

    @Test func `The name of a target is looked up once, and an unknown one is refused`() async throws {
        let telegram = try BotEmulator()
        let archive: JSONObject = [
            "chat_id": -1_000_000_000_800, "chat_type": "channel", "title": "Archive", "chat_username": "archive",
            "bot_status": "administrator",
        ]
        try await telegram.server.call("POST", "/control/chat", .object(archive))
        func watch(_ target: String, _ events: [Envelope]) async throws -> ToolRun.Result {
            try await ToolRun.run(
                "tg-watch", ["--forward", target], input: String(decoding: events.flatMap(\.line), as: UTF8.self),
                environment: telegram.environment.merging(["TGPIPE_REDIS": redis.address]) { $1 })
        }
        let fromTarget: JSONObject = [
            "text": "again",
            "forward_origin": ["type": "channel", "chat": ["id": -1_000_000_000_800], "message_id": 1],
        ]
        let found = try await watch(
            "@Archive", [update(1, ["text": "a"]), update(2, ["text": "b"]), update(3, fromTarget)])
        #expect(found.status == 0, "\(found.errors)")
        #expect(try found.envelopes().map { $0.payload["chat_id"] } == [-1_000_000_000_800, -1_000_000_000_800])
        #expect(try await telegram.calls("getChat").count == 1)
        let unknown = try await watch("@nowhere", [update(4, ["text": "a"])])
        #expect(unknown.status == 64 && unknown.output.isEmpty)
        #expect(unknown.errors.contains("there is no chat @nowhere"), "\(unknown.errors)")
        // A number is taken as it is.
        #expect(try await watch("-1009", [update(5, ["text": "a"])]).envelopes().count == 1)
        #expect(try await telegram.calls("getChat").count == 2)
    }

    @Test(arguments: [
        ["--forward", "1", "--copy", "2"], ["--thread", "5"], ["--media", "film"], ["--chat", "@a b"], ["--text", ""],
        ["--min-size", "5M", "--max-size", "1M"], ["--forward", "1", "--album-wait", "1h"],
    ])
    func `Options that make no sense are refused`(arguments: [String]) async throws {
        let result = try await ToolRun.run("tg-watch", arguments, input: "")
        #expect(result.status == 64)
    }
}

/// Tests tg-watch and tg-send with the account Alice.
@Suite(.timeLimit(.minutes(3))) struct WatchAccountTests {
    private let alice: AccountFixture
    private let redis: RedisServer
    private let channel: Int64 = -1_000_000_000_700

    init() async throws {
        alice = try await AccountFixture()
        try await alice.logIn()
        redis = try RedisServer()
    }

    private func run(_ tool: String, _ arguments: [String], input: String = "") async throws -> ToolRun.Result {
        let result = try await ToolRun.run(
            tool, arguments, input: input,
            environment: alice.environment.merging(["TGPIPE_REDIS": redis.address]) { $1 }, folder: alice.folder)
        #expect(result.status == 0, "\(result.errors)")
        return result
    }

    private func saved() async throws -> [JSON] {
        try await alice.emulator.server.call(
            "GET", "/control/chat/\(MTProtoEmulator.alice)?account=\(MTProtoEmulator.alice)")["messages"]?.array?
            .compactMap { $0["message"] } ?? []
    }

    /// Fills a channel with a text and an album.
    private func fill(isProtected: Bool) async throws {
        let place: JSONObject = [
            "chat_id": .integer(channel), "chat_type": "channel", "title": "News", "chat_username": "the_news",
            "protected": .bool(isProtected),
        ]
        try await alice.control("message", place.with("text", "a text"))
        for number in 1...2 {
            let path = alice.folder("page \(number).txt")
            try Data("page \(number)".utf8).write(to: URL(fileURLWithPath: path))
            try await alice.control(
                "file",
                place.with("path", .string(path)).with("kind", "document").with("album", "77")
                    .with("caption", .string("caption \(number)")))
        }
    }

    private func forward() async throws -> [JSON] {
        let plan = JSON.object([
            "type": "commands.telegram.history", "correlation_id": .string(EventID().description),
            "payload": ["chat_id": .integer(channel)],
        ]).text
        let history = try await run("tg-history", ["--session", "alice"], input: plan + "\n")
        let commands = try await run("tg-watch", ["--forward", "me", "--album-wait", "1s"], input: history.output)
        _ = try await run("tg-send", ["--session", "alice"], input: commands.output)
        let messages = try await saved()
        #expect(messages.count == 3)
        #expect(messages.compactMap { $0["document"]?["file_name"]?.string } == ["page 1.txt", "page 2.txt"])
        let albums = messages.dropFirst().map { $0["media_group_id"] }
        #expect(albums.first.map { $0 != nil } == true && Set(albums).count == 1)
        #expect(try await alice.violations() == [])
        return messages
    }

    @Test func `Messages of a channel are forwarded with their origin, and albums stay albums`() async throws {
        try await fill(isProtected: false)
        let messages = try await forward()
        #expect(messages.map { $0["forward_origin"]?["message_id"]?.int } == [1, 2, 3])
        #expect(messages.map { $0["text"] ?? $0["caption"] } == ["a text", "caption 1", "caption 2"])
    }

    @Test func `What a channel forbids to forward is sent anew with the link of its origin`() async throws {
        try await fill(isProtected: true)
        let messages = try await forward()
        #expect(messages.allSatisfy { $0["forward_origin"] == nil })
        #expect(messages.first?["text"] == "a text\n\nNews — https://t.me/the_news/1")
        #expect(messages.last?["caption"] == "caption 2\n\nNews — https://t.me/the_news/3")
        let partial = try? FileManager.default.contentsOfDirectory(atPath: alice.folder("state/media/cache/partial"))
        #expect(partial ?? [] == [])
    }

    @Test func `An account looks up the name of its target`() async throws {
        try await alice.control(
            "chat",
            ["chat_id": -1_000_000_000_800, "chat_type": "channel", "title": "Archive", "chat_username": "archive"])
        try await fill(isProtected: false)
        let message: JSON = .object([
            "type": "events.telegram.message", "correlation_id": .string(EventID().description),
            "payload": [
                "kind": "message",
                "message": [
                    "message_id": 1, "date": 1_700_000_000, "text": "a text",
                    "chat": ["id": .integer(channel), "type": "channel", "title": "News"],
                ],
            ],
        ])
        let found = try await run(
            "tg-watch", ["--session", "alice", "--forward", "@archive"], input: message.text + "\n")
        #expect(try found.envelopes().map { $0.payload["chat_id"] } == [-1_000_000_000_800])
        let unknown = try await ToolRun.run(
            "tg-watch", ["--session", "alice", "--forward", "@nowhere"], input: message.text + "\n",
            environment: alice.environment.merging(["TGPIPE_REDIS": redis.address]) { $1 }, folder: alice.folder)
        #expect(unknown.status == 64 && unknown.errors.contains("there is no chat @nowhere"), "\(unknown.errors)")
        #expect(try await alice.violations() == [])
    }
}

/// Tests tg-send with the session of a bot.
@Suite(.timeLimit(.minutes(3))) struct BotSessionTests {
    private let telegram: MTProtoEmulator
    private let robot: AccountFolder
    private let redis: RedisServer
    private let source: Int64 = -1_000_000_000_700
    private let target: Int64 = -1_000_000_000_800

    init() async throws {
        telegram = try await MTProtoEmulator()
        robot = try await AccountFolder(telegram, account: BotEmulator.botID, name: "robot")
        redis = try RedisServer()
    }

    private func order(_ path: String, _ chat: Int64, _ more: JSONObject = [:]) async throws {
        var body: JSONObject = [
            "account": .integer(BotEmulator.botID), "chat_id": .integer(chat), "chat_type": "channel",
            "title": .string("Chat \(chat)"),
        ]
        for member in more.members { body[member.key] = member.value }
        try await telegram.server.call("POST", "/control/\(path)", .object(body))
    }

    private func sent() async throws -> [JSON] {
        try await telegram.server.call("GET", "/control/chat/\(target)?account=\(BotEmulator.botID)")["messages"]?.array
            ?? []
    }

    private func sender() throws -> ToolRun {
        try ToolRun(
            "tg-send",
            ["--session", "robot", "--from", "queue:send", "--to", "queue:sent", "--lease", "2s", "--no-pacing"],
            environment: robot.environment.merging(["TGPIPE_REDIS": redis.address]) { $1 }, folder: robot.folder)
    }

    @Test(arguments: ["messages.forwardMessages", "messages.sendMessage"])
    func `A bot that is killed after Telegram has carried out its call sends nothing twice`(method: String) async throws
    {
        for number in 1...2 { try await order("message", source, ["text": .string("message \(number)")]) }
        try await order("chat", target)
        let command: Envelope =
            method == "messages.sendMessage"
            ? Envelope(TelegramCommand(.send(TextMessage("once", MessageOptions())), chat: .id(target)))
            : Envelope(
                TelegramCommand(
                    .forward(ForwardedMessages(.id(source), [1, 2], asCopies: false, MessageOptions())),
                    chat: .id(target)))
        let count = method == "messages.sendMessage" ? 1 : 2
        try await telegram.control("fault", ["method": .string(method), "kind": "hang", "after": true, "times": 1])
        try redis.cli(
            "XADD", "tgpipe:{queues}:send:stream", "*", "e", String(decoding: command.line.dropLast(), as: UTF8.self))
        let first = try sender()
        #expect(try await eventuallyAsync { try await sent().count == count })
        first.signal(SIGKILL)
        _ = try await first.result()
        let second = try sender()
        #expect(
            try await eventually { try redis.cli("XLEN", "tgpipe:{queues}:sent:stream") == "1" })
        second.signal(SIGTERM)
        #expect(try await second.result().status == 0)
        #expect(try await sent().count == count)
        #expect(try await telegram.calls(method).count == 2)
        #expect(try await robot.violations() == [])
    }
}

extension JSONObject {
    fileprivate func with(_ key: String, _ value: JSON) -> JSONObject {
        var object = self
        object[key] = value
        return object
    }
}
