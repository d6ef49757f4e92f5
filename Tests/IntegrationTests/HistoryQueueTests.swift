import Envelope
import Glibc
import JSON
import TestSupport
import Testing

private let news: Int64 = -1_000_000_000_005

/// tg-history and msg-store over queues, by several processes.
@Suite(.timeLimit(.minutes(5))) struct HistoryQueueTests {
    private let redis: RedisServer
    private let store: StoreFixture

    init() throws {
        redis = try RedisServer(configuration: RedisServer.durable)
        store = try StoreFixture(.postgres)
    }

    private func environment(_ fixture: HistoryFixture) -> [String: String] {
        fixture.alice.environment.merging([
            "TGPIPE_REDIS": redis.address, "TGPIPE_DB": store.address, "TGPIPE_LOG": "json:info",
        ]) { $1 }
    }

    private func seed(_ fixture: HistoryFixture, count: Int64) async throws {
        try await fixture.alice.emulator.control(
            "seeded",
            [
                "accounts": .array(fixture.sessions.map { .integer($0.id) }), "chat_id": .integer(news),
                "chat_type": "channel", "count": .integer(count), "seed": 5, "holes": 0.05,
            ])
    }

    private func run(
        _ fixture: HistoryFixture, _ tool: String, _ arguments: [String], input: String = ""
    ) async throws -> ToolRun.Result {
        try await ToolRun.run(
            tool, arguments, input: input, environment: environment(fixture), folder: fixture.alice.folder)
    }

    /// Puts commands for parts of the chat into the queue `plan`.
    private func push(_ fixture: HistoryFixture, upTo last: Int64, each size: Int64) async throws {
        let commands = stride(from: Int64(1), through: last, by: Int(size)).map { first in
            HistoryFixture.command([
                "chat_id": .integer(news), "from_id": .integer(first), "to_id": .integer(min(last, first + size - 1)),
            ]) + "\n"
        }
        let pushed = try await run(fixture, "ev-queue", ["push", "plan"], input: commands.joined())
        #expect(pushed.status == 0)
    }

    private let ends = ["--lease", "500ms", "--max-attempts", "1000"]

    /// Starts a reader for each account, each a process of its own, and a loader.
    private func start(_ fixture: HistoryFixture) throws -> [ToolRun] {
        let readers = try fixture.sessions.map { session in
            try ToolRun(
                "tg-history",
                ["--session", session.name, "--from", "queue:plan", "--to", "queue:history"] + ends,
                environment: environment(fixture), folder: fixture.alice.folder)
        }
        let loader = try ToolRun(
            "msg-store", ["load", "--from", "queue:history"] + ends, environment: environment(fixture),
            folder: fixture.alice.folder)
        return readers + [loader]
    }

    private func expectWhole(_ fixture: HistoryFixture) async throws {
        for queue in ["plan", "history"] {
            let waited = try await run(fixture, "ev-queue", ["wait", queue, "--timeout", "60s"])
            #expect(waited.status == 0, "\(waited.errors.suffix(1000))")
            let stats = try JSON(parsing: try await run(fixture, "ev-queue", ["stats", queue]).output)
            #expect(stats["dead"] == 0, "\(stats.text)")
        }
        let verified = try await run(fixture, "msg-store", ["verify"])
        #expect(verified.status == 0, "\(verified.output)")
        let told = try await fixture.alice.emulator.server.call(
            "GET", "/control/mtproto/seeded/\(news)?account=\(MTProtoEmulator.alice)")
        #expect(
            try store.query("SELECT count(*), max(message_id) FROM messages")
                == "\(told["count"]?.int ?? 0)|\(told["newest_id"]?.int ?? 0)")
    }

    @Test func `Workers that are killed lose nothing, and acknowledge nothing before it is written`() async throws {
        let fixture = try await HistoryFixture(accounts: 2)
        try await seed(fixture, count: 6000)
        try await push(fixture, upTo: 6000, each: 400)
        for _ in 0..<4 {
            let tools = try start(fixture)
            try await Task.sleep(for: .milliseconds(Int.random(in: 300...1200)))
            for tool in tools.shuffled() { tool.signal(SIGKILL) }
            for tool in tools { _ = try await tool.result() }
        }
        let tools = try start(fixture)
        try await expectWhole(fixture)
        for tool in tools {
            tool.signal(SIGTERM)
            #expect(try await tool.result().status == 0)
        }
    }

    @Test func `Two processes share the commands of a queue`() async throws {
        let fixture = try await HistoryFixture(accounts: 2)
        try await seed(fixture, count: 4000)
        try await push(fixture, upTo: 4000, each: 100)
        let tools = try start(fixture)
        try await expectWhole(fixture)
        for tool in tools {
            tool.signal(SIGTERM)
            #expect(try await tool.result().status == 0)
        }
        let callers = Set(
            try await fixture.alice.emulator.calls("messages.getHistory").compactMap { $0["account"]?.int })
        #expect(callers == Set(fixture.sessions.map(\.id)))
        // Nothing was read twice.
        #expect(tools.dropLast().allSatisfy { $0.log.contains("read News") || $0.log.contains("\"messages\"") })
    }

    @Test func `A command for an account of another process reaches that process`() async throws {
        let fixture = try await HistoryFixture(accounts: 2)
        try await seed(fixture, count: 300)
        let other = fixture.sessions[1]
        let command = HistoryFixture.command([
            "chat_id": .integer(news), "account_id": .integer(other.id),
        ])
        #expect(try await run(fixture, "ev-queue", ["push", "plan"], input: command + "\n").status == 0)
        let tools = try start(fixture)
        try await expectWhole(fixture)
        for tool in tools {
            tool.signal(SIGTERM)
            _ = try await tool.result()
        }
        let calls = try await fixture.alice.emulator.calls("messages.getHistory")
        #expect(!calls.isEmpty && calls.allSatisfy { $0["account"]?.int == other.id })
    }

    @Test func `A command for an account that no process has becomes a dead letter`() async throws {
        let fixture = try await HistoryFixture(accounts: 2)
        try await seed(fixture, count: 10)
        let command = HistoryFixture.command(["chat_id": .integer(news), "account_id": 99])
        #expect(try await run(fixture, "ev-queue", ["push", "plan"], input: command + "\n").status == 0)
        let readers = try fixture.sessions.map { session in
            try ToolRun(
                "tg-history",
                ["--session", session.name, "--from", "queue:plan", "--to", "queue:history", "--max-attempts", "1"],
                environment: environment(fixture), folder: fixture.alice.folder)
        }
        let waited = try await run(fixture, "ev-queue", ["wait", "plan", "--timeout", "60s"])
        #expect(waited.status == 0, "\(waited.errors.suffix(1000))")
        let stats = try JSON(parsing: try await run(fixture, "ev-queue", ["stats", "plan"]).output)
        #expect(stats["dead"] == 1, "\(stats.text)")
        var statuses: [Int32] = []
        for reader in readers {
            reader.signal(SIGTERM)
            statuses.append(try await reader.result().status)
        }
        // The one that gave it up has failed.
        #expect(statuses.sorted() == [0, 1])
    }
}
