import Accounts
import ArgumentParser
import JSON
import System
import TL
import Testing

@testable import tg_call

struct CallInputTests {
    @Test func `A call's line is read with its id, method and parameters`() throws {
        let call = try CallRequest(["id": 7, "method": "help.getConfig", "params": ["a": 1]])
        #expect(call.method == "help.getConfig" && call.parameters == ["a": 1])
        #expect(try CallRequest(["method": "x"]).parameters == [:])
    }

    @Test(arguments: [
        (#"{"params":{}}"#, "no method"), (#"{"method":7}"#, "no method"), (#"{"method":"x","params":[]}"#, "params"),
        (#"{"method":"x","parameters":{}}"#, #""parameters""#), ("[]", "not a JSON object"), ("{", "the line: "),
    ])
    func `A faulty line is refused with its fault`(_ line: String, _ words: String) {
        let error = #expect(throws: ToolError.self) {
            try CallRequest(try CallInput.object(Array(line.utf8), "the line"))
        }
        #expect(error?.exitStatus == .malformedInput && error?.message.contains(words) == true)
    }

    @Test func `Empty lines are skipped and lines over the limit are marked`() throws {
        var splitter = LineSplitter(maxLineBytes: 10)
        var read: [LineSplitter.Output] = []
        for text in ["{}\n\n[1]\n", "this line is much too long\n"] {
            splitter.free.copyBytes(from: Array(text.utf8))
            read += splitter.take(text.utf8.count)
        }
        let lines = CallInput.lines(read)
        #expect(lines.map { $0.map { String(decoding: $0.bytes, as: UTF8.self) } } == ["{}", "[1]", nil])
        #expect(throws: ToolError.self) { try CallInput.joined(read) }
    }

    @Test func `A line over the limit keeps its place among the calls of one read`() {
        var splitter = LineSplitter(maxLineBytes: 10)
        let text = Array("[1]\n[2]\nthis line is much too long\n[3]\n".utf8)
        splitter.free.copyBytes(from: text)
        let lines = CallInput.lines(splitter.take(text.count))
        #expect(lines.map { $0.map { String(decoding: $0.bytes, as: UTF8.self) } } == ["[1]", "[2]", nil, "[3]"])
    }
}

struct CallDefaultsTests {
    private let defaults: CallDefaults

    init() throws { defaults = CallDefaults(try TLSchema()) }

    @Test func `A required random_id is added, one for each forwarded message`() {
        let sent = defaults.completed(["message": "hi"], of: "messages.sendMessage")
        #expect(Int64(sent["random_id"]?.string ?? "") != nil && sent["message"] == "hi")
        let forwarded = defaults.completed(["id": [1, 2, 3]], of: "messages.forwardMessages")
        #expect(Set(forwarded["random_id"]?.array ?? []).count == 3)
    }

    @Test func `A given random_id stays, and other methods get none`() {
        let given: JSONObject = ["random_id": "5"]
        #expect(defaults.completed(given, of: "messages.sendMessage") == given)
        #expect(defaults.completed([:], of: "help.getConfig") == [:])
    }

    @Test func `A method that reads begins at the first page`() {
        #expect(
            defaults.completed(["peer": "me", "limit": 5], of: "messages.getHistory")
                == [
                    "peer": "me", "limit": 5, "offset_id": 0, "offset_date": 0, "add_offset": 0, "max_id": 0,
                    "min_id": 0,
                    "hash": 0,
                ])
        let search = defaults.completed(["peer": "me"], of: "messages.search")
        #expect(search["q"] == "" && search["limit"] == 100 && search["filter"]?["_"] == "inputMessagesFilterEmpty")
        let dialogs = defaults.completed([:], of: "messages.getDialogs")
        #expect(dialogs["offset_peer"]?["_"] == "inputPeerEmpty" && dialogs["hash"] == 0)
        // A person is looked for by a text.
        #expect(defaults.completed([:], of: "contacts.search")["q"] == nil)
    }

    @Test(arguments: ["messages.deleteHistory", "messages.readHistory", "account.resetAuthorization"])
    func `A zero that would mean everything is never added`(_ method: String) {
        #expect(defaults.completed(["peer": "me"], of: method) == ["peer": "me"])
    }
}

struct DialogTests {
    private let page: JSON = [
        "_": "messages.dialogsSlice",
        "dialogs": [
            ["_": "dialogFolder", "peer": ["_": "peerUser", "user_id": 1]],
            [
                "_": "dialog", "peer": ["_": "peerChannel", "channel_id": 5], "top_message": 9, "unread_count": 3,
                "pinned": true,
            ],
            [
                "_": "dialog", "peer": ["_": "peerUser", "user_id": 7], "top_message": 4, "unread_count": 0,
                "folder_id": 1,
            ],
        ],
        "messages": [
            ["_": "message", "id": 9, "peer_id": ["_": "peerChannel", "channel_id": 5], "date": 1_795_262_400]
        ],
        "chats": [["_": "channel", "id": 5, "title": "News\u{202E}\u{1B}[31m", "megagroup": true, "username": "news"]],
        "users": [["_": "user", "id": 7, "first_name": "Bo", "last_name": "B", "bot": true]],
    ]

