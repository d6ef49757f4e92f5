import Envelope
import Foundation
import JSON
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct LogTraceTests {
    private let fixture: LogFixture
    private let server: RedisServer
    private let id = "0191e0a0-0000-7000-8000-0000000000aa"

    init() throws {
        fixture = try LogFixture()
        server = try RedisServer()
    }

    private var environment: [String: String] {
        fixture.environment.merging(["TGPIPE_REDIS": server.address]) { $1 }
    }

    /// A request for a link that is refused without asking anyone.
    private var request: String {
        #"{"id":"0191e0a0-0000-7000-8000-0000000000ab","type":"commands.media.video_download","version":1,"correlation_id":"\#(id)","#
            + #""timestamp":"2026-01-01T00:00:00.000000Z","payload":{"url":"http://127.0.0.1:1/a"},"meta":{"origin":{"chat_id":1,"message_id":2}}}"#
    }

    private func run(_ tool: String, _ arguments: [String], input: String) async throws -> ToolRun.Result {
        try await ToolRun.run(tool, arguments, input: input, environment: environment, folder: fixture.folder)
    }

    private func trace() async throws -> JSON {
        #expect(try await fixture.runOnce().status == 0)
        let result = try await fixture.log("trace", "0191e0a0", "--json")
        #expect(result.status == 0)
        return try JSON(parsing: result.output)
    }

    private func spans(_ trace: JSON) -> [JSON] { (trace["items"]?.array ?? []).filter { $0["span_id"] != nil } }

    @Test func `A request over pipes is one tree: each event is within the span that made it`() async throws {
        let limited = try await run("ratelimit", ["-n", "5", "-w", "60s"], input: request + "\n")
        #expect(limited.output == request + "\n")
        let routed = try await run("ev-route", ["-o", "#=-"], input: limited.output)
        #expect(routed.output == limited.output)
        let fetched = try await run("media-fetch", [], input: routed.output)
        let put = try await run("blob-put", [], input: fetched.output)
        #expect(put.status == 0)
        let trace = try await trace()
        #expect(trace["trace_id"]?.string == id.filter { $0 != "-" })
        let spans = spans(trace)
        #expect(spans.compactMap { $0["tool"]?.string } == ["ratelimit", "ev-route", "media-fetch"])
        let failed = try #require(fetched.envelopes().last)
        #expect(failed.type == "events.dl.video.failed")
        #expect(
            failed.meta["traceparent"]?.string
                == "00-\(id.filter { $0 != "-" })-\(spans[2]["span_id"]?.string ?? "")-01")
        // The log line of a span's work stands within it.
        let lines = (trace["items"]?.array ?? []).filter { $0["log"] != nil }
        #expect(lines.contains { $0["log"]?["span_id"] == spans[2]["span_id"] })
    }

    @Test func `Over queues, a request has spans for sending, receiving, working and settling, and none is an orphan`()
        async throws
    {
        let limited = try await run("ratelimit", ["-n", "5", "-w", "60s", "--to", "queue:jobs"], input: request + "\n")
        #expect(limited.status == 0)
        let fetch = try ToolRun(
            "media-fetch", ["--from", "queue:jobs", "--to", "queue:results"], environment: environment,
            folder: fixture.folder)
        var pulled: [String] = []
        while pulled.count < 2 {
            let result = try await run("ev-queue", ["pull", "results", "--count", "1", "--wait", "60s"], input: "")
            guard !result.lines.isEmpty else { break }
            pulled += result.lines
        }
        #expect(pulled.count == 2)
        fetch.signal(SIGTERM)
        #expect(try await fetch.result().status == 0)
        let trace = try await trace()
        let spans = spans(trace)
        let names = spans.compactMap { span in
            (span["tool"]?.string).flatMap { tool in (span["operation"]?.string).map { "\(tool) \($0)" } }
        }
        for name in [
            "ratelimit send", "media-fetch receive", "media-fetch process", "media-fetch send", "media-fetch settle",
            "ev-queue receive", "ev-queue settle",
        ] {
            #expect(names.contains(name), "\(name) in \(names)")
        }
        #expect(Set(spans.compactMap { $0["queue"]?.string }) == ["jobs", "results"])
        let ids = Set(spans.compactMap { $0["span_id"]?.string })
        let process = try #require(spans.first { $0["tool"] == "media-fetch" && $0["operation"] == "process" })
        for span in spans { #expect(span["parent_id"]?.string.map { ids.contains($0) } ?? true) }
        let settled = try #require(spans.first { $0["tool"] == "media-fetch" && $0["operation"] == "settle" })
        #expect(settled["parent_id"] == process["span_id"])
        let received = try #require(spans.first { $0["tool"] == "media-fetch" && $0["operation"] == "receive" })
        #expect(try #require(received["waited_ns"]?.int) > 0)
    }

    @Test func `Attempts, the first error and waits are shown, and who waited for whom`() async throws {
        let other = "0191e0a0-0000-7000-8000-0000000000bb"
        func line(_ time: String, _ rest: String) -> String {
            #"{"time":"2026-01-31T12:00:\#(time)Z","tool":"t","correlation_id":"\#(id)",\#(rest)}"#
        }
        let lines = [
            line(
                "00.000000",
                #""span_id":"0000000000000001","event_id":"0191e0a0-0000-7000-8000-000000000001","event_type":"events.a","operation":"create","duration_ns":1000000,"outcome":"done""#
            ),
            line(
                "02.001000",
                #""span_id":"0000000000000002","parent_id":"0000000000000001","event_id":"0191e0a0-0000-7000-8000-000000000001","event_type":"events.a","operation":"process","duration_ns":1000000000,"outcome":"failed","attempt":2,"error":"no route <b>""#
            ),
            line(
                "02.500000",
                #""level":"warning","message":"<script>alert(1)</script>","span_id":"0000000000000002","waits_for":"media:x""#
            ),
            #"{"time":"2026-01-31T12:00:02.100000Z","tool":"t","correlation_id":"\#(other)","level":"info","message":"m","works_for":"media:x"}"#,
            // A span that names itself, and one without its parent.
            line(
                "03.500000",
                #""span_id":"0000000000000003","parent_id":"0000000000000003","event_type":"events.b","operation":"process","duration_ns":-5,"outcome":"done""#
            ),
            line(
                "03.600000",
                #""span_id":"0000000000000004","parent_id":"00000000000000ff","causation_id":"0191e0a0-0000-7000-8000-000000000001","event_type":"events.c","operation":"process","duration_ns":9223372036854775807,"outcome":"done""#
            ),
            // Times that are further apart than 64 bits of nanoseconds can tell.
            #"{"time":"1970-01-01T00:00:00Z","tool":"t","level":"info","message":"early","correlation_id":"0191e0a0-0000-7000-8000-0000000000cc"}"#,
            #"{"time":"9999-12-31T23:59:59Z","tool":"t","level":"info","message":"late","correlation_id":"0191e0a0-0000-7000-8000-0000000000cc"}"#,
        ]
        #expect(try await fixture.log("import", input: lines.joined(separator: "\n")).status == 0)
        let text = try await fixture.log("trace", id)
        for form in [[], ["--json"], ["--html"]] {
            let far = try await ToolRun.run(
                "ev-log", ["trace", "0191e0a0-0000-7000-8000-0000000000cc"] + form, environment: fixture.quiet,
                folder: fixture.folder)
            #expect(far.status == 0 && far.output.contains("late"))
        }
        #expect(text.status == 0)
        #expect(text.output.contains("waited 2.0 s"))
        #expect(text.output.contains("attempt 2, failed: no route <b>"))
        #expect(text.output.contains("first error after 2.0 s: t: process events.a: no route <b>"))
        #expect(text.output.contains("waited for \(other) (media:x)"))
        #expect(try await fixture.log("trace", other).output.contains("\(id) waited for this one (media:x)"))
        let page = try await fixture.log("trace", id, "--html").output
        #expect(!page.contains("<script>") && page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"))
        #expect(page.contains("<rect class=\"failed\"") && page.contains("<rect class=\"wait\""))
        #expect(page.contains("default-src 'none'") && !page.contains("http:") && !page.contains("https:"))
        // Apart from these tags the page is well-formed XML, so that a forgotten quote or bracket shows.
        let strict = page.replacing("<!doctype html>", with: "").replacing(/<meta [^>]*>/, with: "")
        try strict.write(toFile: fixture.folder("page"), atomically: true, encoding: .utf8)
        let parse = "import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])"
        #expect(
            try SpawnedProgram(["\(PythonTools.binFolder())/python", "-c", parse, fixture.folder("page")]).wait() == 0)
    }

    @Test func `A request is found by the message that answers it, and a beginning of several ids names them`()
        async throws
    {
        let lines = [("aa", 5, 42), ("bb", 5, 421), ("cc", -1_001_234, 42)].map { end, chat, message in
            #"{"time":"2026-01-31T12:00:00.000000Z","tool":"tg-send","level":"info","correlation_id":"0191e0a0-0000-7000-8000-0000000000\#(end)","message":"sent","chat_id":\#(chat),"chat_username":"durov\#(end)","message_id":\#(message)}"#
        }
        #expect(try await fixture.log("import", input: lines.joined(separator: "\n")).status == 0)
        #expect(try await fixture.log("show", "--correlation", "5:42").lines == [lines[0]])
        #expect(try await fixture.log("show", "--correlation", "https://t.me/c/1234/42").lines == [lines[2]])
        #expect(try await fixture.log("show", "--correlation", "t.me/durovbb/421").lines == [lines[1]])
        #expect(try await fixture.log("show", "--correlation", "5:4").status == 1)
        let several = try await fixture.log("trace", "0191e0a0")
        #expect(several.status == 64 && several.errors.contains("0000000000bb"))
        #expect(try await fixture.log("trace", "ff").status == 1)
    }

    @Test func `Programs of ev-queue work get their place in the trace, and their failures are told`() async throws {
        #expect(try await run("ev-queue", ["push", "jobs"], input: request + "\n").status == 0)
        // A job that was pushed before is not sent again.
        #expect(try await run("ev-queue", ["push", "jobs"], input: request + "\n").status == 0)
        let program =
            #"jq -c --arg t "$TRACEPARENT" '{id:"0191e0a0-0000-7000-8000-0000000000ac",type:"events.b",version:1,correlation_id,causation_id:.id,timestamp,payload:{},meta:{traceparent:$t}}'"#
        let work = try await run(
            "ev-queue", ["work", "jobs", "--once", "--to", "queue:results", "--", "sh", "-c", program], input: "")
        #expect(work.status == 0, "\(work.errors)")
        let fail = ["work", "results", "--once", "--max-attempts", "1", "--", "sh", "-c", "cat > /dev/null; exit 65"]
        #expect(try await run("ev-queue", fail, input: "").status == 0)
        let trace = try await trace()
        let spans = spans(trace)
        func span(_ operation: String, _ queue: String?) throws -> JSON {
            let found = spans.filter { $0["operation"]?.string == operation && $0["queue"]?.string == queue }
            return try #require(found.first, "\(operation) \(queue ?? "")")
        }
        let names = spans.compactMap { $0["operation"]?.string }
        #expect(names.count { $0 == "send" } == 2 && names.count == 8, "\(names)")
        let works = spans.filter { $0["operation"] == "process" }
        #expect(works.count == 2 && works[0]["outcome"] == "done" && works[1]["outcome"] == "failed")
        #expect(works[1]["error"]?.string?.contains("ended with status 65") == true)
        #expect(try span("settle", "jobs")["parent_id"] == works[0]["span_id"])
        #expect(try span("send", "results")["parent_id"] == works[0]["span_id"])
        #expect(works[1]["parent_id"] == works[0]["span_id"])
        // The first event names no parent: what happens to it afterwards is shown within its sending.
        let items = trace["items"]?.array ?? []
        #expect(items.count { $0["depth"] == 0 && $0["span_id"] != nil } == 1)
        #expect(items.first { $0["span_id"] != nil }?["operation"] == "send")
        #expect(trace["missing_spans"] == nil)
        // Several events have no common span.
        let batch = (1...2).map { request.replacing("ab\"", with: "f\($0)\"") + "\n" }.joined()
        #expect(try await run("ev-queue", ["push", "more"], input: batch).status == 0)
        let check = [
            "work", "more", "--once", "--batch", "2", "--", "sh", "-c", "cat > /dev/null; test -z \"$TRACEPARENT\"",
        ]
        #expect(try await run("ev-queue", check, input: "").status == 0)
        #expect(try await run("ev-queue", ["dead", "more"], input: "").lines.isEmpty)
    }

    @Test func `All spans of hostile circles and deep chains are shown once, and missing ones are counted`()
        async throws
    {
        func span(_ number: Int, _ parent: Int) -> String {
            func id(_ number: Int) -> String { String(repeating: "0", count: 16 - "\(number)".count) + "\(number)" }
            return
                #"{"time":"2026-01-31T12:00:00.\#(String(100_000 + number))Z","tool":"t","correlation_id":"\#(self.id)","span_id":"\#(id(number))","parent_id":"\#(id(parent))","event_type":"e","operation":"process","duration_ns":1,"outcome":"done"}"#
        }
        // A chain of 300, a circle of 200 and one that names itself; two name parents that are not there.
        var lines = (1...300).map { span($0, $0 == 1 ? 9001 : $0 - 1) }
        lines += (1001...1200).map { span($0, $0 == 1001 ? 1200 : $0 - 1) }
        lines += [span(2001, 2001), span(2002, 9002)]
        #expect(try await fixture.log("import", input: lines.joined(separator: "\n")).status == 0)
        let result = try await fixture.log("trace", id, "--json")
        let trace = try JSON(parsing: result.output)
        let ids = spans(trace).compactMap { $0["span_id"]?.string }
        #expect(ids.count == 502 && Set(ids).count == 502)
        #expect(trace["missing_spans"] == 2)
        #expect((trace["items"]?.array ?? []).allSatisfy { ($0["depth"]?.int ?? -1) < 64 })
        let text = try await fixture.log("trace", id).output
        #expect(text.contains("2 spans that others name are not in the store"))
        #expect(try await fixture.log("trace", id, "--html").output.contains("2 spans that others name"))
    }
}
