import Foundation
import JSON
import TestSupport
import Testing

/// Kills the parts of an archive at random instants, and compares the table with the emulator's own.
@Suite(.timeLimit(.minutes(60))) struct HistoryKillTests {
    private enum Part: CaseIterable {
        case reader
        case loader
        case owner
        case server
    }

    private func startOwner(_ pipeline: ArchivePipeline) throws -> ToolRun {
        try pipeline.start("tg-session", ["run", AccountFixture.name])
    }

    /// Returns the owner once it shares the session. A reader that found no owner had the session for itself.
    private func sharing(_ owner: ToolRun, _ pipeline: ArchivePipeline) async throws -> ToolRun {
        var owner = owner
        while !owner.log.contains("is shared at") {
            if owner.log.contains("is in use by") { owner = try startOwner(pipeline) }
            try await Task.sleep(for: .milliseconds(20))
        }
        return owner
    }

    @Test func `The table equals the messages at Telegram after kills of each part`() async throws {
        let kills = Int(ProcessInfo.processInfo.environment["TGPIPE_TEST_KILLS"] ?? "") ?? 1
        var parts = Part.allCases.flatMap { Array(repeating: $0, count: kills) }.shuffled()
        let server = try PostgresServer()
        let fixture = try await HistoryFixture(accounts: 2)
        var name = try server.makeDatabase()
        var pipeline = ArchivePipeline(fixture: fixture, database: server.address(name))
        try await pipeline.seed(8000)
        var owner = try startOwner(pipeline)
        // Two connections write jsonb, so it has the most to lose; later archives have the other forms.
        var forms = ["jsonb", "text", "zstd"]
        var complete = 0
        while true {
            if try await pipeline.run("msg-store", ["verify"]).status == 0 {
                let differences = try await pipeline.differences(server, name)
                #expect(differences == [])
                let bare = try server.query(name, "SELECT count(*) FROM messages WHERE raw IS NULL")
                #expect(bare == "0")
                complete += 1
                if parts.isEmpty { break }
                // The next kills get an empty archive, with another form of the raw messages.
                forms.append(forms.removeFirst())
                name = try server.makeDatabase()
                pipeline = ArchivePipeline(fixture: fixture, database: server.address(name))
            }
            owner = try await sharing(owner, pipeline)
            let plan = try await pipeline.run("msg-store", ["plan", "--", "\(ArchivePipeline.chat)"])
            #expect(plan.status == 0, "\(plan.errors.suffix(1000))")
            let tools = try pipeline.pipe(
                ["tg-history"] + fixture.arguments, from: plan.output, into: ["msg-store", "load", "--raw", forms[0]])
            if let part = parts.popLast() {
                try await Task.sleep(for: .milliseconds(Int.random(in: 50...900)))
                switch part {
                case .reader: tools.first.program.signal(SIGKILL)
                case .loader: tools.second.program.signal(SIGKILL)
                case .owner:
                    owner.signal(SIGKILL)
                    _ = try await owner.result()
                    owner = try startOwner(pipeline)
                case .server:
                    server.stopImmediately()
                    try server.start()
                }
            }
            _ = await tools.first.status()
            _ = await tools.second.status()
        }
        #expect(complete > 0)
        #expect(try await fixture.alice.violations() == [])
        owner.signal(SIGTERM)
        _ = try await owner.result()
    }
}
