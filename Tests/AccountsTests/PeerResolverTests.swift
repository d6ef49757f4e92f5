@testable import Accounts
import JSON
import Logging
import MTProto
import Synchronization
import System
import TL
import TestSupport
import Testing

/// A book, and an account that answers what it is told to.
private final class Asked: Sendable {
    static let schema = Result { try TLSchema() }

    private let folder: TemporaryFolder
    private let book: PeerStore
    private let answers: [String: String]
    private let made = Mutex<[String]>([])
    var calls: [String] { made.withLock { $0 } }

    init(_ answers: [String: String] = [:], known: String = "[]") async throws {
        folder = try TemporaryFolder()
        book = try PeerStore(path: folder("a.peers"), log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        self.answers = answers
        await book.note(TLValue(text: Array(known.utf8)))
    }

    func expand(_ text: String, of method: String, isBot: Bool = false) async throws -> String {
        let parameters = try JSON(parsing: text).object ?? [:]
        let identity = AccountIdentity(userID: 42, isBot: isBot)
        let source = PeerSource(account: identity, timeout: .seconds(60)) { method, parameters in
            self.made.withLock { $0.append("\(method) \(parameters["username"]?.string ?? "")") }
            // Others have the time to come in between.
            try await Task.sleep(for: .milliseconds(5))
            guard let answer = self.answers[parameters["username"]?.string ?? method] else {
                throw TelegramRPCError(code: 400, text: "USERNAME_NOT_OCCUPIED")
            }
            if answer.hasPrefix("FLOOD") { throw TelegramRPCError(code: 420, text: answer) }
            return TLValue(text: Array(answer.utf8))
        }
        let expanded = try await book.expanding(parameters, of: method, in: Asked.schema.get(), source)
        return JSON.object(expanded).text
    }

    /// Returns the error of an expansion that must fail.
    func refusal(_ text: String, of method: String) async throws -> any ReportableError {
        do {
            let expanded = try await expand(text, of: method)
            throw AccountError(.unexpectedAnswer, "taken: \(expanded)")
        } catch let error as any ReportableError { return error }
    }
}

@Suite struct PeerExpansionTests {
    private static let known = """
        [{"_":"user","id":77,"access_hash":"9007199254740993","username":"bob"},{"_":"chat","id":6,"title":"Friends"},\
        {"_":"channel","id":5,"access_hash":20,"title":"News","username":"news"}]
        """
    private static let ann = """
        {"_":"contacts.resolvedPeer","peer":{"_":"peerUser","user_id":9},"chats":[],"users":[{"_":"user","id":9,"access_hash":90,\
        "username":"ann"}]}
        """

