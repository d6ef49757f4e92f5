import Foundation
import JSON
import TestSupport
import Testing

/// Looks at the web pages of ev-log.
@Suite(.timeLimit(.minutes(3))) struct ServeTests {
    private let redis: RedisServer
    private let folder: TemporaryFolder

    init() throws { (redis, folder) = (try RedisServer(), try TemporaryFolder()) }

    private var environment: [String: String] { ["TGPIPE_REDIS": redis.address, "TGPIPE_HEARTBEAT": "200ms"] }

    /// A running server on a Unix socket, which `curl` speaks to.
    private func serve(_ arguments: String...) async throws -> ToolRun {
        let run = try ToolRun(
            "ev-log", ["serve", "--listen", "unix:\(folder("s"))"] + arguments, environment: environment, folder: folder
        )
        #expect(
            try await eventually { FileManager.default.fileExists(atPath: folder("s")) || run.log.contains("error") })
        return run
    }

    /// Requests a page and returns its status, its headers and its body.
    private func get(_ path: String, _ options: String...) throws -> (status: Int, headers: String, body: String) {
        let text = try SpawnedProgram.output(
            of: ["curl", "-sS", "-i", "--max-time", "30", "--unix-socket", folder("s")] + options + [
                "http://localhost\(path)"
            ])
        let parts = text.components(separatedBy: "\r\n\r\n")
        let status = parts[0].split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
        return (status, parts[0].lowercased(), parts.dropFirst().joined(separator: "\r\n\r\n"))
    }

    /// Parses a page strictly and returns what it would load or run, and its text.
    private func parsed(_ html: String) throws -> JSON {
        try html.write(toFile: folder("page.html"), atomically: true, encoding: .utf8)
        let script = """
            import html.parser, json, sys
            class Page(html.parser.HTMLParser):
                def __init__(self):
                    super().__init__(convert_charrefs=True)
                    self.tags, self.links, self.handlers, self.text, self.open = [], [], [], "", []
                def handle_starttag(self, tag, attributes):
                    self.tags.append(tag)
                    for name, value in attributes:
                        if name.startswith("on") or name == "style": self.handlers.append(name)
                        if name in ("href", "src", "action", "data", "xlink:href"): self.links.append(value)
                    if tag not in ("meta", "link"): self.open.append(tag)
                def handle_startendtag(self, tag, attributes):
                    self.handle_starttag(tag, attributes)
                    if self.open and self.open[-1] == tag: self.open.pop()
                def handle_endtag(self, tag):
                    assert self.open and self.open.pop() == tag, tag
                def handle_data(self, data): self.text += data
            page = Page()
            page.feed(open(sys.argv[1], encoding="utf-8").read())
            page.close()
            assert not page.open, page.open
            print(json.dumps({"tags": sorted(set(page.tags)), "links": page.links, "handlers": page.handlers, "text": page.text}))
            """
        try script.write(toFile: folder("parse.py"), atomically: true, encoding: .utf8)
        return try JSON(parsing: try SpawnedProgram.output(of: ["python3", folder("parse.py"), folder("page.html")]))
    }

    @Test func `The pipeline is drawn, and what strangers wrote is text on the page`() async throws {
        let server = try await serve()
        let stage = try ToolRun("ratelimit", ["-n", "1", "--to", "queue:jobs"], environment: environment)
        stage.send(QueueFixture.events(0..<5))
        try redis.cli("ZADD", "tgpipe:{heartbeats}", "\(Int(Date().timeIntervalSince1970 * 1000))", "x:h:1:1")
        try redis.cli(
            "SET", "tgpipe:{heartbeats}:x:h:1:1",
            #"{"tool":"<script>alert(1)</script>","host":"\"><img src=x onerror=alert(1)>","pid":1,"#
                + #""last_error":{"message":"</pre><b onclick='x'>bold</b> &amp; "},"to":[{"kind":"queue","name":"jobs"}]}"#
        )
        var page: (status: Int, headers: String, body: String) = (0, "", "")
        #expect(
            try await eventually {
                page = try get("/")
                return page.body.contains("ratelimit") && page.body.contains("jobs")
            })
        #expect(
            page.status == 200 && page.headers.contains("content-security-policy: default-src 'none'; style-src 'self'")
        )
        #expect(
            page.headers.contains("x-content-type-options: nosniff") && page.headers.contains("cache-control: no-store")
        )
        let found = try parsed(page.body)
        let tags = Set((found["tags"]?.array ?? []).compactMap(\.string))
        #expect(tags.isSuperset(of: ["svg", "rect", "path", "pre"]))
        #expect(tags.isDisjoint(with: ["script", "img", "iframe", "form", "b", "object", "style"]))
        #expect(found["handlers"] == [] && found["links"] == ["/style.css"])
        let text = try #require(found["text"]?.string)
        #expect(text.contains("<script>alert(1)</script>") && text.contains("</pre><b onclick='x'>bold</b> &amp;"))
        #expect(try get("/style.css").status == 200)
        stage.signal(SIGTERM)
        _ = try await stage.result()
        server.signal(SIGTERM)
        #expect(try await server.result(deadline: .seconds(20)).status == 0)
        #expect(!FileManager.default.fileExists(atPath: folder("s")))
    }

    @Test func `A request is shown with its lines, which hold no markup`() async throws {
        let id = "0191e0a0-0000-7000-8000-000000000007"
        let lines = [
            #"{"time":"2026-01-01T00:00:00.000000Z","level":"info","tool":"tg-gate","correlation_id":"\#(id)","message":"<i>in</i>"}"#,
            #"{"time":"2026-01-01T00:00:01.500000Z","level":"error","tool":"tg-send","correlation_id":"\#(id)","message":"out\u202e","x":"</td>"}"#,
            #"{"time":"9999-12-31T23:59:59.999999Z","level":"info","tool":"far","correlation_id":"\#(id)","message":"late"}"#,
        ]
        let stored = try await ToolRun.run(
            "ev-log", ["import"], input: lines.joined(separator: "\n"), environment: environment, folder: folder)
        #expect(stored.status == 0, "\(stored.errors)")
        let server = try await serve()
        let overview = try parsed(try get("/").body)
        #expect(overview["links"]?.array?.contains(.string("/requests/\(id)")) == true)
        let page = try get("/requests/\(id)")
        #expect(page.status == 200)
        let found = try parsed(page.body)
        #expect(found["handlers"] == [] && found["links"] == ["/style.css", "/"])
        let text = try #require(found["text"]?.string)
        #expect(
            text.contains("<i>in</i>") && text.contains("x=</td>") && text.contains("1.5 s")
                && !text.contains("\u{202E}"))
        for path in [
            "/requests/0191e0a0-0000-7000-8000-000000000009", "/requests/x", "/requests/../etc", "/nothing", "//",
        ] {
            #expect(try get(path, "--path-as-is").status == 404, "\(path)")
        }
        server.signal(SIGTERM)
        _ = try await server.result()
    }

    @Test func `Only GET with the name of this machine is answered`() async throws {
        let server = try await serve("--allow-host", "Proxy.example")
        #expect(try get("/healthz").body == "ok\n")
        for host in ["localhost:9464", "127.0.0.1", "[::1]:80", "proxy.example"] {
            #expect(try get("/healthz", "-H", "Host: \(host)").status == 200, "\(host)")
        }
        for host in ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example:80", "localhost:x", "[::1", ""] {
            #expect(try get("/healthz", "-H", "Host: \(host)").status == 421, "\(host)")
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let answer = try get("/", "-X", method)
            #expect(answer.status == 405 && answer.headers.contains("allow: get"), "\(method)")
        }
        let metrics = try get("/metrics")
        #expect(metrics.headers.contains("content-type: text/plain; version=0.0.4"))
        redis.kill()
        #expect(try await eventually { try get("/healthz").status == 503 })
        #expect(try get("/").status == 503)
        server.signal(SIGTERM)
        #expect(try await server.result(deadline: .seconds(20)).status == 0)
    }

    @Test func `Rubbish, long headers and silent connections end, and others are served meanwhile`() async throws {
        let server = try await serve()
        let script = """
            import socket, sys
            def send(data, answers):
                s = socket.socket(socket.AF_UNIX); s.settimeout(30); s.connect(sys.argv[1])
                try: s.sendall(data)
                except OSError: return b""
                got = b""
                try:
                    while answers:
                        part = s.recv(65536)
                        if not part: break
                        got += part
                except OSError: pass
                return got
            assert send(b"\\x16\\x03\\x01 rubbish\\r\\n\\r\\n", True).startswith(b"HTTP/1.1 400")
            assert not send(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\nX: " + b"a" * 2000000, True).startswith(b"HTTP/1.1 200")
            assert send(b"GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nHost: localhost\\r\\n\\r\\n", True).startswith(b"HTTP/1.1 4")
            silent = [socket.socket(socket.AF_UNIX) for _ in range(20)]
            for s in silent: s.connect(sys.argv[1]); s.sendall(b"GET / HT")
            assert send(b"GET /healthz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n", True).endswith(b"ok\\n")
            """
        try script.write(toFile: folder("send.py"), atomically: true, encoding: .utf8)
        let sender = try SpawnedProgram(["python3", folder("send.py"), folder("s")])
        #expect(sender.wait() == 0)
        #expect(try get("/healthz").status == 200)
        server.signal(SIGTERM)
        #expect(try await server.result(deadline: .seconds(20)).status == 0)
    }

    @Test func `The server listens on this machine only, and takes over the socket of a killed one`() async throws {
        for address in [
            "0.0.0.0:9464", "192.168.1.1:80", "[::]:80", "example.com:80", ":80", "127.0.0.1", "unix:relative",
            "1:99999",
        ] {
            let run = try await ToolRun.run("ev-log", ["serve", "--listen", address], environment: environment)
            #expect(run.status == 64, "\(address)")
        }
        let first = try await serve()
        let mode = try FileManager.default.attributesOfItem(atPath: folder("s"))[.posixPermissions] as? Int
        #expect(mode == 0o600)
        let second = try await ToolRun.run(
            "ev-log", ["serve", "--listen", "unix:\(folder("s"))"], environment: environment)
        #expect(second.status == 75 && second.errors.contains("another process listens"))
        first.signal(SIGKILL)
        _ = try await first.result()
        let third = try await serve()
        #expect(try await eventually { (try? get("/healthz").status) == 200 })
        third.signal(SIGTERM)
        _ = try await third.result()
        try "x".write(toFile: folder("file"), atomically: true, encoding: .utf8)
        let refused = try await ToolRun.run(
            "ev-log", ["serve", "--listen", "unix:\(folder("file"))"], environment: environment)
        #expect(refused.status == 78)
        let port = try ToolRun("ev-log", ["serve", "--listen", "127.0.0.1:0"], environment: environment)
        #expect(try await eventually { port.log.contains("http://127.0.0.1:") })
        let url = try #require(port.log.firstMatch(of: /http:\/\/127\.0\.0\.1:\d+\//)).output
        #expect(try SpawnedProgram.output(of: ["curl", "-sS", "--max-time", "30", "\(url)healthz"]) == "ok\n")
        let taken = try await ToolRun.run(
            "ev-log", ["serve", "--listen", "\(url.dropFirst("http://".count).dropLast())"], environment: environment)
        #expect(taken.status == 75 && taken.errors.contains("choose another port"), "\(taken.errors)")
        port.signal(SIGTERM)
        #expect(try await port.result(deadline: .seconds(20)).status == 0)
    }
}
