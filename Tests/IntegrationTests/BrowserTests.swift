import Foundation
import JSON
import System
import TestSupport
import Testing

/// Looks at the web pages of ev-log in a headless Chromium.
@Suite(.timeLimit(.minutes(5))) struct BrowserTests {
    private let redis: RedisServer
    private let folder: TemporaryFolder

    init() throws { (redis, folder) = (try RedisServer(), try TemporaryFolder()) }

    private static let id = "0191e0a0-0000-7000-8000-0000000000aa"

    /// Holds what a stranger could write to run a script in the browser of whoever looks at the pages, or to make it ask elsewhere.
    private static let markup =
        #"</title></text></td></pre></svg><script>planted=1</script><img src="http://127.0.0.1:1/x" onerror="planted=1">"#
        + #"<iframe srcdoc="<script>parent.planted=1</script>"></iframe>"#

    private var environment: [String: String] { ["TGPIPE_REDIS": redis.address, "TGPIPE_HEARTBEAT": "200ms"] }

    private func log(_ arguments: String..., input: String = "") async throws -> ToolRun.Result {
        try await ToolRun.run("ev-log", arguments, input: input, environment: environment, folder: folder)
    }

    private func serve() async throws -> (server: ToolRun, url: String) {
        let run = try ToolRun("ev-log", ["serve", "--listen", "127.0.0.1:0"], environment: environment, folder: folder)
        #expect(try await eventually { run.log.contains("http://127.0.0.1:") })
        return (run, String(try #require(run.log.firstMatch(of: /http:\/\/127\.0\.0\.1:\d+\//)).output))
    }

    /// Looks at pages on a thread of its own, since the browser takes seconds.
    private func look(_ steps: String...) async throws -> JSON {
        let folder = folder
        return try await BlockingThread.oncePassingErrors { try Browser.look(steps, folder: folder) }
    }

    /// Checks that a page is shown as it is meant, that the browser asked nobody but the server, and that nothing a stranger wrote is
    /// more than text.
    private func expectGood(_ page: JSON, from source: String) throws {
        #expect(page["complaints"] == [])
        let requests = try #require(page["requests"]?.array).compactMap(\.string)
        #expect(requests.contains(source) && requests.allSatisfy { $0.hasPrefix(source) }, "\(requests)")
        #expect(page["has_run"] == false && page["handlers"] == [])
        for name in ["script", "img", "iframe", "form", "object", "embed", "input"] {
            #expect(page["elements"]?[name] == nil, "\(name)")
        }
        #expect(page["styles"] == 1)
        for fault in ["overflowing", "overlapping", "covered", "clipped", "broken"] {
            #expect(page[fault] == [], "\(fault)")
        }
        #expect(page["crossing"] == 0)
        #expect(page["text"]?.string?.contains(Self.markup) == true, "\(page["text"]?.string ?? "")")
    }

    private func strings(_ values: JSON?) -> [String] { (values?.array ?? []).compactMap(\.string) }

    /// Returns the lines of the box whose first line is a title, and the text that a pointer on it shows.
    private func box(_ title: String, _ kind: String, in page: JSON) throws -> (lines: [String], all: String) {
        let boxes = try #require(page["boxes"]?.array)
        let found = try #require(
            boxes.first { $0["kind"] == .string(kind) && $0["lines"]?.array?.first == .string(title) }, "\(boxes)")
        return (strings(found["lines"]), found["all"]?.string ?? "")
    }

    @Test func `The browser tells of scripts, foreign requests, complaints and texts that do not fit`() async throws {
        let page = """
            <!doctype html><title>bad</title><link rel="stylesheet" href="data:text/css,p{color:red}">
            <p onclick="x()">text</p><img src="http://127.0.0.1:1/x"><script>planted = 1; console.error("loud")</script>
            <div class="graph"><svg width="500" height="200"><g class="stage"><rect width="50" height="40"/>\
            <text y="25">a text that is much wider than its box</text></g>
            <g class="queue"><rect x="40" width="50" height="40"/><text x="45" y="25">b</text></g>\
            <path class="edge" d="M90 10L-20 10"/></svg></div>
            <svg class="spans"><text y="40">one</text><text y="42">two</text></svg>
            """
        try page.write(toFile: folder("page.html"), atomically: true, encoding: .utf8)
        let seen = try await look("file://\(folder("page.html"))", "picture=\(folder("page.png"))")
        #expect(strings(seen["requests"]).contains("http://127.0.0.1:1/x"))
        #expect(strings(seen["complaints"]).contains { $0.contains("loud") })
        #expect(strings(seen["complaints"]).contains { $0.contains("ERR_") })
        #expect(seen["has_run"] == true && seen["handlers"] == ["onclick"])
        #expect(seen["elements"]?["script"] == 1 && seen["elements"]?["img"] == 1)
        #expect(seen["overflowing"] == ["a text that is much wider than its box"])
        #expect(seen["overlapping"]?.array?.count == 1 && seen["covered"] == ["one and two"])
        #expect(seen["clipped"]?.array?.count == 1 && seen["crossing"] == 1)
        let picture = try Data(contentsOf: URL(filePath: folder("page.png")))
        #expect(picture.starts(with: [0x89, 0x50, 0x4E, 0x47]))
        await #expect(throws: Browser.Failure.self) { try await look("file://\(folder("none.html"))") }
    }

    /// Writes the heartbeat of a stage.
    private func beat(_ name: String, _ beat: JSONObject) throws {
        try redis.cli("ZADD", "tgpipe:{heartbeats}", "\(Int(Date().timeIntervalSince1970 * 1000))", name)
        try redis.cli("SET", "tgpipe:{heartbeats}:\(name)", String(decoding: JSON.object(beat).bytes, as: UTF8.self))
    }

    @Test func `The page of the pipeline shows stages, rates and depths, and follows what happens`() async throws {
        let (server, url) = try await serve()
        let stage = try ToolRun("ratelimit", ["-n", "1", "--to", "queue:jobs"], environment: environment)
        stage.send(QueueFixture.events(0..<5))
        let route = try ToolRun(
            "ev-route", ["--from", "queue:jobs", "--group", "g", "-o", "a.#=\(folder("out"))", "-o", "#=/dev/null"],
            environment: environment)
        let hostile: JSONObject = [
            "tool": .string(Self.markup), "host": .string(Self.markup), "pid": 1,
            "last_error": ["message": .string(Self.markup)], "waits": [["name": .string(Self.markup), "seconds": 60]],
            "from": [["kind": "queue", "name": .string("WWWWWWWWWWWWWWWWWWWWWWWWWWWWWW\(Self.markup)")]],
            "to": [["kind": "file", "name": "/out", "types": [.string(Self.markup)]]],
        ]
        try beat("x:h:1:1", hostile)
        // From Telegram and back to it there is a circle.
        let pipe: JSON = ["kind": "pipe", "id": "1:2"]
        try beat("a:h:2:1", ["tool": "tg-listen", "host": "h", "pid": 2, "to": [pipe]])
        try beat("b:h:3:1", ["tool": "tg-send", "host": "h", "pid": 3, "from": [pipe]])
        let isBeating = try await eventuallyAsync {
            let state = try JSON(parsing: try await log("top", "--once", "--json").output)
            let stages = state["stages"]?.array ?? []
            return stages.contains { $0["tool"] == "ratelimit" && $0["in"] == 5 }
                && stages.contains { $0["tool"] == "ev-route" }
        }
        #expect(isBeating)
        let page = try await look(url)
        try expectGood(page, from: url)
        #expect(page["title"] == "tgpipe: the live pipeline" && page["elements"]?["svg"] == 1)
        let limited = try box("ratelimit", "stage", in: page)
        #expect(limited.all.contains(" \(stage.processIdentifier), ") && limited.lines.count == 3)
        #expect(limited.lines[2].wholeMatch(of: /in [\d.]+\/s, out [\d.]+\/s/) != nil)
        #expect(try box("ev-route", "stage", in: page).lines.count == 3)
        #expect(try box("jobs", "queue", in: page).lines[1].hasSuffix(" events"))
        #expect(strings(page["drawn"]).contains("a.#"))
        #expect(try box("Telegram", "telegram", in: page).lines == ["Telegram"] && (page["edges"]?.int ?? 0) >= 8)
        let text = try #require(page["text"]?.string)
        #expect(text.contains("BEAT") && text.contains("OLDEST") && text.contains("The log store has no request."))
        // The page is loaded anew by itself, so that a stage that was killed meanwhile is shown as gone.
        let first = folder("first.png")
        async let later = look(url, "picture=\(first)", "wait=gone, last seen")
        #expect(try await eventually { FileManager.default.fileExists(atPath: first) })
        stage.signal(SIGKILL)
        let after = try await later
        try expectGood(after, from: url)
        #expect(try #require(after["documents"]?.int) > 1)
        #expect(try box("ratelimit", "gone", in: after).lines.last == "gone")
        for run in [route, server] { run.signal(SIGTERM) }
        _ = try await route.result()
        #expect(try await server.result(deadline: .seconds(20)).status == 0)
    }

    /// Stores a request with a failed attempt, whose texts are markup.
    private func storeRequest() async throws {
        let markup = String(decoding: JSON.string(Self.markup).bytes, as: UTF8.self)
        func line(_ time: String, _ rest: String) -> String {
            #"{"time":"2026-01-31T12:00:\#(time)Z","correlation_id":"\#(Self.id)",\#(rest)}"#
        }
        let lines = [
            line(
                "00.000000",
                #""tool":"tg-gate","span_id":"0000000000000001","event_type":"commands.media","operation":"create","duration_ns":1000000,"outcome":"done""#
            ),
            line(
                "02.000000",
                #""tool":"media-fetch","span_id":"0000000000000002","parent_id":"0000000000000001","event_type":"events.a","operation":"process","duration_ns":1500000000,"outcome":"failed","attempt":2,"waited_ns":1000000000,"error":\#(markup)"#
            ),
            line(
                "03.000000",
                #""tool":"media-fetch","level":"warning","message":\#(markup),"span_id":"0000000000000002","title":\#(markup)"#
            ),
            line("03.500000", #""tool":"tg-send","level":"info","message":"sent \u202e 🎬""#),
        ]
        let stored = try await log("import", input: lines.joined(separator: "\n"))
        #expect(stored.status == 0, "\(stored.errors)")
    }

    /// Checks the picture and the table of the request.
    private func expectRequest(_ page: JSON) {
        #expect(page["text"]?.string?.contains("Request \(Self.id)") == true)
        let drawn = strings(page["drawn"])
        #expect(
            drawn.contains("tg-gate create commands.media") && drawn.contains { $0.contains("media-fetch process") })
        #expect(drawn.contains("1.5 s"))
        let rows = (page["rows"]?.array ?? []).map(strings)
        #expect(
            rows.contains { $0.prefix(3) == ["3.0 s", "media-fetch", "warning"] && $0[3].contains(Self.markup) },
            "\(rows)")
        #expect(rows.contains { $0.count > 3 && $0[1] == "tg-send" && $0[3] == "sent 🎬" }, "\(rows)")
    }

    @Test func `The latest requests lead to the spans and log lines of each`() async throws {
        try await storeRequest()
        let (server, url) = try await serve()
        let overview = try await look(url)
        try expectGood(overview, from: url)
        let row = try #require((overview["rows"]?.array ?? []).map(strings).first { $0.contains(Self.id) })
        #expect(row[2] == "tg-gate → media-fetch → tg-send" && row[3].contains(Self.markup))
        let page = try await look(url, #"click=a[href^="/requests/"]"#)
        try expectGood(page, from: url)
        #expect(page["title"] == .string("tgpipe: request \(Self.id)"))
        #expect(strings(page["requests"]).contains("\(url)requests/\(Self.id)") && page["links"] == ["/"])
        expectRequest(page)
        server.signal(SIGTERM)
        #expect(try await server.result(deadline: .seconds(20)).status == 0)
    }

    @Test func `The page of a trace is shown from its file, and asks for nothing else`() async throws {
        try await storeRequest()
        let written = try await log("trace", Self.id, "--html")
        #expect(written.status == 0)
        try written.output.write(toFile: folder("trace.html"), atomically: true, encoding: .utf8)
        let page = try await look("file://\(folder("trace.html"))")
        try expectGood(page, from: "file://\(folder("trace.html"))")
        #expect(page["title"] == .string("request \(Self.id)") && page["links"] == [])
        expectRequest(page)
    }
}
