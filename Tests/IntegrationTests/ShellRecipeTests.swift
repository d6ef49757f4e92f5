import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Runs the programs in shell that docs/other-bots.md shows.
@Suite(.timeLimit(.minutes(2))) struct ShellRecipeTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()
    private let folder: TemporaryFolder
    private let telegram: BotEmulator
    private let redis: RedisServer

    init() throws { (folder, telegram, redis) = (try TemporaryFolder(), try BotEmulator(), try RedisServer()) }

    private static func path(_ name: String) -> String { root.appending(path: "examples/stages/\(name)").path }

    @Test(arguments: ["new-videos.sh", "members-only.sh", "broadcast.sh"])
    func `The document shows the program as it is`(_ name: String) throws {
        let document = try String(contentsOf: Self.root.appending(path: "docs/other-bots.md"), encoding: .utf8)
        let program = try String(contentsOfFile: Self.path(name), encoding: .utf8)
        let lines = program.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        #expect(document.contains(lines.map { $0.isEmpty ? "" : "    \($0)" }.joined(separator: "\n")))
    }

    /// Runs a program, and returns what it prints.
    private func run(_ name: String, _ arguments: [String], input: String = "") throws -> String {
        var environment = telegram.environment
        environment["TGPIPE_REDIS"] = redis.address
        environment["TGPIPE_STATE"] = folder("state")
        environment["HOME"] = folder.path
        let bin = ToolRun.path(of: "")
        environment["PATH"] = "\(bin):\(try PythonTools.binFolder()):/usr/local/bin:/usr/bin:/bin"
        try input.write(toFile: folder("in"), atomically: true, encoding: .utf8)
        let variables = environment.map { "\($0)='\($1)'" }.joined(separator: " ")
        let words = arguments.map { "'\($0)'" }.joined(separator: " ")
        let script = "export \(variables); \(Self.path(name)) \(words) <\(folder("in")) >\(folder("out"))"
        #expect(try SpawnedProgram(["sh", "-c", script]).wait() == 0)
        return try String(contentsOfFile: folder("out"), encoding: .utf8)
    }

    @Test func `Each new video of a channel is asked for once`() throws {
        let site = try WebSite(root: folder.path)
        let (subscriptions, seen) = (folder("subscriptions"), folder("seen"))
        let link = "\(site.url)/feed?count=9&path=clip.mp4"
        try "42 7 \(link)\n43 8 \(link)\n".write(toFile: subscriptions, atomically: true, encoding: .utf8)
        func requests() throws -> [JSON] {
            _ = try run("new-videos.sh", [subscriptions, seen])
            let environment = ["TGPIPE_REDIS='\(redis.address)'", "TGPIPE_STATE='\(folder("state"))'"].joined(
                separator: " ")
            let command = "\(environment) \(ToolRun.path(of: "ev-queue")) peek limited --count 100"
            return try SpawnedProgram.output(of: ["sh", "-c", command]).split(separator: "\n").map {
                try JSON(parsing: String($0))
            }
        }
        let first = try requests()
        #expect(first.count == 10, "\(first)")
        #expect(Set(first.compactMap { $0["payload"]?["url"]?.string }).count == 5)
        #expect(Set(first.compactMap { $0["meta"]?["origin"]?["chat_id"]?.int }) == [42, 43])
        #expect(try requests().count == 10)
    }

    @Test func `Only members of the channel get media, and the others a line`() async throws {
        let channel: Int64 = -1_001_000_000_042
        try await telegram.server.call(
            "POST", "/control/chat", ["chat_id": .integer(channel), "bot_status": "administrator"])
        try await telegram.say("hello", as: .init(42, "Ann"), chat: channel)
        try await telegram.say("hello", as: .init(43, "Ben"))
        func request(_ user: Int64, _ type: String = "commands.media.video_download") -> String {
            JSON.object([
                "id": .string("01930b7a-4f00-7abc-8def-0000000000\(user)"), "type": .string(type),
                "correlation_id": .string("01930b7a-4f00-7abc-8def-1000000000\(user)"),
                "meta": [
                    "actor": ["id": .integer(user), "name": "x"],
                    "origin": ["chat_id": .integer(user), "message_id": 1],
                ],
                "payload": ["url": "https://example.com/"],
            ]).text
        }
        let events = [
            request(42), request(43), request(43, "commands.media.cancel"), request(42), #"{"type":"events.other"}"#,
        ]
        let lines = try run("members-only.sh", ["\(channel)"], input: events.joined(separator: "\n") + "\n")
            .split(separator: "\n").map(String.init)
        #expect(lines.count == 5)
        #expect([0, 2, 3, 4].allSatisfy { lines[$0] == events[$0] })
        let answer = try JSON(parsing: lines[1])
        #expect(answer["type"] == "commands.telegram.reply" && answer["meta"]?["origin"]?["chat_id"] == 43)
        #expect(answer["correlation_id"]?.string?.hasSuffix("43") == true)
        #expect(answer["payload"]?["text"]?.string == "This bot is for members of \(channel).")
        let asked = try await telegram.calls("getChatMember")
        #expect(asked.count == 2, "who is a member is remembered")
    }

    @Test func `A text reaches all whom an admin has let in`() async throws {
        for user in [42, 43] as [Int64] {
            try await telegram.say("hello", as: .init(user, "User \(user)"))
            let key = "tgpipe:{access}:bless:\(user)"
            let socket = String(redis.address.dropFirst("unix:".count))
            #expect(
                try SpawnedProgram(["redis-cli", "-s", socket, "SET", key, "1"], descriptors: [nil, 2, 2]).wait() == 0)
        }
        _ = try run("broadcast.sh", ["The bot moves tonight."])
        for user in [42, 43] as [Int64] {
            #expect(try await telegram.answers(in: user).compactMap(\.text) == ["The bot moves tonight."])
        }
    }
}
