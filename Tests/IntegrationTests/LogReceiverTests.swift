import Foundation
import JSON
import TestSupport
import Testing

/// Exports to rotel.
@Suite(.timeLimit(.minutes(3))) struct LogReceiverTests {
    private let fixture: LogFixture
    private let redis: RedisServer
    private let id = "0191e0a0-0000-7000-8000-0000000000aa"

    init() throws { (fixture, redis) = (try LogFixture(), try RedisServer()) }

    private var environment: [String: String] {
        fixture.environment.merging(["TGPIPE_REDIS": redis.address]) { $1 }
    }

    private func run(_ tool: String, _ arguments: [String], input: String = "") async throws {
        let result = try await ToolRun.run(
            tool, arguments, input: input, environment: environment, folder: fixture.folder)
        #expect(result.status == 0, "\(tool): \(result.errors)")
    }

    @Test
    func `A request over queues whose worker is killed is one tree in a collector, the one that ev-log trace prints`()
        async throws
    {
        let event =
            #"{"id":"0191e0a0-0000-7000-8000-0000000000ab","type":"events.a","version":1,"correlation_id":"\#(id)","timestamp":"2026-01-01T00:00:00.000000Z","payload":{},"meta":{}}"#
        try await run("ev-queue", ["push", "jobs"], input: event + "\n")
        let mark = fixture.folder("mark")
        let program = #"""
            if [ ! -e "$0" ]; then : > "$0"; sleep 600; fi
            jq -c --arg t "$TRACEPARENT" '.causation_id = .id | .id = "0191e0a0-0000-7000-8000-0000000000ac" | .type = "events.b" | .meta.traceparent = $t'
            """#
        let work = ["work", "jobs", "--lease", "1s", "--to", "queue:next", "--", "sh", "-c", program, mark]
        let killed = try ToolRun("ev-queue", work, environment: environment, folder: fixture.folder)
        #expect(try await eventually { FileManager.default.fileExists(atPath: mark) })
        // What a killed process has not written yet is lost with it.
        try await Task.sleep(for: .milliseconds(200))
        killed.signal(SIGKILL)
        _ = try await killed.result()
        let second = try ToolRun("ev-queue", work, environment: environment, folder: fixture.folder)
        let limit = try ToolRun(
            "ratelimit", ["-n", "9", "-w", "60s", "--from", "queue:next", "--to", "queue:last"],
            environment: environment, folder: fixture.folder)
        try await run("ev-queue", ["pull", "last", "--count", "1", "--wait", "60s"])
        for stage in [second, limit] {
            stage.signal(SIGTERM)
            #expect(try await stage.result().status == 0)
        }
        #expect(try await fixture.runOnce().status == 0)
        let trace = try JSON(parsing: try await fixture.log("trace", id, "--json").output)
        let items = (trace["items"]?.array ?? []).filter { $0["span_id"] != nil }
        #expect(trace["missing_spans"] == nil && items.count { $0["depth"] == 0 } == 1)
        #expect(items.contains { $0["operation"] == "receive" && $0["attempt"]?.int ?? 0 > 1 })

        let rotel = try await Rotel(fixture.folder)
        var export = fixture.quiet
        export["OTEL_EXPORTER_OTLP_ENDPOINT"] = rotel.endpoint
        export["OTEL_EXPORTER_OTLP_COMPRESSION"] = "gzip"
        let sent = try await ToolRun.run(
            "ev-log", ["export", "--once", "--logs"], environment: export, folder: fixture.folder)
        #expect(sent.status == 0 && sent.errors.contains("\"rejected\":0"))
        let ids = items.compactMap { $0["span_id"]?.string }
        #expect(try await eventually { rotel.values("ID").count >= ids.count })
        rotel.stop()
        let (found, parents, traces) = (rotel.values("ID"), rotel.values("Parent ID"), rotel.values("Trace ID"))
        #expect(found.count == ids.count && Set(found) == Set(ids))
        // Log lines outside of requests have none.
        #expect(Set(traces.filter { !$0.isEmpty }) == [id.filter { $0 != "-" }] && traces.count >= ids.count)
        // The tree that the depths of ev-log trace tell is the one of the collector.
        var above: [String] = []
        var expected: [String: String] = [:]
        for item in items {
            let (span, depth) = (item["span_id"]?.string ?? "", Int(item["depth"]?.int ?? 0))
            above = Array(above.prefix(depth))
            expected[span] = above.last ?? ""
            above.append(span)
        }
        #expect(parents.count == found.count)
        for (span, parent) in zip(found, parents) { #expect(expected[span] == parent, "\(span)") }
        #expect(rotel.text.contains("messaging.message.conversation_id"))
    }
}
