import Foundation
import JSON
import TestSupport
import Testing

/// Tests the functions of tg-call that need no connection to Telegram.
@Suite(.timeLimit(.minutes(1))) struct CallLookupTests {
    @Test func `Methods and constructors are found without a session`() async throws {
        let methods = try await ToolRun.run("tg-call", ["--list", "channels.get*"])
        #expect(methods.status == 0 && methods.lines.contains("channels.getFullChannel"))
        #expect(methods.lines.allSatisfy { $0.hasPrefix("channels.get") })
        let part = try await ToolRun.run("tg-call", ["--list", "HISTORY"])
        #expect(part.lines.contains("messages.getHistory"))
        let both = try await ToolRun.run("tg-call", ["--list", "inputPeer*", "--constructors", "--long"])
        #expect(both.lines.contains("inputPeerChat chat_id:long = InputPeer"))
        #expect(try await ToolRun.run("tg-call", ["--list", "no such thing"]).status == 1)
    }

    @Test func `A method, a constructor and a type are described for people and for scripts`() async throws {
        let method = try await ToolRun.run("tg-call", ["--describe", "messages.getHistory"])
        #expect(method.status == 0)
        #expect(method.lines.contains("  peer         InputPeer  me, @name, a link, an id"))
        #expect(method.output.contains("results in messages.Messages: messages.messages, "))
        let json = try await ToolRun.run("tg-call", ["--describe", "messages.getHistory", "--json"])
        let described = try JSON(parsing: json.output)
        #expect(described["kind"] == "method" && described["result"] == "messages.Messages")
        #expect(described["parameters"]?.array?.first?["type"] == "InputPeer")
        let type = try await ToolRun.run("tg-call", ["--describe", "Vector<InputPeer>"])
        #expect(type.lines.contains("  inputPeerSelf = InputPeer"))
        let constructor = try await ToolRun.run("tg-call", ["--describe", "peerUser"])
        #expect(constructor.lines == ["peerUser, a constructor with the parameters", "  user_id  long", "is a Peer"])
        let unknown = try await ToolRun.run("tg-call", ["--describe", "inputpeer"])
        #expect(unknown.status == 64 && unknown.errors.contains("InputPeer"))
    }

    @Test func `Other layers and schema files can be searched`() async throws {
        let old = try await ToolRun.run("tg-call", ["--describe", "messages.getHistory", "--layer", "181"])
        #expect(old.status == 0)
        let folder = try TemporaryFolder()
        let text =
            "---types---\nanswer#12345678 text:string = Answer;\n---functions---\nask#87654321 text:string = Answer;\n"
        try text.write(toFile: folder("own.tl"), atomically: true, encoding: .utf8)
        let own = try await ToolRun.run("tg-call", ["--list", "*", "--schema", folder("own.tl")])
        #expect(own.lines.contains("ask"))
        let none = try await ToolRun.run("tg-call", ["--list", "*", "--layer", "3"])
        #expect(none.status == 78 && none.errors.contains("229, 201, 181"))
    }

    @Test(
        arguments: [
            (["messages.getHistroy"], "did you mean messages.getHistory"), (["getHistory"], "messages.getHistory"),
            ([], "no method"), (["help.getConfig", "--each"], "only one of"), (["help.getConfig", "{}", "x"], "x"),
            (["--each", "--pretty"], "--pretty"), (["help.getConfig", "--json"], "--json"),
            (["help.getConfig", "--wait-flood", "soon"], "--wait-flood"),
        ])
    func `Wrong usage is exit status 64 with a hint`(_ arguments: [String], _ told: String) async throws {
        let result = try await ToolRun.run("tg-call", arguments)
        #expect(result.status == 64 && result.output.isEmpty)
        #expect(result.errors.contains(told), "\(result.errors)")
    }

    @Test func `Without a session the tool explains how to log in and still checks the call`() async throws {
        let none = try await ToolRun.run("tg-call", ["help.getConfig"])
        #expect(none.status == 78 && none.errors.contains("--session"))
        let unknown = try await ToolRun.run("tg-call", ["help.getKonfig"])
        #expect(unknown.status == 64 && unknown.errors.contains("help.getConfig"))
        let other = try await ToolRun.run("tg-call", ["help.getConfig", "--session", "bob"])
        #expect(other.status == 78 && other.errors.contains("tg-session login bob"))
    }
}
