import Envelope
import JSON
import TestSupport
import Testing

private let news: Int64 = -1_000_000_000_005

/// msg-store verify --online against the emulator.
@Suite(.timeLimit(.minutes(5))) struct StoreOnlineTests {
    private struct Archive {
        let fixture: HistoryFixture
        let database: StoreFixture

        func store(_ arguments: [String], _ input: String = "") async throws -> ToolRun.Result {
            try await ToolRun.run(
                "msg-store", arguments, input: input,
                environment: fixture.alice.environment.merging(["TGPIPE_DB": database.address]) { $1 },
                folder: fixture.alice.folder)
        }

        /// Plans, reads and stores what is missing.
        func fill(_ chats: [String]) async throws {
            let plan = try await store(["plan", "--"] + chats)
            let read = try await ToolRun.run(
                "tg-history", fixture.arguments, input: plan.output, environment: fixture.alice.environment,
                folder: fixture.alice.folder)
            #expect(try await store(["load"], read.output).status == 0)
        }

        func verify(_ more: [String] = []) async throws -> ToolRun.Result {
            try await store(["verify", "--online"] + fixture.arguments + more)
        }

        /// Returns the comparison with Telegram that `verify` prints for the only chat.
        func online(_ more: [String] = []) async throws -> JSON? {
            try JSON(parsing: try await verify(["--json"] + more).lines.first ?? "")["online"]
        }
    }

    private func archive(_ database: StoreFixture.Database, accounts: Int = 1) async throws -> Archive {
        Archive(fixture: try await HistoryFixture(accounts: accounts), database: try StoreFixture(database))
    }

    private func seed(_ archive: Archive, _ chat: Int64, count: Int64) async throws {
        try await archive.fixture.alice.emulator.control(
            "seeded",
            [
                "accounts": .array(archive.fixture.sessions.map { .integer($0.id) }), "chat_id": .integer(chat),
                "chat_type": "channel", "title": "News", "seed": 9, "holes": 0.1, "count": .integer(count),
                "chat_username": "some_news",
            ])
    }

    @Test(arguments: StoreFixture.Database.allCases)
    func `An archive is compared with what Telegram tells now`(database: StoreFixture.Database) async throws {
        let archive = try await archive(database, accounts: 2)
        let store = archive.database
        try await seed(archive, news, count: 800)
        try await archive.fill(["\(news)"])
        let same = try await archive.verify(["--sample", "2000"])
        #expect(same.status == 0, "\(same.output)\(same.errors.suffix(1000))")
        #expect(same.output.contains("nothing is missing, ") && same.output.contains(" are as Telegram has them"))
        // Somebody changes rows so that no checksum tells.
        let ids = try store.query("SELECT message_id FROM messages WHERE text <> '' ORDER BY 1 LIMIT 3").split(
            separator: "\n")
        try store.query("UPDATE messages SET text = 'forged' WHERE message_id = \(ids[0])")
        try store.query("UPDATE messages SET deleted_at = seen_at WHERE message_id = \(ids[1])")
        // Telegram changes, and nobody listens.
        let alice = archive.fixture.alice
        try await alice.emulator.control(
            "delete",
            [
                "account": .integer(MTProtoEmulator.alice), "chat_id": .integer(news),
                "message_ids": [.integer(try #require(Int64(ids[2])))],
            ])
        try await alice.emulator.server.call(
            "POST", "/control/message",
            ["account": .integer(MTProtoEmulator.alice), "chat_id": .integer(news), "text": "new"])
        let told = try #require(try await archive.online(["--sample", "4000"]))
        #expect(told["answered"] == true && told["compared"]?.int ?? 0 > 600, "\(told.text)")
        #expect(told["edited"]?.array == [.integer(Int64(ids[0]) ?? 0)], "\(told.text)")
        #expect(told["missing"]?.array?.contains(.integer(Int64(ids[1]) ?? 0)) == true, "\(told.text)")
        #expect(told["deleted"]?.array == [.integer(Int64(ids[2]) ?? 0)], "\(told.text)")
        #expect(told["newest_ids"]?["told"] == 801)
        #expect(told["totals"]?["told"]?.int == told["totals"]?["stored"]?.int.map { $0 + 1 }, "\(told.text)")
        let text = try await archive.verify(["--sample", "4000"])
        #expect(text.status == 1)
        #expect(text.output.contains("  the newest message is 801 at Telegram, and 800 here\n"))
        #expect(text.output.contains("  edited at Telegram: \(ids[0])\n"))
        #expect(text.output.contains("1 not as Telegram has them"))
    }

    @Test func `A chat that no account can read, and accounts that cannot be used, are told`() async throws {
        let archive = try await archive(.sqlite)
        try await seed(archive, news, count: 50)
        try await archive.fill(["\(news)"])
        try await archive.fixture.alice.emulator.control(
            "hide", ["account": .integer(MTProtoEmulator.alice), "chat_id": .integer(news)])
        let hidden = try await archive.verify()
        #expect(hidden.status == 1)
        #expect(hidden.output.contains("  Telegram did not answer: see the log\n"))
        #expect(try await archive.online()?["answered"] == false)
        let unknown = try await archive.store(["verify", "--online", "--session", "nobody"])
        #expect(unknown.status != 0 && unknown.status != 1)
        #expect(unknown.errors.contains("tg-history could not ask Telegram"))
        #expect(try await archive.store(["verify", "--session", "alice"]).status == 64)
    }

    @Test func `Private chats are asked of the account that they belong to`() async throws {
        let archive = try await archive(.sqlite, accounts: 2)
        for session in archive.fixture.sessions {
            for number in 0..<3 {
                try await archive.fixture.alice.emulator.server.call(
                    "POST", "/control/message",
                    [
                        "account": .integer(session.id), "chat_id": 77, "from": ["id": 77, "first_name": "Bob"],
                        "text": .string("\(session.name) \(number)"),
                    ])
            }
        }
        for session in archive.fixture.sessions {
            let plan = try await archive.store(["plan", "--account", "\(session.id)", "77"])
            let read = try await ToolRun.run(
                "tg-history", archive.fixture.arguments, input: plan.output,
                environment: archive.fixture.alice.environment, folder: archive.fixture.alice.folder)
            #expect(try await archive.store(["load"], read.output).status == 0)
        }
        let same = try await archive.verify()
        #expect(same.status == 0, "\(same.output)\(same.errors.suffix(1000))")
        #expect(same.output.contains("2 chats, 6 messages") && same.output.contains("6 messages are as"))
    }
}
