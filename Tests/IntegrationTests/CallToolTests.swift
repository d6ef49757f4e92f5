import Foundation
import JSON
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct CallToolTests {
    private let emulator: MTProtoEmulator
    private let alice: AccountFolder

    init() async throws {
        emulator = try await MTProtoEmulator()
        alice = try await AccountFolder(emulator)
    }

    private func call(_ arguments: String..., input: String = "") async throws -> ToolRun.Result {
        try await alice.run("tg-call", arguments, input: input)
    }

    /// Returns the first object `error` on standard error.
    private func refusal(_ result: ToolRun.Result) throws -> JSON {
        let lines = result.errors.split(separator: "\n").compactMap { try? JSON(parsing: String($0)) }
        return try #require(lines.compactMap { $0["error"] }.first, "\(result.errors)")
    }

    /// A supergroup that Alice is in, with a public name.
    private func makeGroup() async throws {
        try await emulator.server.call(
            "POST", "/control/message",
            [
                "account": .integer(MTProtoEmulator.alice), "chat_id": -1_001_234_567_890, "chat_type": "supergroup",
                "chat_username": "newsroom", "title": "News", "text": "hello",
                "from": ["id": 77, "first_name": "Bob", "username": "bobby"],
            ])
    }

    private func expectNoViolations() async throws {
        let violations = try await alice.violations()
        #expect(violations == [], "\(JSON.array(violations).text)")
    }

    // MARK: Calls

    @Test func `A result is JSON on one line or indented`() async throws {
        let result = try await call("users.getUsers", #"{"id": ["me"]}"#)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.lines.count == 1)
        let user = try JSON(parsing: result.output).array?.first
        #expect(user?["id"] == 42 && user?["first_name"] == "Alice")
        let pretty = try await call("users.getUsers", "-", "--pretty", input: "{\n\"id\": [\"me\"]\n}\n")
        #expect(pretty.lines.count > 5 && pretty.lines.first == "[" && pretty.lines.contains(#"    "_": "user","#))
        #expect(try JSON(parsing: pretty.output).array?.first?["id"] == 42)
        // Nobody asked for a Redis.
        #expect(!FileManager.default.fileExists(atPath: alice.folder("state/redis")))
        try await expectNoViolations()
    }

    @Test func `A message needs no random_id from the caller`() async throws {
        for _ in 0..<2 {
            let result = try await call("messages.sendMessage", #"{"peer": "me", "message": "hello"}"#)
            #expect(result.status == 0, "\(result.errors)")
        }
        let sent = try await emulator.calls("messages.sendMessage").compactMap { $0["params"]?["random_id"]?.text }
        #expect(Set(sent).count == 2)
        let forwarded = try await call(
            "messages.forwardMessages", #"{"from_peer": "me", "to_peer": "me", "id": [1, 2]}"#)
        #expect(forwarded.status == 0, "\(forwarded.errors)")
        try await expectNoViolations()
    }

    @Test func `The first page of a history needs no more than its peer, and the chats are listed`() async throws {
        try await makeGroup()
        let history = try await call("messages.getHistory", #"{"peer": "@newsroom"}"#)
        #expect(history.status == 0, "\(history.errors)")
        #expect(try JSON(parsing: history.output)["messages"]?.array?.first?["message"] == "hello")
        let list = try await call("--dialogs")
        #expect(list.status == 0, "\(list.errors)")
        let chats = try list.lines.map { try JSON(parsing: $0) }
        let group = try #require(chats.first { $0["id"] == -1_001_234_567_890 })
        #expect(group["type"] == "supergroup" && group["title"] == "News" && group["username"] == "newsroom")
        #expect(try await call("-d").lines.count == chats.count)
        #expect(try await call("--dialogs", "--pretty").status == 64)
        try await expectNoViolations()
    }

    @Test func `A peer may be written in any form`() async throws {
        try await makeGroup()
        let forms = [
            "@newsroom", "newsroom", "t.me/newsroom", "https://t.me/newsroom/1", "https://t.me/c/1234567890/1",
            "tg://resolve?domain=newsroom", "-1001234567890",
        ]
        for form in forms {
            let result = try await call("messages.getHistory", JSON.object(history(.string(form))).text)
            #expect(result.status == 0, "\(form): \(result.errors)")
            #expect(try JSON(parsing: result.output)["messages"]?.array?.first?["message"] == "hello")
        }
        try await expectNoViolations()
    }

    private func history(_ peer: JSON) -> JSONObject {
        [
            "peer": peer, "offset_id": 0, "offset_date": 0, "add_offset": 0, "limit": 10, "max_id": 0, "min_id": 0,
            "hash": 0,
        ]
    }

    @Test func `Known names and ids are not resolved again by the next process`() async throws {
        try await emulator.write("hi")
        for peer in ["@bobby", "bobby", "https://t.me/bobby"] {
            #expect(try await call("messages.getHistory", JSON.object(history(.string(peer))).text).status == 0)
        }
        #expect(try await call("messages.getHistory", JSON.object(history(77)).text).status == 0)
        #expect(try await emulator.calls("contacts.resolveUsername").count == 1)
        #expect(try await emulator.calls("messages.getDialogs").isEmpty)
        try await expectNoViolations()
    }

    @Test func `An unknown id is found among the dialogs or refused with a remedy`() async throws {
        try await emulator.write("hi")
        #expect(try await call("messages.getHistory", JSON.object(history(77)).text).status == 0)
        let result = try await call("messages.getHistory", JSON.object(history(78)).text)
        #expect(result.status == 1)
        #expect(result.errors.contains("\"peer: the user 78 is unknown to this account"))
        let nobody = try await call("messages.getHistory", JSON.object(history("@nobody_at_all")).text)
        #expect(
            nobody.status == 1
                && nobody.errors.contains("\"peer: no user, group or channel has the name @nobody_at_all"))
    }

    @Test func `Each line of a batch of calls gets a line in reply`() async throws {
        let lines = [
            #"{"id":1,"method":"users.getUsers","params":{"id":["me"]}}"#, #"{"method":"help.getNearestDc"}"#, "",
            #"{"id":"x","method":"users.getUsers","params":{"id":[7.5]}}"#, "nonsense", #"{"id":3,"method":"a.b"}"#,
            #"{"id":4,"params":{}}"#, #"{"id":5,"method":"help.getConfig","parms":{}}"#,
        ]
        let result = try await call("--each", input: lines.joined(separator: "\n") + "\n")
        let answers = try result.lines.map { try JSON(parsing: $0) }
        try #require(answers.count == 7)
        #expect(answers[0]["id"] == 1 && answers[0]["result"]?.array?.first?["id"] == 42)
        #expect(answers[1]["id"] == nil && answers[1]["result"]?["_"] == "nearestDc")
        #expect(answers[2]["id"] == "x" && answers[2]["error"]?["path"] == "$.id[0]")
        #expect(answers.dropFirst(2).map { $0["error"]?["exit"]?.int } == [65, 65, 64, 65, 65])
        #expect(result.status == 65)
        try await expectNoViolations()
    }

    @Test func `Calls through a session's owner give the same results without settings`() async throws {
        try await emulator.write("hi")
        let owner = try ToolRun("tg-session", ["run", "alice"], environment: alice.environment, folder: alice.folder)
        #expect(try await eventually { owner.log.contains("is shared at") })
        let only = ["TGPIPE_SESSION": "alice"]
        let texts = [
            #"{"id":1,"method":"messages.getHistory","params":\#(JSON.object(history("@bobby")).text)}"#,
            #"{"id":2,"method":"users.getUsers","params":{"id":[true]}}"#,
            #"{"id":3,"method":"users.getUsers","params":{"id":["@nobody_at_all"]}}"#,
        ]
        let each = try await ToolRun.run(
            "tg-call", ["--each"], input: texts.joined(separator: "\n"), environment: only, folder: alice.folder)
        let answers = try each.lines.map { try JSON(parsing: $0) }
        try #require(answers.count == 3, "\(each.errors)")
        #expect(answers[0]["result"]?["messages"]?.array?.first?["message"] == "hi")
        #expect(answers[1]["error"]?["path"] == "$.id[0]" && answers[1]["error"]?["exit"] == 65)
        #expect(answers[2]["error"]?["message"] == "id[0]: no user, group or channel has the name @nobody_at_all")
        try await emulator.control("fault", ["method": "help.getNearestDc", "error": "FLOOD_WAIT_1"])
        let waited = try await ToolRun.run(
            "tg-call", ["help.getNearestDc", "--wait-flood", "30"], environment: only, folder: alice.folder)
        #expect(waited.status == 0 && waited.errors.contains("FLOOD_WAIT_1"), "\(waited.errors)")
        try await emulator.control("fault", ["method": "help.getConfig", "error": "FLOOD_WAIT_900"])
        let refused = try await ToolRun.run("tg-call", ["help.getConfig"], environment: only, folder: alice.folder)
        #expect(refused.status == 75)
        #expect(try refusal(refused)["text"] == "FLOOD_WAIT_900")
        owner.signal(SIGTERM)
        #expect(try await owner.result().status == 0)
        try await expectNoViolations()
    }

    // MARK: Refusals

    @Test func `A refusal by Telegram is JSON on standard error`() async throws {
        try await emulator.control("fault", ["method": "help.getConfig", "error": "CHAT_ADMIN_REQUIRED"])
        let result = try await call("help.getConfig")
        #expect(result.status == 1 && result.output.isEmpty)
        let error = try refusal(result)
        #expect(error["code"] == 400 && error["name"] == "CHAT_ADMIN_REQUIRED" && error["value"] == nil)
        #expect(error["text"] == "CHAT_ADMIN_REQUIRED" && error["method"] == "help.getConfig")
    }

    @Test func `A flood wait is exit status 75 and is observed on request`() async throws {
        try await emulator.control("fault", ["method": "help.getConfig", "error": "FLOOD_WAIT_2"])
        let result = try await call("help.getConfig")
        #expect(result.status == 75)
        let error = try refusal(result)
        #expect(error["code"] == 420 && error["name"] == "FLOOD_WAIT" && error["value"] == 2)
        #expect(error["text"] == "FLOOD_WAIT_2")
        try await emulator.control("fault", ["method": "help.getNearestDc", "error": "FLOOD_WAIT_1"])
        let waited = try await call("help.getNearestDc", "--wait-flood", "30")
        #expect(waited.status == 0, "\(waited.errors)")
        #expect(waited.errors.contains("waiting until 20") && waited.errors.contains("FLOOD_WAIT_1"))
        try await emulator.control("fault", ["method": "updates.getState", "error": "FLOOD_WAIT_900"])
        #expect(try await call("updates.getState", "--wait-flood", "1m").status == 75)
    }

    @Test func `The next process knows a flood wait without asking Telegram`() async throws {
        let redis = try RedisServer()
        let more = ["TGPIPE_REDIS": redis.address]
        try await emulator.control("fault", ["method": "help.getConfig", "error": "FLOOD_WAIT_900"])
        #expect(try await alice.run("tg-call", ["help.getConfig"], environment: more).status == 75)
        let again = try await alice.run("tg-call", ["help.getConfig"], environment: more)
        #expect(again.status == 75)
        let value = try #require(try refusal(again)["value"]?.int)
        #expect((800...900).contains(value))
        let calls = try await emulator.calls("help.getConfig")
        #expect(calls.filter { $0["error"]?.string == "FLOOD_WAIT_900" }.count == 1)
    }

    @Test(arguments: ["AUTH_KEY_UNREGISTERED", "SESSION_REVOKED", "USER_DEACTIVATED_BAN"])
    func `A session that is no longer valid is exit status 77`(_ reason: String) async throws {
        try await emulator.control("fault", ["method": "users.getFullUser", "error": .string(reason)])
        let result = try await call("users.getFullUser", #"{"id": "me"}"#)
        #expect(result.status == 77)
        #expect(try refusal(result)["name"] == .string(reason))
    }

    @Test func `Wrong parameters are exit status 65 with the path and without the value`() async throws {
        let cases = [
            (#"{"id": "me"}"#, "\"id: expected an array"), (#"{"id": [true]}"#, "\"id[0]: expected an object"),
            (#"{"id": [{"_": "inputUser", "user_id": "x", "access_hash": 1}]}"#, "\"id[0].user_id"),
            (#"{}"#, "\"id: is missing"), (#"{"id": [], "colour": "red"}"#, "\"colour: "), ("[]", "not a JSON object"),
            (#"{"id": ["#, "not JSON: column 9: expected a value"),
            (#"{"id": ["+15550100042"]}"#, "\"id[0]: is a phone number, not a peer"),
            (#"{"id": ["https://t.me/+abcdef"]}"#, "join the chat"), (#"{"id": ["a b"]}"#, "\"id[0]: is not a peer"),
        ]
        for (json, told) in cases {
            let result = try await call("users.getUsers", json)
            #expect(result.status == 65, "\(result.errors)")
            #expect(result.errors.contains(told), "\(result.errors)")
            #expect(!result.errors.contains("5550100042") && !result.errors.contains("red"))
        }
    }

    @Test func `A server that breaks the protocol is exit status 76`() async throws {
        try await emulator.beHostile("msg_key", times: 3)
        #expect(try await call("help.getNearestDc").status == 76)
    }

    @Test func `Parameters never appear in the log`() async throws {
        let result = try await alice.run(
            "tg-call",
            [
                "auth.checkPassword",
                #"{"password": {"_": "inputCheckPasswordSRP", "srp_id": 1, "A": "c2VjcmV0", "M1": "c2VjcmV0"}}"#,
            ], environment: ["TGPIPE_LOG": "json:trace"])
        #expect(result.status != 0)
        #expect(!result.errors.contains("c2VjcmV0") && !result.errors.contains("secret"))
    }
}
