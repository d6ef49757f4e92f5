import Envelope
import Foundation
import JSON
import Payloads
import TestSupport
import Testing

/// Names of objects by template, and the ledger of stored media.
@Suite(.timeLimit(.minutes(5))) struct StoredMediaTests {
    private static let shared = Result { try RedisServer() }

    private let redis: RedisServer
    private let folder: TemporaryFolder
    private let hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    private let howdy = "ff3f354107ae30beac17a5fb60fb3b6a1b1b2fd5d1d2d6ff0a2ab9e2ec3bd1f1"

    init() throws {
        redis = try Self.shared.get()
        folder = try TemporaryFolder()
    }

    private var store: String { "file:\(folder("store"))" }

    private func put(_ arguments: [String], input: [String]) async throws -> ToolRun.Result {
        try await ToolRun.run(
            "blob-put", ["--store", store] + arguments, input: input.map { "\($0)\n" }.joined(),
            environment: ["TGPIPE_REDIS": redis.address], folder: folder)
    }

    /// Writes a file, and returns its `events.media.fetched`.
    private func fetched(
        _ text: String, _ name: String = "talk.mp4", message: Int = 7, chat: Int = -1_001_234_567_890
    ) throws -> String {
        let path = folder("fetched-\(UInt32.random(in: 0...UInt32.max))")
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        let sum = try SpawnedProgram.output(of: ["sha256sum", path]).prefix(64)
        let hash = String(repeating: "\(message % 10)abc", count: 16)
        return """
            {"id":"\(EventID())","type":"events.media.fetched","version":1,"correlation_id":"\(EventID())",\
            "timestamp":"\(Timestamp.now)","payload":{"kind":"video","key":"video/\(hash).mp4","path":"\(path)",\
            "size_bytes":\(text.utf8.count),"sha256":"\(sum)","content_type":"video/mp4","file_name":"\(name)",\
            "source_url":"telegram:file/a","normalized_url":"telegram:file/a","domain":"telegram.org",\
            "fetched_at":"2026-11-21T20:00:00.000000Z"},"meta":{"source":{"chat_id":\(chat),"message_id":\(message),\
            "date":"2025-03-04T05:06:07.000000Z","chat_title":"Talks"}}}
            """
    }

    @Test func `Objects are named by the message that they come from`() async throws {
        let template = ["--key", "{chat}/{date}/{message_id}-{name}"]
        let event = try fetched("hello", "..Кот|1.mp4")
        let result = try await put(template, input: [event])
        #expect(result.status == 0, "\(result.errors)")
        let ready = try #require(try result.envelopes().first)
        #expect(ready.payload["object_key"] == "-1001234567890/2025-03-04/7-Кот_1.mp4")
        #expect(ready.payload["key"]?.string?.hasPrefix("video/") == true)
        let stored = folder("store/-1001234567890/2025-03-04/7-Кот_1.mp4")
        #expect(try String(contentsOfFile: stored, encoding: .utf8) == "hello")
        // The same event again finds its object, although its file is gone.
        let again = try await put(template, input: [event])
        #expect(try again.envelopes().first?.payload["object_key"] == ready.payload["object_key"])
        #expect(try again.envelopes().first?.payload["cached"] == true)
    }

    @Test func `Different files never take each other's name`() async throws {
        let events = try [
            fetched("hello", message: 1), fetched("howdy", message: 2), fetched("hello", message: 3),
        ]
        let result = try await put(["--key", "{year}/{name}", "--concurrency", "1"], input: events)
        #expect(result.status == 0, "\(result.errors)")
        let ready = try result.envelopes()
        let keys = ready.map { $0.payload["object_key"]?.string ?? "" }
        #expect(keys[0] == "2025/talk.mp4")
        let sum = try #require(ready[1].payload["sha256"]?.string)
        #expect(keys[1] == "2025/talk-\(sum.prefix(12)).mp4")
        #expect(keys[2] == "2025/talk.mp4")
        #expect(try String(contentsOfFile: folder("store/\(keys[1])"), encoding: .utf8) == "howdy")
        // After a crash, the events come again without their files.
        let again = try await put(["--key", "{year}/{name}"], input: events)
        #expect(Set(try again.envelopes().map { $0.payload["object_key"]?.string ?? "" }) == Set(keys))
    }

    @Test func `One file of two messages is stored for both`() async throws {
        let first = try fetched("hello", message: 1)
        let second = first.replacing("\"message_id\":1", with: "\"message_id\":2")
            .replacing(/"id":"[^"]*","type"/, with: "\"id\":\"\(EventID())\",\"type\"")
        let result = try await put(["--key", "{message_id}-{name}", "--concurrency", "1"], input: [first, second])
        #expect(result.status == 0, "\(result.errors)")
        #expect(try result.envelopes().map { $0.payload["object_key"] } == ["1-talk.mp4", "2-talk.mp4"])
        #expect(try String(contentsOfFile: folder("store/2-talk.mp4"), encoding: .utf8) == "hello")
    }

    @Test func `A file from the command line does not vanish behind another one of its key either`() async throws {
        for (name, text) in [("a.txt", "hello"), ("b.txt", "howdy")] {
            try Data(text.utf8).write(to: URL(fileURLWithPath: folder(name)))
        }
        func put(_ file: String) async throws -> Envelope? {
            try await self.put(["--file", folder(file), "--key", "{year}/notes.txt"], input: []).envelopes().first
        }
        let first = try await put("a.txt")
        let (second, again) = (try await put("b.txt"), try await put("b.txt"))
        #expect(second?.payload["key"] != first?.payload["key"])
        #expect(second?.payload["existed"] == false)
        #expect(again?.payload["key"] == second?.payload["key"])
        #expect(again?.payload["existed"] == true)
    }

    @Test(arguments: ["talks/1.mp4", "{chta}/{name}", "a/../{name}"])
    func `A template that cannot work is refused at the start`(template: String) async throws {
        let result = try await put(["--key", template], input: [])
        #expect(result.status == 64)
        #expect(result.errors.contains("--key"))
    }

    // MARK: The ledger

    /// Returns an `events.dl.video.ready` of a time.
    private func ready(
        _ key: String, at time: String, chat: Int = 42, message: Int = 1, in store: String = "s3://media"
    ) -> String {
        """
        {"id":"\(EventID())","type":"events.dl.video.ready","version":1,"correlation_id":"\(EventID())",\
        "timestamp":"\(time)","payload":{"kind":"video","key":"video/\(String(repeating: "abcd", count: 16)).mp4",\
        "object_key":"\(key)","store":"\(store)","size_bytes":5,"sha256":"\(hello)","content_type":"video/mp4",\
        "file_name":"a\\u0000b.mp4","source_url":"https://example.com/1","normalized_url":"https://example.com/1",\
        "domain":"example.com","title":"A talk","fetched_at":"\(time)"},\
        "meta":{"actor":{"id":5,"name":"Ann"},"origin":{"chat_id":\(chat),"message_id":\(message)}}}
        """
    }

    private func removed(_ key: String, at time: String) -> String {
        """
        {"id":"\(EventID())","type":"events.blob.removed","version":1,"correlation_id":"\(EventID())",\
        "timestamp":"\(time)","payload":{"store":"s3://media","key":"\(key)","existed":true},"meta":{}}
        """
    }

    private let times = ["2026-01-01T00:00:00.000000Z", "2026-02-01T00:00:00.000000Z", "2026-03-01T00:00:00.000000Z"]

    private func keys(_ store: StoreFixture, _ arguments: String...) async throws -> [String] {
        let result = try await ToolRun.run(
            "msg-store", ["media"] + arguments, environment: ["TGPIPE_DB": store.address], folder: store.folder)
        #expect(result.status == 0, "\(result.errors)")
        return try result.lines.map { try JSON(parsing: $0)["key"]?.string ?? "" }
    }

    @Test(arguments: StoreFixture.Database.allCases)
    func `Stored media are noted and forwarded, in any order and any number of times`(
        database: StoreFixture.Database
    ) async throws {
        let events = [
            ready("a", at: times[0]), ready("a", at: times[2], message: 2), ready("b", at: times[0]),
            removed("b", at: times[1]), ready("c", at: times[0]), removed("c", at: times[1]),
            ready("c", at: times[2], chat: 43), removed("d", at: times[1]),
        ]
        var all: Set<String> = []
        for order in [events, events.reversed(), events + events] {
            let store = try StoreFixture(database)
            let loaded = try await store.run("load", input: order)
            #expect(loaded.status == 0, "\(loaded.errors)")
            #expect(loaded.lines == order)
            #expect(try await keys(store) == ["a", "c"])
            #expect(try await keys(store, "--removed") == ["a", "b", "c", "d"])
            #expect(try await keys(store, "--chat", "43") == ["c"])
            #expect(try await keys(store, "--store", "s3://other") == [])
            #expect(try await keys(store, "--since", "2026-01-02") == [])
            all.insert(try await store.run("media", "--removed").output)
        }
        #expect(all.count == 1)
        let first = try JSON(parsing: String(#require(all.first?.split(separator: "\n").first)))
        #expect(first["uses"] == 2)
        #expect(first["chat_id"] == 42)
        #expect(first["message_id"] == 2)
        #expect(first["user_id"] == 5)
        #expect(first["stored_at"] == .string(times[0]))
        #expect(first["seen_at"] == .string(times[2]))
        #expect(first["file_name"] == "a\u{FFFD}b.mp4")
    }

    @Test(arguments: StoreFixture.Database.allCases)
    func `Only objects that no message uses any more are to be removed`(
        database: StoreFixture.Database
    ) async throws {
        let store = try StoreFixture(database)
        let now = Timestamp.now
        let (old, recent) = (now + .seconds(-40 * 86_400), now + .seconds(-2 * 86_400))
        let events = [
            ready("old", at: old.description), ready("used", at: old.description),
            ready("used", at: recent.description, message: 2), ready("recent", at: recent.description),
            ready("both", at: old.description), ready("both", at: old.description, chat: 43),
        ]
        #expect(try await store.run("load", input: events).status == 0)
        #expect(try await keys(store, "--older-than", "30d") == ["both", "old"])
        // Another chat uses it, too.
        #expect(try await keys(store, "--older-than", "30d", "--chat", "42") == ["old"])
        let commands = try await store.run("media", "--older-than", "30d", "--remove").envelopes()
        #expect(commands.map(\.type) == ["commands.blob.remove", "commands.blob.remove"])
        #expect(commands.map { $0.payload["sha256"]?.string } == [hello, hello])
        let refused = try await store.run("media", "--remove")
        #expect(refused.status == 64)
        #expect(refused.errors.contains("--older-than"))
    }

    @Test func `From the store to the ledger and back, only the old object is removed`() async throws {
        let ledger = try StoreFixture(.sqlite)
        let events = try [fetched("hello", message: 1), fetched("howdy", message: 2)]
        let stored = try await put(["--key", "{chat}/{message_id}-{name}"], input: events)
        #expect(try await ledger.run("load", input: stored.lines).status == 0)
        try ledger.query("UPDATE media_uses SET used_at = used_at - 5000000000 WHERE message_id = 1")
        try ledger.query("UPDATE media SET seen_at = seen_at - 5000000000 WHERE key LIKE '%/1-talk.mp4'")
        let commands = try await ledger.run("media", "--older-than", "1h", "--remove")
        // Without the flag, the commands are forwarded like any other event.
        let forwarded = try await put([], input: commands.lines)
        #expect(forwarded.lines == commands.lines)
        let removal = try await put(["--remove"], input: commands.lines)
        #expect(removal.status == 0, "\(removal.errors)")
        #expect(try removal.envelopes().map(\.type) == ["events.blob.removed"])
        let chat = folder("store/-1001234567890")
        #expect(try FileManager.default.contentsOfDirectory(atPath: chat) == ["2-talk.mp4"])
        #expect(try await ledger.run("load", input: removal.lines).status == 0)
        #expect(try await keys(ledger) == ["-1001234567890/2-talk.mp4"])
    }

    @Test func `A command that was made long ago is not carried out`() async throws {
        #expect(try await put(["--key", "{name}"], input: [try fetched("hello")]).status == 0)
        let old = (Timestamp.now + .seconds(-7200)).description
        let command =
            #"{"type":"commands.blob.remove","correlation_id":"\#(EventID())","timestamp":"\#(old)","#
            + #""payload":{"store":"\#(store)","key":"talk.mp4"}}"#
        let result = try await put(["--remove"], input: [command])
        #expect(result.output.isEmpty)
        #expect(result.errors.contains("older than"))
        #expect(FileManager.default.fileExists(atPath: folder("store/talk.mp4")))
    }

    @Test func `Parts of videos and events without an object are forwarded, and not noted`() async throws {
        let ledger = try StoreFixture(.sqlite)
        let whole = ready("a", at: times[0])
        let part = whole.replacing(
            "\"meta\":{", with: "\"meta\":{\"group\":{\"item\":1,\"count\":1,\"part\":1,\"parts\":2},")
        let long = whole.replacing(
            "\"object_key\":\"a\"", with: "\"object_key\":\"\(String(repeating: "x", count: 1100))\"")
        let loaded = try await ledger.run("load", input: [part, long])
        #expect(loaded.status == 0, "\(loaded.errors)")
        #expect(loaded.lines == [part, long])
        #expect(try await keys(ledger, "--removed") == [])
    }

    @Test func `An object that somebody else has put there stays, and so does another store's`() async throws {
        let stored = try await put(["--key", "{name}"], input: [try fetched("hello")])
        #expect(stored.status == 0)
        let head = #"{"type":"commands.blob.remove","correlation_id":"\#(EventID())","payload":"#
        let result = try await put(
            ["--remove"],
            input: [
                head + #"{"store":"\#(store)","key":"talk.mp4","sha256":"\#(howdy)"}}"#,
                head + #"{"store":"s3://other","key":"talk.mp4"}}"#,
                head + #"{"store":"\#(store)","key":"../x"}}"#, head + #"{"store":"\#(store)"}}"#,
                head + #"{"store":"\#(store)","key":"gone.mp4"}}"#,
            ])
        #expect(result.status == 65)
        #expect(try result.envelopes().map { $0.payload["existed"] } == [false])
        #expect(FileManager.default.fileExists(atPath: folder("store/talk.mp4")))
        #expect(result.errors.contains("its SHA-256 is another one"))
    }
}
