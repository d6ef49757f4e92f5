import Foundation
import JSON
import TestSupport
import Testing

/// Runs tools with secrets that this test knows, in order and with faults, and looks for the secrets in all that they write.
@Suite(.timeLimit(.minutes(5))) struct PlantedSecretsTests {
    private let fixture: LogFixture
    private let redis: RedisServer
    private let telegram: PythonServer
    private let site: WebSite
    private let s3: S3Server

    private static let token = "7654321:AAplanted-token-of-the-bot-0123456789"
    private static let redisPassword = "planted/redis+pass"
    private static let cookie = "planted-cookie-0123456789"
    private static let proxyPassword = "planted-proxy"
    private static let secondFactor = "planted second factor"
    private static let urlPassword = "planted-url-password"
    private static let wrongKey = "planted/S3+key/0123456789abcdefghijklmnop"
    private static let apiHash = "0123456789abcdef0123456789abcdef"

    init() throws {
        fixture = try LogFixture()
        redis = try RedisServer(configuration: ["requirepass \(Self.redisPassword)"], tcp: true)
        telegram = try PythonServer(
            script: "emulator.py",
            [
                "--token", Self.token, "--account",
                #"{"id": 42, "phone": "15550100042", "first_name": "Alice", "username": "alice", "dc": 2}"#,
                "--account",
                #"{"id": 51, "phone": "15550100051", "first_name": "Dave", "password": "\#(Self.secondFactor)"}"#,
            ])
        let folder = fixture.folder
        try FileManager.default.createDirectory(atPath: folder("www"), withIntermediateDirectories: true)
        let clip =
            "ffmpeg -loglevel error -f lavfi -i testsrc=d=1:s=64x48 -f lavfi -i sine=d=1 -shortest -pix_fmt yuv420p"
        #expect(try SpawnedProgram(["sh", "-c", "\(clip) \(folder("www/clip.mp4"))"]).wait() == 0)
        site = try WebSite(root: folder("www"))
        s3 = try S3Server()
        try FileManager.default.createDirectory(
            atPath: folder("given"), withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    }

    /// Writes a file with a secret, which no search looks at.
    private func give(_ name: String, _ text: String) throws -> String {
        let path = fixture.folder("given/\(name)")
        let isWritten = FileManager.default.createFile(
            atPath: path, contents: Data(text.utf8), attributes: [.posixPermissions: 0o600])
        #expect(isWritten)
        return path
    }

    private var redisAddress: String { address(password: Self.redisPassword) }

    private func address(password: String, port: Int? = nil) -> String {
        let encoded = password.replacing("/", with: "%2F").replacing("+", with: "%2B")
        return "redis://:\(encoded)@127.0.0.1:\(port ?? redis.port ?? 0)"
    }

    private var environment: [String: String] {
        fixture.environment.merging(s3.environment) { $1 }.merging([
            "TG_BOT_TOKEN": Self.token, "TG_BOT_API_URL": telegram.url, "TGPIPE_REDIS": redisAddress,
            "TG_ADMIN_ID": "42", "TGPIPE_LOG": "json:trace", "TGPIPE_HEARTBEAT": "200ms",
        ]) { $1 }
    }

    /// Runs a tool to its end and keeps what it prints where the search finds it.
    @discardableResult
    private func run(
        _ tool: String, _ arguments: [String], input: String = "", _ more: [String: String] = [:]
    ) async throws -> ToolRun.Result {
        let result = try await ToolRun.run(
            tool, arguments, input: input, environment: environment.merging(more) { $1 }, folder: fixture.folder)
        // What Telegram answers is for the caller, who has it from tg-call as it is.
        try keep("\(tool)-\(UUID())", tool == "tg-call" ? result.errors : result.output + result.errors)
        return result
    }

    private func keep(_ name: String, _ text: String) throws {
        let folder = fixture.folder("printed")
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try text.write(toFile: "\(folder)/\(name)", atomically: false, encoding: .utf8)
    }

    // MARK: What runs

    /// Serves requests over pipes, with recordings before and behind the stages: one with cookies, one whose proxy refuses, one
    /// with a password in its link.
    private func serveRequests() async throws {
        let cookies = try give(
            "cookies.txt",
            "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t2145916800\tsid\t\(Self.cookie)\n")
        let refusing = try LoopbackServer { _, connection in connection.respond(407, text: Self.proxyPassword) }
        let host = site.url.replacing("http://", with: "")
        let sites = try give(
            "sites.toml",
            """
            [[site]]
            host = "127.0.0.1"
            cookies = "\(cookies)"

            [[site]]
            host = "localhost"
            proxy = "http://me:\(Self.proxyPassword)@127.0.0.1:\(refusing.port)"
            arguments = ["--retries", "0"]
            """)
        let texts = [
            ".vdl \(site.url)/page/clip.mp4", ".vdl http://localhost:\(host.split(separator: ":").last ?? "")/clip.mp4",
            ".vdl http://me:\(Self.urlPassword)@\(host)/clip.mp4", ".vdl \(site.url)/status/403", ".whoami",
        ]
        for text in texts {
            try await telegram.call(
                "POST", "/control/message",
                ["chat_id": 42, "from": ["id": 42, "first_name": "Alice"], "text": .string(text)])
        }
        let bin = ToolRun.path(of: "")
        let stages = [
            "tg-listen --bot --once", "ev-replay record --redact \(fixture.folder("redacted"))", "tg-gate",
            "ratelimit -n 9 -w 60s", "media-fetch --allow-private --sites \(sites) --store s3://planted",
            "blob-put --store s3://planted --create-bucket", "ev-replay record --redact \(fixture.folder("results"))",
            "tg-send --no-pacing",
        ].map { "\(bin)\($0)" }.joined(separator: " | ")
        var variables = environment
        variables["TGPIPE_STATE"] = fixture.folder("state")
        variables["HOME"] = fixture.folder.path
        variables["PATH"] = "\(try PythonTools.binFolder()):/usr/local/bin:/usr/bin:/bin"
        let words = variables.map { "\($0)=\($1)" }
        let script = "{ \(stages) >\(fixture.folder("sent.ndjson")); } 2>\(fixture.folder("stages.log"))"
        let pipeline = try SpawnedProgram(["env"] + words + ["sh", "-c", script])
        // The heartbeats are there while the stages run.
        var isSeen = false
        _ = try await eventuallyAsync {
            let top = try await run("ev-log", ["top", "--once", "--json"], ["TGPIPE_LOG_DIR": ""])
            isSeen = isSeen || top.output.contains("media-fetch")
            try await run("ev-log", ["metrics"], ["TGPIPE_LOG_DIR": ""])
            return isSeen
        }
        try await run("ev-log", ["graph"], ["TGPIPE_LOG_DIR": ""])
        #expect(isSeen)
        pipeline.wait()
        let sent = try String(contentsOfFile: fixture.folder("sent.ndjson"), encoding: .utf8)
        #expect(sent.contains("events.telegram.sent"), "\(sent)")
        #expect(!refusing.requests.isEmpty)
    }

    /// Has every dependency refuse the secret, or be away.
    private func failEverywhere() async throws {
        let event = QueueFixture.events(0..<1)
        let limit = ["-n", "1", "-w", "60s"]
        let wrongToken = Self.token.replacing("planted", with: "nothing")
        for (tool, arguments, more) in [
            ("tg-listen", ["--bot", "--once"], ["TG_BOT_TOKEN": wrongToken, "TG_BOT_API_URL": telegram.url]),
            ("tg-listen", ["--bot", "--once"], ["TG_BOT_API_URL": "http://127.0.0.1:1"]),
            ("ratelimit", limit, ["TGPIPE_REDIS": address(password: "planted/other+pass")]),
            ("ev-queue", ["push", "x"], ["TGPIPE_REDIS": address(password: Self.redisPassword, port: 1)]),
            ("ev-queue", ["push", "x"], ["TGPIPE_REDIS": "\(redisAddress)/none"]),
            (
                "blob-put", ["--store", "s3://planted", "--file", fixture.folder("www/clip.mp4")],
                ["AWS_SECRET_ACCESS_KEY": Self.wrongKey]
            ),
            ("tgpipe-doctor", ["--bot"], ["AWS_SECRET_ACCESS_KEY": Self.wrongKey, "TGPIPE_STORE": "s3://planted"]),
            ("tgpipe-doctor", [], ["TGPIPE_REDIS": address(password: "planted/other+pass")]),
        ] {
            let result = try await run(tool, arguments, input: event, more)
            #expect(result.status != 0, "\(tool) \(arguments)")
        }
    }

    /// Logs an account in with its second factor, and uses it.
    ///
    /// - Returns: the session's key in the forms in which it could be written.
    private func useAccount() async throws -> [String] {
        let emulator = try await MTProtoEmulator(telegram)
        try emulator.publicKey.write(toFile: fixture.folder("server.pem"), atomically: true, encoding: .utf8)
        let servers = (1...3).map { "\($0)=\(emulator.address($0).host):\(emulator.address($0).port)" }
        let account = [
            "TG_API_ID": "\(emulator.apiID)", "TG_API_HASH": Self.apiHash, "TG_SERVERS": servers.joined(separator: " "),
            "TG_SERVER_KEY": fixture.folder("server.pem"), "TGPIPE_SESSION": "dave", "TG_BOT_TOKEN": "",
        ]
        let answers = "15550100051\n12345\nplanted wrong factor\n\(Self.secondFactor)\n"
        #expect(try await run("tg-session", ["login", "dave"], input: answers, account).status == 0)
        #expect(try await run("tg-call", ["users.getUsers", #"{"id": ["me"]}"#], account).status == 0)
        #expect(try await run("tg-call", ["contacts.resolveUsername", #"{"username": "no"}"#], account).status != 0)
        let proxy = ["TG_PROXY": "socks5://me:\(Self.proxyPassword)@127.0.0.1:1"].merging(account) { $1 }
        let refused = try await run("tg-call", ["--timeout", "2s", "help.getNearestDc", "{}"], proxy)
        #expect(refused.status != 0)
        let listen = try await run("tg-listen", ["--session", "dave", "--once"], account)
        #expect(listen.status == 0, "\(listen.errors)")
        let path = fixture.folder("state/sessions/dave.session.json")
        let session = try JSON(parsing: try String(contentsOfFile: path, encoding: .utf8))
        let key = try #require(session["keys"]?.object?.members.first?.value.string)
        let bytes = try #require(Data(base64Encoded: key))
        return [key, bytes.map { String(format: "%02x", $0) }.joined()]
    }

    /// Shows and exports what is stored, in every form.
    private func show() async throws -> LoopbackServer {
        #expect(try await fixture.runOnce().status == 0)
        let lines = try await run("ev-log", ["show", "--spans"], ["TGPIPE_LOG_DIR": ""]).lines
        #expect(lines.count > 50)
        let requests = Set(lines.compactMap { try? JSON(parsing: $0)["correlation_id"]?.string })
        #expect(requests.count >= 5)
        for request in requests {
            for form in [[], ["--json"], ["--html"]] {
                try await run("ev-log", ["trace", request] + form, ["TGPIPE_LOG_DIR": ""])
            }
        }
        let collector = try LoopbackServer { _, connection in connection.respond(200) }
        let sent = try await run(
            "ev-log", ["export", "--once", "--logs"],
            [
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url(""), "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json",
                "OTEL_EXPORTER_OTLP_HEADERS": "authorization=planted-collector-key", "TGPIPE_LOG_DIR": "",
            ])
        #expect(sent.status == 0)
        #expect(collector.requests.contains { $0.headers.contains { $0.value == "planted-collector-key" } })
        for (number, request) in collector.requests.enumerated() {
            try keep("export-\(number)", String(decoding: request.body, as: UTF8.self))
        }
        let serve = try ToolRun(
            "ev-log", ["serve", "--listen", "unix:\(fixture.folder("s"))"],
            environment: environment.merging(["TGPIPE_LOG_DIR": ""]) { $1 }, folder: fixture.folder)
        #expect(try await eventually { FileManager.default.fileExists(atPath: fixture.folder("s")) })
        for page in ["", "metrics", "healthz"] + requests.map({ "requests/\($0)" }) {
            let text = try SpawnedProgram.output(
                of: [
                    "curl", "-sS", "--max-time", "30", "--unix-socket", fixture.folder("s"), "http://localhost/\(page)",
                ])
            try keep("page-\(page.replacing("/", with: "-"))", text)
        }
        serve.signal(SIGTERM)
        try keep("serve", try await serve.result().errors)
        return collector
    }

    // MARK: The search

    @Test func `No secret is in a log, the store, a page, an export, a metric or a recording`() async throws {
        try await serveRequests()
        try await failEverywhere()
        let key = try await useAccount()
        _ = try await show()
        var secrets = [
            Self.token, String(Self.token.split(separator: ":")[1]), Self.redisPassword, Self.cookie,
            Self.proxyPassword, Self.secondFactor, "planted wrong factor", Self.urlPassword, Self.wrongKey,
            Self.apiHash,
            "planted-collector-key", "planted/other+pass", "15550100051",
        ]
        secrets += secrets.flatMap { secret in
            [
                Data(secret.utf8).base64EncodedString(), Data("me:\(secret)".utf8).base64EncodedString(),
                secret.replacing("/", with: "%2F").replacing("+", with: "%2B").replacing(" ", with: "%20"),
                secret.replacing("/", with: "\\/"),
            ]
        }
        secrets = Array(Set(secrets)) + key
        var searched = 0
        for case let name as String in FileManager.default.enumerator(atPath: fixture.folder.path) ?? .init() {
            let isGiven = ["given/", "www/", "state/sessions/", "server.pem"].contains { name.hasPrefix($0) }
            guard !isGiven, let bytes = FileManager.default.contents(atPath: fixture.folder(name)) else { continue }
            searched += 1
            let text = String(decoding: bytes, as: UTF8.self)
            for secret in secrets where text.contains(secret) {
                let place = text.range(of: secret).map { text[..<$0.lowerBound].suffix(300) } ?? ""
                Issue.record("\(name) has \(secret), behind: \(place)")
            }
        }
        #expect(searched > 60)
    }
}
