import Envelope
import Foundation
import JSON
import TestSupport
import Testing

private let news: Int64 = -1_000_000_000_005

/// tg-history is killed at random instants, and what is missing is planned again.
@Suite(.timeLimit(.minutes(5))) struct HistoryCrashTests {
    /// Keeps what a reader of the output would have stored.
    private struct Archive {
        var messages: Set<Int64> = []
        var proven: Set<Int64> = []

        /// Takes the lines of an output. A killed process may have torn the last one.
        mutating func take(_ text: String) throws {
            for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
                let event = try Envelope(try JSON(parsing: String(line)))
                if let message = event.payload["channel_post"]?["message_id"]?.int { messages.insert(message) }
                guard event.type == "events.telegram.history_range", let first = event.payload["from_id"]?.int,
                    let last = event.payload["to_id"]?.int
                else { continue }
                // A range speaks only of messages that came before it.
                let known = messages.filter { (first...last).contains($0) }.count
                #expect(known == Int(event.payload["count"]?.int ?? -1))
                proven.formUnion(first...last)
            }
        }

        /// Returns commands for the ids up to `newest` that are not proven.
        func plan(upTo newest: Int64) -> [JSONObject] {
            var holes: [JSONObject] = []
            var start: Int64?
            for id in 1...newest + 1 {
                let isMissing = id <= newest && !proven.contains(id)
                if isMissing, start == nil { start = id }
                if !isMissing, let first = start {
                    holes.append(["chat_id": .integer(news), "from_id": .integer(first), "to_id": .integer(id - 1)])
                    start = nil
                }
            }
            return holes
        }
    }

    @Test func `Nothing is missing after kills at random instants`() async throws {
        let fixture = try await HistoryFixture(accounts: 2)
        let count: Int64 = 5000
        try await fixture.alice.emulator.control(
            "seeded",
            [
                "accounts": .array(fixture.sessions.map { .integer($0.id) }), "chat_id": .integer(news),
                "chat_type": "channel", "count": .integer(count), "seed": 5, "holes": 0.05,
            ])
        var archive = Archive()
        let kills = Int(ProcessInfo.processInfo.environment["TGPIPE_TEST_KILLS"] ?? "") ?? 4
        for round in 0..<kills {
            let output = fixture.alice.folder("output.\(round)")
            let run = try fixture.start(["--to", output])
            for command in archive.plan(upTo: count) { run.send(HistoryFixture.command(command)) }
            run.closeInput()
            try await Task.sleep(for: .milliseconds(Int.random(in: 200...1500)))
            run.signal(SIGKILL)
            _ = try await run.result()
            try archive.take((try? String(contentsOfFile: output, encoding: .utf8)) ?? "")
        }
        let rest = archive.plan(upTo: count)
        if !rest.isEmpty {
            let result = try await fixture.read(rest)
            #expect(result.status == 0, "\(result.errors.suffix(2000))")
            try archive.take(result.output)
        }
        let told = try await fixture.alice.emulator.server.call(
            "GET", "/control/mtproto/seeded/\(news)?account=\(MTProtoEmulator.alice)")
        #expect(archive.plan(upTo: count).isEmpty && archive.messages.count == Int(told["count"]?.int ?? -1))
    }
}