    @Test func `Short forms become the type that each parameter expects`() async throws {
        let asked = try await Asked(known: PeerExpansionTests.known)
        let bob = #""user_id":77,"access_hash":"9007199254740993""#
        let cases = [
            ("messages.setTyping", #"{"peer":"@bob"}"#, #"{"peer":{"_":"inputPeerUser",\#(bob)}}"#),
            ("messages.setTyping", #"{"peer":"me"}"#, #"{"peer":{"_":"inputPeerSelf"}}"#),
            ("messages.setTyping", #"{"peer":42}"#, #"{"peer":{"_":"inputPeerSelf"}}"#),
            ("messages.setTyping", #"{"peer":-6}"#, #"{"peer":{"_":"inputPeerChat","chat_id":6}}"#),
            ("messages.setTyping", #"{"peer":-7}"#, #"{"peer":{"_":"inputPeerChat","chat_id":7}}"#),
            (
                "messages.setTyping", #"{"peer":"https://t.me/news/12"}"#,
                #"{"peer":{"_":"inputPeerChannel","channel_id":5,"access_hash":20}}"#
            ),
            (
                "users.getUsers", #"{"id":["self","77",{"_":"inputUserEmpty"}]}"#,
                #"{"id":[{"_":"inputUserSelf"},{"_":"inputUser",\#(bob)},{"_":"inputUserEmpty"}]}"#
            ),
            (
                "channels.getChannels", #"{"id":[-1000000000005]}"#,
                #"{"id":[{"_":"inputChannel","channel_id":5,"access_hash":20}]}"#
            ),
            (
                "messages.getPeerDialogs", #"{"peers":["bob"]}"#,
                #"{"peers":[{"_":"inputDialogPeer","peer":{"_":"inputPeerUser",\#(bob)}}]}"#
            ),
            (
                "account.getNotifySettings", #"{"peer":"tg://user?id=77"}"#,
                #"{"peer":{"_":"inputNotifyPeer","peer":{"_":"inputPeerUser",\#(bob)}}}"#
            ),
            (
                "invokeWithoutUpdates", #"{"query":{"_":"messages.setTyping","peer":"@bob"}}"#,
                #"{"query":{"_":"messages.setTyping","peer":{"_":"inputPeerUser",\#(bob)}}}"#
            ),
        ]
        for (method, written, wanted) in cases {
            #expect(try await asked.expand(written, of: method) == wanted)
        }
        #expect(asked.calls == [])
    }

    @Test func `An unknown user name is resolved once for all callers and then cached`() async throws {
        let asked = try await Asked(["ann": PeerExpansionTests.ann])
        try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<20 { group.addTask { try await asked.expand(#"{"id":["@Ann"]}"#, of: "users.getUsers") } }
            for try await expanded in group {
                #expect(expanded == #"{"id":[{"_":"inputUser","user_id":9,"access_hash":90}]}"#)
            }
        }
        #expect(try await asked.expand(#"{"peer":9}"#, of: "messages.setTyping").contains("inputPeerUser"))
        #expect(asked.calls == ["contacts.resolveUsername ann"])
    }

    @Test func `The absence of a user name is cached`() async throws {
        let asked = try await Asked()
        for _ in 0..<3 {
            let error = try await asked.refusal(#"{"id":["@me","@nobody_at_all"]}"#, of: "users.getUsers")
            #expect(error.message == "id[1]: no user, group or channel has the name @nobody_at_all")
            #expect(error.exitStatus == .no)
        }
        #expect(asked.calls == ["contacts.resolveUsername nobody_at_all"])
    }

    @Test func `A flood wait for resolving names reaches the caller`() async throws {
        let asked = try await Asked(["ann": "FLOOD_WAIT_5000"])
        let error = try await asked.refusal(#"{"peer":"@ann"}"#, of: "messages.setTyping")
        #expect(error.exitStatus == .tryAgain)
        #expect((error as? TelegramRPCError)?.value == 5000)
    }

    @Test func `An unknown id is searched among the dialogs once`() async throws {
        let asked = try await Asked([
            "messages.getDialogs": #"{"_":"x","users":[{"_":"user","id":9,"access_hash":90}]}"#
        ])
        let ann = #"{"peer":{"_":"inputPeerUser","user_id":9,"access_hash":90}}"#
        #expect(try await asked.expand(#"{"peer":9}"#, of: "messages.setTyping") == ann)
        let error = try await asked.refusal(#"{"peer":10}"#, of: "messages.setTyping")
        #expect(error.message.contains("peer: the user 10 is unknown to this account"))
        #expect(error.exitStatus == .no)
        #expect(asked.calls == ["messages.getDialogs "])
    }

    @Test func `A min peer is resolved by its user name`() async throws {
        let asked = try await Asked(
            ["ann": PeerExpansionTests.ann, "messages.getDialogs": "{}"],
            known: #"{"_":"user","id":9,"min":true,"access_hash":1,"username":"ann"}"#)
        let expanded = try await asked.expand(#"{"peer":9}"#, of: "messages.setTyping")
        #expect(expanded == #"{"peer":{"_":"inputPeerUser","user_id":9,"access_hash":90}}"#)
        #expect(asked.calls == ["messages.getDialogs ", "contacts.resolveUsername ann"])
    }

    @Test func `A bot needs no access hash for a known id`() async throws {
        let asked = try await Asked()
        let expanded = try await asked.expand(#"{"peer":9}"#, of: "messages.setTyping", isBot: true)
        #expect(expanded == #"{"peer":{"_":"inputPeerUser","user_id":9,"access_hash":0}}"#)
        #expect(asked.calls == [])
    }

    @Test(
        arguments: [
            ("channels.getChannels", #"{"id":["me"]}"#, "id[0]: is the account itself; InputChannel cannot hold it"),
            ("channels.getChannels", #"{"id":["@bob"]}"#, "id[0]: is a user; InputChannel cannot hold it"),
            ("users.getUsers", #"{"id":[-6]}"#, "id[0]: is a basic group; InputUser cannot hold it"),
            ("messages.setTyping", #"{"peer":"+15550100042"}"#, "peer: is a phone number, not a peer"),
            ("messages.setTyping", #"{"peer":"t.me/+abcdef"}"#, "peer: is an invitation, not a peer"),
        ])
    func `A value that is invalid for its parameter is refused with its path`(
        _ method: String, _ written: String, _ told: String
    )
        async throws
    {
        let error = try await Asked(known: PeerExpansionTests.known).refusal(written, of: method)
        #expect(error.message.hasPrefix(told))
        #expect(error.exitStatus == .malformedInput)
    }
}
