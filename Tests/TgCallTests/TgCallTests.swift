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

struct RandomIDTests {
    private let schema: TLSchema

    init() throws { schema = try TLSchema() }

    @Test func `A required random_id is added, one for each forwarded message`() {
        let sent = Caller.withRandomID(["message": "hi"], of: "messages.sendMessage", in: schema)
        #expect(Int64(sent["random_id"]?.string ?? "") != nil && sent["message"] == "hi")
        let forwarded = Caller.withRandomID(["id": [1, 2, 3]], of: "messages.forwardMessages", in: schema)
        #expect(Set(forwarded["random_id"]?.array ?? []).count == 3)
    }

    @Test func `A given random_id stays, and other methods get none`() {
        let given: JSONObject = ["random_id": "5"]
        #expect(Caller.withRandomID(given, of: "messages.sendMessage", in: schema) == given)
        #expect(Caller.withRandomID([:], of: "help.getConfig", in: schema) == [:])
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
