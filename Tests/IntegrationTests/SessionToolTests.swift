import Foundation
import JSON
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct SessionToolTests {
    private let emulator: MTProtoEmulator
    private let alice: AccountFolder

    init() async throws {
        emulator = try await MTProtoEmulator()
        alice = try await AccountFolder(emulator)
    }

    private static let secrets = ["TG_API_HASH": "0123456789abcdef0123456789abcdef"]

    private func session(
        _ arguments: String..., input: String = "", environment: [String: String] = [:]
    ) async throws -> ToolRun.Result {
        try await alice.run(
            "tg-session", arguments, input: input, environment: Self.secrets.merging(environment) { $1 })
    }

    private func call(_ session: String, _ method: String = "help.getNearestDc") async throws -> ToolRun.Result {
        try await alice.run("tg-call", ["--session", session, method, "{}"])
    }

    private func expectNoViolations() async throws {
        let violations = try await alice.violations()
        #expect(violations == [], "\(JSON.array(violations).text)")
    }

    private func add(_ account: JSONObject) async throws { try await emulator.control("account", account) }

    private func mode(of file: String) throws -> Int? {
        let attributes = try FileManager.default.attributesOfItem(atPath: alice.folder("state/sessions/\(file)"))
        return (attributes[.posixPermissions] as? NSNumber)?.intValue
    }

    private func exists(_ file: String) -> Bool {
        FileManager.default.fileExists(atPath: alice.folder("state/sessions/\(file)"))
    }

    // MARK: Logging in

    @Test func `A user logs in with a code, whichever data centre holds the account`() async throws {
        try await add(["id": 50, "phone": "15550100050", "first_name": "Carol", "dc": 3])
        // An empty line has another code sent; the first code is wrong.
        let result = try await session("login", "carol", input: "+1 555 010 0050\n\n99999\n12345\n")
        #expect(result.status == 0, "\(result.errors)")
        #expect(try mode(of: "carol.session.json") == 0o600)
        #expect(result.output.isEmpty)
        for secret in ["5550100050", "12345\"", "99999"] { #expect(!result.errors.contains(secret)) }
        let me = try await alice.run("tg-call", ["--session", "carol", "users.getUsers", #"{"id": ["me"]}"#])
        #expect(try JSON(parsing: me.output).array?.first?["id"] == 50, "\(me.errors)")
        try await expectNoViolations()
    }

    @Test func `The second factor is checked and a wrong password can be corrected`() async throws {
        try await add([
            "id": 51, "phone": "15550100051", "first_name": "Dave", "password": "correct horse", "hint": "a horse",
        ])
        let result = try await session("login", "dave", input: "15550100051\n12345\nbattery\ncorrect horse\n")
        #expect(result.status == 0, "\(result.errors)")
        #expect(!result.errors.contains("correct horse") && !result.errors.contains("battery"))
        #expect(try await call("dave").status == 0)
        try await expectNoViolations()
    }

    @Test func `The last line needs no line feed and a silent pipe blocks nothing`() async throws {
        #expect(try await session("login", "new", input: "15550100042\n12345").status == 0)
        let path = alice.folder("code")
        #expect(mkfifo(path, 0o600) == 0)
        let login = try ToolRun(
            "tg-session", ["login", "other", "--code-file", path],
            environment: alice.environment.merging(Self.secrets) { $1 }, folder: alice.folder)
        login.send("15550100042")
        #expect(try await eventually { login.log.contains("the code is sent") })
        login.signal(SIGTERM)
        #expect(try await login.result().status == 128 + SIGTERM)
    }

    @Test func `Answers can come from files`() async throws {
        try await add(["id": 52, "phone": "15550100052", "first_name": "Erin", "password": "pass word"])
        for (name, text) in [("phone", "15550100052\n"), ("code", "12345"), ("password", "pass word\n")] {
            try text.write(toFile: alice.folder(name), atomically: true, encoding: .utf8)
        }
        let result = try await session(
            "login", "erin", "--phone-file", alice.folder("phone"), "--code-file", alice.folder("code"),
            "--password-file", alice.folder("password"))
        #expect(result.status == 0, "\(result.errors)")
    }

    @Test(arguments: [
        ("15550100042\n1\n2\n3\n", "the code is wrong"),
        ("15550100053\n12345\na\nb\nc\n", "the password is wrong"),
        ("15550100099\n12345\n", "this number has no account"), ("12\n", "not a valid phone number"),
        ("15550100054\n", "banned"),
        ("", "no phone number is given"), ("15550100042\n", "no code is given"),
    ])
    func `A refused login gives its reason and exit status 77`(_ input: String, _ words: String) async throws {
        try await add(["id": 53, "phone": "15550100053", "first_name": "Frank", "password": "secret"])
        try await add(["id": 54, "phone": "15550100054", "first_name": "Grace"])
        try await emulator.control("revoke", ["account": 54, "error": "USER_DEACTIVATED_BAN", "ban": true])
        let result = try await session("login", "other", input: input)
        #expect(result.status == 77, "\(result.errors)")
        #expect(result.errors.contains(words), "\(result.errors)")
        #expect(!exists("other.session.json"))
    }

    @Test func `A bot logs in with its token`() async throws {
        let result = try await session(
            "login", "robot", "--bot", environment: ["TG_BOT_TOKEN": BotEmulator.token])
        #expect(result.status == 0, "\(result.errors)")
        let list = try await session("list", "--json")
        #expect(list.lines.contains { $0.contains(#""name":"robot""#) && $0.contains(#""bot":true"#) })
        let wrong = try await session("login", "robot2", "--bot", environment: ["TG_BOT_TOKEN": "1:wrong"])
        #expect(wrong.status == 77)
        #expect(!wrong.errors.contains("1:wrong"))
    }

    @Test func `A QR code is drawn`() async throws {
        let run = try ToolRun(
            "tg-session", ["login", "screen", "--qr"],
            environment: alice.environment.merging(Self.secrets) { $1 }, folder: alice.folder)
        #expect(try await eventually { run.log.contains("▄") })
        // The corner of the upper left: light margin, then a dark frame of seven modules with a light ring in it.
        let rows = run.log.split(separator: "\n").filter { $0.contains("\u{1b}[97;40m") }
        #expect(rows.dropFirst().first?.hasPrefix("\u{1b}[97;40m██ ▄▄▄▄▄ ") == true)
        run.signal(SIGTERM)
        #expect(try await run.result().status != 0)
        #expect(!exists("screen.session.json"))
    }

    @Test func `An existing session is replaced only on request`() async throws {
        let lines = "15550100042\n12345\n"
        let refused = try await session("login", "alice", input: lines)
        #expect(refused.status == 78)
        #expect(refused.errors.contains("--replace"))
        let done = try await session("login", "alice", "--replace", input: lines)
        #expect(done.status == 0, "\(done.errors)")
    }

    // MARK: What is wrong

    @Test func `Missing settings are named`() async throws {
        let noHash = try await alice.run("tg-session", ["login", "other"], input: "1\n")
        #expect(noHash.status == 78 && noHash.errors.contains("TG_API_HASH"))
        let noID = try await session("login", "other", environment: ["TG_API_ID": ""])
        #expect(noID.status == 78 && noID.errors.contains("TG_API_ID"))
        let wrong = try await session(
            "login", "other", input: "15550100042\n", environment: ["TG_API_HASH": "wrong"])
        #expect(wrong.status == 78 && wrong.errors.contains("my.telegram.org"))
    }

    @Test func `Unusable session files are reported`() async throws {
        let folder = alice.folder("state/sessions")
        for (name, text) in [("torn", "{\"version\":1,"), ("newer", "{\"version\":9}")] {
            let path = "\(folder)/\(name).session.json"
            try text.write(toFile: path, atomically: true, encoding: .utf8)
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        }
        let (torn, newer) = (try await session("run", "torn"), try await session("run", "newer"))
        #expect(torn.status == 78 && torn.errors.contains("damaged"))
        #expect(newer.status == 78 && newer.errors.contains("version 9"))
        let missing = try await session("run", "nobody")
        #expect(missing.status == 78 && missing.errors.contains("tg-session login nobody"))
        let named = try await session("run", "../alice")
        #expect(named.status == 64)
        let list = try await session("list")
        #expect(list.status == 65 && list.lines.count == 3)
    }

    @Test(arguments: ["2=127.0.0.1:1", "2=no-such-host.invalid:443"])
    func `A network without access to Telegram is exit status 69`(_ servers: String) async throws {
        let result = try await session("status", "alice", "--check", environment: ["TG_SERVERS": servers])
        #expect(result.status == 69, "\(result.errors)")
        #expect(result.errors.contains("unable to reach"), "\(result.errors)")
    }

    @Test func `A clock that is wrong by an hour does not matter`() async throws {
        try await emulator.control("clock", ["skew": 3600])
        #expect(try await session("status", "alice", "--check").status == 0)
        let login = try await session("login", "again", input: "15550100042\n12345\n")
        #expect(login.status == 0, "\(login.errors)")
    }

    @Test func `An ended session is exit status 77`() async throws {
        try await emulator.control("revoke", ["account": .integer(MTProtoEmulator.alice), "error": "SESSION_REVOKED"])
        for arguments in [["status", "alice", "--check"], ["run", "alice"]] {
            let result = try await alice.run("tg-session", arguments)
            #expect(result.status == 77, "\(result.errors)")
            #expect(result.errors.contains("SESSION_REVOKED"))
        }
    }

    @Test(arguments: ["msg_key", "session_id", "short_padding", "msg_id_stale"])
    func `A hostile server ends a call with exit status 76`(_ kind: String) async throws {
        try await emulator.beHostile(kind)
        let result = try await session("run", "alice")
        #expect(result.status == 76, "\(result.errors)")
    }

    @Test(arguments: ["pq_nonce", "dh_composite", "g_a_one", "gen_hash"])
    func `A hostile server ends a login with exit status 76`(_ kind: String) async throws {
        try await emulator.beHostile(kind)
        let result = try await session("login", "other", input: "15550100042\n12345\n")
        #expect(result.status == 76, "\(result.errors)")
    }

    @Test(arguments: [["--pfs"], ["--transport", "obfuscated-padded"], ["--transport", "full"], ["--ipv6"]])
    func `Telegram is reached over every transport`(_ options: [String]) async throws {
        let result = try await alice.run("tg-session", ["status", "alice", "--check"] + options)
        #expect(result.status == 0, "\(result.errors)")
        try await expectNoViolations()
    }

    @Test func `A proxy link comes from the environment and a wrong one is not repeated`() async throws {
        let secret = "00112233445566778899aabbccddeeff"
        let emulator = try await MTProtoEmulator("--proxy-secret", secret)
        let alice = try await AccountFolder(emulator)
        let (host, port) = emulator.proxy
        let link = "tg://proxy?server=\(host)&port=\(port)&secret=\(secret)"
        let status = ["status", "alice", "--check"]
        let result = try await alice.run("tg-session", status, environment: ["TG_PROXY": link])
        #expect(result.status == 0, "\(result.errors)")
        let wrong = try await alice.run("tg-session", status, environment: ["TG_PROXY": "tg://proxy?secret=\(secret)"])
        #expect(wrong.status == 78)
        #expect(!wrong.errors.contains(secret))
        try "socks5://127.0.0.1:1\n".write(toFile: alice.folder("proxy"), atomically: true, encoding: .utf8)
        let closed = try await alice.run("tg-session", status + ["--proxy-file", alice.folder("proxy")])
        #expect(closed.status == 69, "\(closed.errors)")
    }

    @Test func `A session that Telegram ended for double use is reported as that`() async throws {
        let error: JSON = "AUTH_KEY_DUPLICATED"
        try await emulator.control("fault", ["method": "users.getUsers", "kind": "error", "error": error, "times": 2])
        let result = try await session("status", "alice", "--check")
        #expect(result.status == 77)
        #expect(result.errors.contains("two programs at once"))
    }

    // MARK: Sharing

    private func owner() async throws -> ToolRun {
        let run = try ToolRun("tg-session", ["run", "alice"], environment: alice.environment, folder: alice.folder)
        guard try await eventually({ run.log.contains("is shared at") && run.log.contains("connected") }) else {
            throw ToolRun.TookTooLong(description: run.log)
        }
        return run
    }

    @Test func `Tools share an owner's account and open it themselves when the owner is gone`() async throws {
        let owner = try await owner()
        #expect(try mode(of: "alice.sock") == 0o600)
        for _ in 0..<3 { #expect(try await call("alice").status == 0) }
        let second = try await session("run", "alice")
        #expect(second.status == 75)
        let status = try JSON(parsing: try await session("status", "alice").output)
        let pid = try #require(status["pid"]?.int)
        #expect(second.errors.contains("process \(pid)"))
        #expect(status["shared"] == true && status["owner"]?["user_id"] == 42)
        owner.signal(SIGTERM)
        #expect(try await owner.result().status == 0)
        #expect(!exists("alice.sock"))
        #expect(try await call("alice").status == 0)
        try await expectNoViolations()
    }

    @Test func `A killed owner's session is taken over repeatedly without any protocol fault`() async throws {
        for _ in 0..<4 {
            let owner = try await owner()
            #expect(try await call("alice").status == 0)
            owner.signal(SIGKILL)
            _ = try await owner.result()
            #expect(exists("alice.sock"))
        }
        #expect(try await call("alice").status == 0)
        try await expectNoViolations()
    }

    @Test func `A tool that starts after an owner was killed leaves the session to the next owner`() async throws {
        let killed = try await owner()
        killed.signal(SIGKILL)
        _ = try await killed.result()
        // It would hold the session for as long as it runs.
        let listener = try ToolRun("tg-listen", [], environment: alice.environment, folder: alice.folder)
        try await Task.sleep(for: .seconds(2))
        let next = try await owner()
        #expect(try await eventually { listener.log.contains("listening") })
        #expect(try JSON(parsing: try await session("status", "alice").output)["shared"] == true)
        #expect(try await call("alice").status == 0)
        for run in [listener, next] {
            run.signal(SIGTERM)
            #expect(try await run.result().status == 0)
        }
        try await expectNoViolations()
    }

    @Test func `An owner without a network waits, reports it, and ends on SIGTERM`() async throws {
        let run = try ToolRun(
            "tg-session", ["run", "alice"],
            environment: alice.environment.merging(["TG_SERVERS": "2=127.0.0.1:1"]) { $1 }, folder: alice.folder)
        #expect(try await eventually { run.log.contains("unable to reach 127.0.0.1:1") })
        let call = try await alice.run("tg-call", ["--timeout", "1s", "help.getNearestDc", "{}"])
        #expect(call.status == 69)
        run.signal(SIGTERM)
        #expect(try await run.result().status == 0)
    }

    @Test func `A tool that holds the session itself is named to the next tool`() async throws {
        try await emulator.control("fault", ["method": "help.getNearestDc", "kind": "hang", "times": 1])
        let first = try ToolRun(
            "tg-call", ["help.getNearestDc", "{}"], environment: alice.environment, folder: alice.folder)
        #expect(try await eventually { exists("alice.lock") })
        let second = try await call("alice")
        #expect(second.status == 75)
        #expect(second.errors.contains("is in use by process"))
        first.signal(SIGKILL)
        _ = try await first.result()
        #expect(try await call("alice").status == 0)
    }

    @Test func `A tool that waited for the session reads its current state`() async throws {
        try await add(["id": 43, "phone": "15550100043", "first_name": "Carol"])
        let lock = open(alice.folder("state/sessions/alice.lock"), O_RDWR | O_CREAT, 0o600)
        defer { close(lock) }
        #expect(flock(lock, LOCK_EX) == 0)
        let waiting = try ToolRun(
            "tg-call", ["users.getUsers", #"{"id": ["me"]}"#], environment: alice.environment, folder: alice.folder)
        // It waits three seconds for its turn.
        try await Task.sleep(for: .seconds(1))
        try await alice.logIn(as: "alice", account: 43)
        #expect(flock(lock, LOCK_UN) == 0)
        let result = try await waiting.result()
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("Carol"))
    }

    @Test func `Logging out ends the owner and removes the file`() async throws {
        let uploads = alice.folder("state/sessions/alice.uploads")
        try FileManager.default.createDirectory(atPath: uploads, withIntermediateDirectories: true)
        try Data().write(to: URL(fileURLWithPath: "\(uploads)/one"))
        let owner = try await owner()
        let result = try await session("logout", "alice")
        #expect(result.status == 0, "\(result.errors)")
        #expect(try await owner.result().status == 77)
        #expect(!exists("alice.session.json") && !exists("alice.uploads"))
        #expect(try await session("logout", "alice").status == 78)
        #expect(try await emulator.calls("auth.logOut").count == 1)
    }

    // MARK: Taking over

    @Test(arguments: ["--telethon", "--pyrogram"])
    func `A session can be exported as a string and imported again`(_ form: String) async throws {
        let string = try await session("export", "alice", form)
        #expect(string.status == 0, "\(string.errors)")
        let result = try await session("import", "copy", "--string-file", "-", input: string.output)
        #expect(result.status == 0, "\(result.errors)")
        #expect(try await call("copy").status == 0)
        #expect(!result.errors.contains(string.output.trimmingCharacters(in: .newlines)))
        let again = try await session("import", "copy", "--string-file", "-", input: string.output)
        #expect(again.status == 78)
        #expect(try await session("import", "wrong", "--string-file", "-").status == 65)
        let wrong = try await session("import", "wrong", "--string-file", "-", input: "1BVtsOabc\n")
        #expect(wrong.status == 65)
        #expect(!wrong.errors.contains("BVtsOabc"))
    }

    @Test func `A string for Telethon has the address of the servers that the session belongs to`() async throws {
        let string = try await session("export", "alice", "--telethon")
        let imported = try await session("import", "copy", "--string-file", "-", input: string.output)
        #expect(imported.status == 0)
        let path = alice.folder("state/sessions/copy.session.json")
        let copy = try JSON(parsing: Array(Data(contentsOf: URL(fileURLWithPath: path))))
        let address = emulator.address(2)
        #expect(copy["addresses"]?["2"]?["host"]?.string == address.host)
        #expect(copy["addresses"]?["2"]?["port"]?.int == Int64(address.port))
        let pyrogram = try await session("export", "alice", "--pyrogram")
        #expect(pyrogram.errors.contains("contains no address"))
    }

    @Test func `A session is not used with the servers of another environment`() async throws {
        #expect(try await call("alice").status == 0)
        // Without the settings, the session would be shown to Telegram's own servers.
        let own = try await alice.run(
            "tg-call", ["--session", "alice", "help.getNearestDc", "{}"],
            environment: ["TG_SERVERS": "", "TG_SERVER_KEY": ""])
        #expect(own.status == 78 && own.errors.contains("TG_SERVERS"))
        let string = try await session(
            "export", "alice", "--telethon", environment: ["TG_SERVERS": "", "TG_SERVER_KEY": ""])
        #expect(string.status == 0)
        let imported = try await session("import", "copy", "--string-file", "-", input: string.output)
        #expect(imported.status == 0)
        #expect(try await call("copy").status == 0)
    }

    @Test func `A login never leaves the servers that are given, and leaves no lock when it fails`() async throws {
        try await add(["id": 43, "phone": "15550100043", "first_name": "Eve", "code": "12345", "dc": 2])
        let place = emulator.address(3)
        let result = try await session(
            "login", "eve", input: "15550100043\n12345\n",
            environment: ["TG_SERVERS": "3=\(place.host):\(place.port)"])
        #expect(result.status == 78, "\(result.errors)")
        #expect(result.errors.contains("TG_SERVERS has no address of data centre 2"))
        #expect(!exists("eve.session.json") && !exists("eve.lock"))
    }

    @Test(arguments: [("TG_LAYER", "x"), ("TG_TRANSPORT", "pigeon"), ("TG_SCHEMA", "/nonexistent")])
    func `The layer, the schema and the transport have environment variables`(_ name: String, _ wrong: String)
        async throws
    {
        let result = try await alice.run(
            "tg-call", ["--session", "alice", "help.getNearestDc", "{}"], environment: [name: wrong])
        #expect(result.status == 78, "\(result.errors)")
        #expect(result.errors.contains(name == "TG_SCHEMA" ? wrong : name))
    }

    @Test func `A server that does not speak the layer is an error that names the option`() async throws {
        try await emulator.control(
            "fault", ["method": "help.getNearestDc", "kind": "error", "error": "CONNECTION_LAYER_INVALID", "times": 1])
        let result = try await call("alice")
        #expect(result.status == 78 && result.errors.contains("--layer"))
    }
}