    @Test func `A page becomes chats with their names`() throws {
        let page = try #require(DialogPage(page))
        let dialogs = page.dialogs.compactMap { Dialog($0, in: page) }
        #expect(dialogs.map(\.id) == [.channel(5), .user(7)])
        #expect(
            JSON.object(dialogs[1].json).text
                == #"{"id":7,"type":"bot","title":"Bo B","unread":0,"archived":true,"last_message_id":4}"#)
        #expect(dialogs[0].json["type"] == "supergroup" && dialogs[0].json["pinned"] == true)
        #expect(dialogs[0].json["last_message_at"]?.string?.hasPrefix("2026-11-") == true)
    }

    @Test func `A title cannot change the terminal`() throws {
        let page = try #require(DialogPage(page))
        let line = try #require(page.dialogs.compactMap { Dialog($0, in: page) }.first).text
        #expect(line.hasPrefix(" -1000000000005  supergroup"), "\(line)")
        #expect(!line.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x202E })
    }

    @Test func `A list that changes while it is read, or never ends, ends`() async throws {
        var calls = 0
        var ids: [PeerID] = []
        try await DialogReader { _, _ in
            calls += 1
            return page
        }.read { ids += $0.map(\.id) }
        #expect(calls == 2 && ids == [.channel(5), .user(7)])
        await #expect(throws: ToolError.self) { try await DialogReader { _, _ in [:] }.read { _ in } }
    }
}

struct PrettyJSONTests {
    private func pretty(_ text: String) -> String { String(decoding: PrettyJSON.text(Array(text.utf8)), as: UTF8.self) }

    @Test func `Members and elements get lines of their own`() {
        #expect(
            pretty(#"{"a":1,"b":[true,null],"c":{"d":"x"}}"#) == """
                {
                  "a": 1,
                  "b": [
                    true,
                    null
                  ],
                  "c": {
                    "d": "x"
                  }
                }
                """)
    }

    @Test(arguments: ["{}", "[]", "7", #""a{[,:\"]}\\""#])
    func `Empty containers and strings stay as they are`(_ text: String) { #expect(pretty(text) == text) }

    @Test func `The document's meaning stays`() throws {
        let json: JSON = ["a": [["b": "c,{\"}"], [], [:]], "e": ["f": [1.5, -2]]]
        #expect(try JSON(parsing: pretty(json.text)) == json)
    }
}

struct LookupTests {
    private let schema: TLSchema

    init() throws { schema = try TLSchema() }

    private func lookup(_ arguments: String...) throws -> String {
        try LookupOptions.parse(arguments).text(schema)
    }

    @Test(arguments: [
        ("", "anything", true), ("hist", "messages.getHistory", true), ("HIST", "messages.getHistory", true),
        ("hist", "help.getConfig", false), ("messages.get*", "messages.getHistory", true),
        ("get*", "messages.getHistory", false), ("help.get[CD]onfig", "help.getConfig", true),
    ])
    func `A pattern matches parts of names, or whole names with wildcards`(
        _ pattern: String, _ name: String, _ matches: Bool
    ) {
        #expect(NamePattern(pattern).matches(name) == matches)
    }

    @Test func `Names are listed with details where asked for`() throws {
        #expect(try lookup("--list", "messages.getHistory") == "messages.getHistory\n")
        #expect(try lookup("--list", "nothing matches this").isEmpty)
        #expect(try lookup("--list", "inputPeerSelf", "--constructors", "--long") == "inputPeerSelf = InputPeer\n")
        let json = try JSON(parsing: try lookup("--list", "help.getConfig", "--json"))
        #expect(json["name"] == "help.getConfig")
    }

    @Test func `Methods, constructors and types are described`() throws {
        let method = try lookup("--describe", "messages.getHistory")
        #expect(method.hasPrefix("messages.getHistory, a method with the parameters\n"))
        #expect(method.contains("me, @name, a link, an id"))
        #expect(try lookup("--describe", "inputPeerSelf").hasSuffix("is a InputPeer\n"))
        #expect(try lookup("--describe", "Vector<InputPeer>").hasPrefix("InputPeer, one of\n"))
        #expect(try JSON(parsing: try lookup("--describe", "InputPeer", "--json"))["kind"] == "type")
    }

    @Test(arguments: [
        ("messages.getHistroy", "messages.getHistory"), ("getConfig", "help.getConfig"), ("xyzzy", "tg-call --list"),
    ])
    func `An unknown method is refused with similar names`(_ name: String, _ hint: String) {
        let error = #expect(throws: ToolError.self) { try MethodNames(schema).check(name) }
        #expect(error?.exitStatus == .usage && error?.message.contains(hint) == true)
    }

    @Test func `Options that need another one are refused alone`() {
        for arguments in [["--long"], ["--constructors"], ["--json"]] {
            #expect(throws: (any Error).self) { try LookupOptions.parse(arguments) }
        }
    }

    @Test(arguments: [("30", 30), ("90s", 90), ("10m", 600), ("0", 0)])
    func `A wait limit is a number of seconds or a duration`(_ text: String, _ seconds: Int64) {
        #expect(WaitLimit(argument: text)?.duration == .seconds(seconds))
        #expect(WaitLimit(argument: "-1") == nil && WaitLimit(argument: "soon") == nil)
    }
}
