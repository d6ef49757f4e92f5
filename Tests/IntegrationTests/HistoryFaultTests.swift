import Envelope
import Glibc
import JSON
import TestSupport
import Testing

private let news: Int64 = -1_000_000_000_005
private let group: Int64 = -1_000_000_000_006

/// tg-history against histories that a seed determines, and a server that makes it hard.
@Suite(.timeLimit(.minutes(5))) struct HistoryFaultTests {
    /// Makes a seeded chat that all accounts can read.
    private func seed(_ fixture: HistoryFixture, _ chat: Int64, _ more: JSONObject) async throws {
        var order: JSONObject = [
            "accounts": .array(fixture.sessions.map { .integer($0.id) }), "chat_id": .integer(chat),
            "chat_type": "channel", "title": "News", "seed": 9, "holes": 0.05,
        ]
        if chat > -1_000_000_000_000 {
            order["accounts"] = nil
            order["account"] = .integer(MTProtoEmulator.alice)
        }
        for member in more.members { order[member.key] = member.value }
        try await fixture.alice.emulator.control("seeded", order)
    }

    private func told(_ fixture: HistoryFixture, _ chat: Int64) async throws -> JSON {
        try await fixture.alice.emulator.server.call(
            "GET", "/control/mtproto/seeded/\(chat)?account=\(MTProtoEmulator.alice)")
    }

    /// Checks that each message of a chat was written once, and that the ranges prove all ids.
    private func expectWhole(_ result: ToolRun.Result, _ fixture: HistoryFixture, _ chat: Int64) async throws {
        #expect(result.status == 0, "\(result.errors.suffix(2000))")
        let (ids, told) = (try result.messageIDs(in: chat), try await told(fixture, chat))
        #expect(Set(ids).count == ids.count && ids.count == Int(told["count"]?.int ?? -1))
        #expect(try result.proven(in: chat) == Set(1...(told["newest_id"]?.int ?? 0)))
    }

    @Test func `Short, empty and repeated pages hide nothing`() async throws {
        let fixture = try await HistoryFixture(accounts: 2)
        try await seed(
            fixture, news, ["count": 3000, "ghosts": [[400, 900], [1500, 1520]], "gaps": [[2000, 2300]]])
        try await fixture.alice.habits(["history_short": 20, "history_repeat": 20, "history_empty": 4])
        try await expectWhole(try await fixture.read([["chat_id": .integer(news)]]), fixture, news)
    }

    @Test func `Floods on every account cause no early call`() async throws {
        let fixture = try await HistoryFixture(accounts: 3)
        try await seed(fixture, news, ["count": 5000])
        try await fixture.alice.emulator.control(
            "floods", ["methods": ["messages.getHistory"], "share": 0.1, "shortest": 1, "longest": 1, "seed": 4])
        let result = try await fixture.read([["chat_id": .integer(news)]])
        try await expectWhole(result, fixture, news)
        let floods = try await fixture.alice.emulator.server.call("GET", "/control/mtproto/floods")
        #expect(floods["early_calls"] == 0 && floods["refusals"]?.int ?? 0 > 0, "\(floods.text)")
        let waits = try result.envelopes().filter { $0.type == "events.telegram.waiting" }
        #expect(Int64(waits.count) == floods["refusals"]?.int)
    }

    @Test func `An account that is banned midway leaves its work to the others`() async throws {
        let fixture = try await HistoryFixture(accounts: 2)
        try await seed(fixture, news, ["count": 4000])
        try await fixture.alice.emulator.control(
            "revoke", ["account": .integer(fixture.sessions[1].id), "ban": true, "after_calls": 12])
        let result = try await fixture.read([["chat_id": .integer(news)]])
        try await expectWhole(result, fixture, news)
        #expect(result.errors.contains("the account of 'reader1' leaves the pool"))
    }

    @Test func `A migrated group and the comments of a channel are read with the chats that they belong to`()
        async throws
    {
        let fixture = try await HistoryFixture()
        let former: Int64 = -70
        try await seed(fixture, former, ["count": 300, "chat_type": "group"])
        try await seed(fixture, group, ["count": 300, "chat_type": "supergroup", "migrated_from": .integer(former)])
        let migrated = try await fixture.read([["chat_id": .integer(group)]])
        try await expectWhole(migrated, fixture, group)
        #expect(try !migrated.messageIDs(in: former).isEmpty)
        #expect(try migrated.ranges().contains { $0["chat"]?["migrated_from_chat_id"] == .integer(former) })
        let (channel, comments) = (Int64(-1_000_000_000_007), Int64(-1_000_000_000_008))
        try await seed(fixture, channel, ["count": 50])
        try await seed(
            fixture, comments,
            ["count": 200, "chat_type": "supergroup", "copies_of": .integer(channel), "comments_each": 3])
        let result = try await fixture.read([["chat_id": .integer(channel)]], ["--comments"])
        try await expectWhole(result, fixture, channel)
        #expect(try !result.messageIDs(in: comments).isEmpty)
    }

    @Test func `Comments are read post by post where the group with them cannot be read`() async throws {
        let fixture = try await HistoryFixture(accounts: 2)
        let (channel, group) = (Int64(-1_000_000_000_007), Int64(-1_000_000_000_008))
        try await seed(fixture, channel, ["count": 60])
        try await seed(
            fixture, group,
            [
                "count": .integer(1 + 60 * 131), "chat_type": "supergroup", "copies_of": .integer(channel),
                "comments_each": 130,
            ])
        for session in fixture.sessions {
            try await fixture.alice.emulator.control(
                "hide", ["account": .integer(session.id), "chat_id": .integer(group)])
        }
        let result = try await fixture.read([["chat_id": .integer(channel)]], ["--comments"])
        #expect(result.status == 0, "\(result.errors.suffix(2000))")
        #expect(result.errors.contains("the comments of each post are read instead"))
        let comments = try result.messageIDs(in: group)
        let told = try result.envelopes().filter { $0.type == "events.telegram.history_comments" }.map(\.payload)
        #expect(
            told.count > 50 && told.allSatisfy { $0["count"] == $0["total"] && $0["channel_id"] == .integer(channel) })
        #expect(told.contains { $0["count"]?.int ?? 0 > 100 })
        #expect(Int64(comments.count) == told.reduce(0) { $0 + ($1["count"]?.int ?? 0) })
        #expect(Set(comments).count == comments.count)
        // In the archive, the group is not taken for one that lacks messages.
        let store = try StoreFixture(.sqlite)
        #expect(try await store.run("load", input: result.lines).status == 0)
        let verified = try await store.run("verify")
        #expect(verified.status == 0, "\(verified.output)")
        #expect(try await store.run("status").output.contains("comments on \(channel) only"))
        #expect(try await store.run("plan", "--all").envelopes().map { $0.payload["chat_id"]?.int } == [channel])
        let wanted = try await store.run("plan", "--", "\(group)").envelopes()
        #expect(wanted.map { $0.payload["chat_id"]?.int } == [group] && wanted.first?.payload["from_id"] == nil)
    }

    @Test func `Calls belong to an export, or the tool says that it must wait`() async throws {
        let fixture = try await HistoryFixture()
        try await seed(fixture, news, ["count": 300])
        try await expectWhole(try await fixture.read([["chat_id": .integer(news)]], ["--takeout"]), fixture, news)
        let calls = try await fixture.alice.emulator.calls("messages.getHistory")
        #expect(!calls.isEmpty && calls.allSatisfy { $0["takeout"] != nil })
        // The emulator delays only an account's first export.
        let other = try await HistoryFixture()
        try await seed(other, news, ["count": 30])
        try await other.alice.habits(["takeout_delay": 3600])
        let refused = try await other.read([["chat_id": .integer(news)]], ["--takeout"])
        #expect(refused.status == 75 && refused.output.isEmpty && refused.errors.contains("1h"))
    }

    @Test func `Accounts that tg-session owns are used beside others`() async throws {
        let fixture = try await HistoryFixture(accounts: 2)
        try await seed(fixture, news, ["count": 3000])
        let owner = try ToolRun(
            "tg-session", ["run", AccountFixture.name], environment: fixture.alice.environment,
            folder: fixture.alice.folder)
        #expect(try await eventually { owner.log.contains("is shared at") })
        let result = try await fixture.read([["chat_id": .integer(news)]])
        try await expectWhole(result, fixture, news)
        #expect(Set(try result.ranges().compactMap { $0["account_id"]?.int }).count == 2)
        owner.signal(SIGTERM)
        _ = try await owner.result()
    }

    @Test func `Media are handed to media-fetch as commands of their own`() async throws {
        let fixture = try await HistoryFixture()
        try await seed(fixture, news, ["count": 300])
        let result = try await fixture.read([["chat_id": .integer(news)]], ["--media", "photo,audio"])
        try await expectWhole(result, fixture, news)
        let commands = try result.envelopes().filter { $0.type.hasPrefix("commands.media.") }
        #expect(Set(commands.map(\.type)) == ["commands.media.video_download", "commands.media.audio_download"])
        #expect(commands.allSatisfy { $0.payload["file"]?["file_id"] != nil && $0.meta["account"] != nil })
        #expect(commands.allSatisfy { $0.meta["source"]?["chat_id"] == .integer(news) })
        #expect(Set(commands.compactMap { $0.meta["source"]?["message_id"]?.int }).count == commands.count)
        #expect(commands.allSatisfy { $0.meta["source"]?["date"] != nil })
    }

    @Test func `What is stored is proven, and only what is missing is planned again`() async throws {
        let fixture = try await HistoryFixture(accounts: 2)
        try await seed(fixture, news, ["count": 2500, "chat_username": "some_news"])
        func store(_ arguments: [String], _ input: String = "") async throws -> ToolRun.Result {
            try await ToolRun.run(
                "msg-store", arguments, input: input, environment: fixture.alice.environment,
                folder: fixture.alice.folder)
        }
        func archive() async throws -> ToolRun.Result {
            let plan = try await store(["plan", "@some_news"])
            let read = try await ToolRun.run(
                "tg-history", fixture.arguments, input: plan.output, environment: fixture.alice.environment,
                folder: fixture.alice.folder)
            #expect(plan.status == 0 && read.status == 0, "\(plan.errors.suffix(1000))\(read.errors.suffix(1000))")
            let loaded = try await store(["load"], read.output)
            #expect(loaded.status == 0, "\(loaded.errors.suffix(2000))")
            return read
        }
        try await expectWhole(try await archive(), fixture, news)
        let verified = try await store(["verify"])
        #expect(verified.status == 0, "\(verified.output)\(verified.errors.suffix(1000))")
        #expect(try await archive().messageIDs().isEmpty)
    }

    @Test func `A chat that has lost its name is not read by that name`() async throws {
        let fixture = try await HistoryFixture()
        try await seed(fixture, news, ["count": 300, "chat_username": "some_news"])
        func run(_ tool: String, _ arguments: [String], _ input: String = "") async throws -> ToolRun.Result {
            try await ToolRun.run(
                tool, arguments, input: input, environment: fixture.alice.environment, folder: fixture.alice.folder)
        }
        let first = try await run("tg-history", fixture.arguments, run("msg-store", ["plan", "@some_news"]).output)
        #expect(try await run("msg-store", ["load"], first.output).status == 0)
        // The archive is from the time at which the chat had another name.
        let archive = fixture.alice.folder("state/archive/archive.sqlite")
        _ = try SpawnedProgram.output(of: ["sqlite3", archive, "UPDATE chats SET username = 'old_news'"])
        let plan = try await run("msg-store", ["plan", "@old_news"])
        let refused = try await run("tg-history", fixture.arguments, plan.output)
        #expect(refused.status == 1)
        #expect(refused.output.isEmpty)
        #expect(refused.errors.contains("was @old_news, and is @some_news now"))
        // By its id it is.
        let byID = try await run(
            "tg-history", fixture.arguments, run("msg-store", ["plan", "--refresh-last", "10", "\(news)"]).output)
        #expect(byID.status == 0)
        #expect(!byID.output.isEmpty)
    }
}
