import Glibc
import JSON
import TestSupport
import Testing

/// Reads chats into a database by one command.
@Suite(.timeLimit(.minutes(5))) struct StoreFetchTests {
    private let news: Int64 = -1_000_000_000_005

    private func run(_ fixture: HistoryFixture, _ arguments: [String]) async throws -> ToolRun.Result {
        try await ToolRun.run(
            "msg-store", arguments, environment: fixture.alice.environment, folder: fixture.alice.folder)
    }

    private func post(_ fixture: HistoryFixture, _ count: Int64) async throws {
        try await fixture.history(
            news, count: count, ["chat_type": "channel", "title": "News", "chat_username": "some_news"])
    }

    @Test func `One command reads a channel through all accounts, and given again only what is missing`() async throws {
        let fixture = try await HistoryFixture(accounts: 2)
        try await post(fixture, 700)
        let whole = try await run(fixture, ["fetch", "@some_news"] + fixture.arguments)
        #expect(whole.status == 0 && whole.output.isEmpty, "\(whole.errors.suffix(2000))")
        #expect(try await run(fixture, ["verify", "@some_news"]).status == 0)
        let exported = try await run(fixture, ["export", "--chat", "@some_news", "--format", "ndjson"])
        #expect(exported.lines.count == 700, "\(exported.errors)")
        let again = try await run(fixture, ["fetch", "\(news)"] + fixture.arguments)
        #expect(again.status == 0, "\(again.errors.suffix(2000))")
        #expect(try await fixture.alice.violations() == [])
    }

    @Test func `The failure of one program is the failure of all, with its reason and status`() async throws {
        let fixture = try await HistoryFixture()
        try await post(fixture, 10)
        let nobody = try await run(fixture, ["fetch", "@some_news", "--session", "nobody"])
        #expect(nobody.status == 78 && nobody.errors.contains("nobody"), "\(nobody.status) \(nobody.errors)")
        let unknown = try await run(fixture, ["fetch", "@nobody_has_this"] + fixture.arguments)
        #expect(unknown.status == 1 && unknown.errors.contains("@nobody_has_this"), "\(unknown.errors)")
        let database = try await run(
            fixture, ["fetch", "@some_news", "--db", "/nonexistent/a/b.sqlite"] + fixture.arguments)
        #expect(![0, 74].contains(database.status) || database.errors.contains("/nonexistent"), "\(database.errors)")
        #expect(try await run(fixture, ["fetch"]).status == 64)
        #expect(try await run(fixture, ["fetch", "@some_news", "--lsat", "5"]).status == 64)
    }

    @Test func `A signal ends the reading, and what was read is stored`() async throws {
        let fixture = try await HistoryFixture()
        try await post(fixture, 30_000)
        let run = try ToolRun(
            "msg-store", ["fetch", "@some_news"] + fixture.arguments, environment: fixture.alice.environment,
            folder: fixture.alice.folder)
        #expect(try await eventually { run.log.contains("listening") || run.log.contains("tg-history") })
        try await Task.sleep(for: .milliseconds(700))
        run.signal(SIGTERM)
        let interrupted = try await run.result(deadline: .seconds(60))
        #expect(interrupted.status == 0, "\(interrupted.errors.suffix(2000))")
        let rest = try await self.run(fixture, ["fetch", "@some_news"] + fixture.arguments)
        #expect(rest.status == 0)
        #expect(try await self.run(fixture, ["verify", "@some_news"]).status == 0)
    }
}
