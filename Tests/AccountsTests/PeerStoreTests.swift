@testable import Accounts
import Foundation
import JSON
import Logging
import TL
import TestSupport
import Testing

@Suite struct PeerStoreTests {
    private let folder: TemporaryFolder
    private let book: PeerStore

    init() throws {
        folder = try TemporaryFolder()
        book = try PeerStoreTests.open(folder)
    }

    private static func open(_ folder: TemporaryFolder, account: Int64? = nil) throws -> PeerStore {
        try PeerStore(
            path: folder("alice.peers"), account: account, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func note(_ text: String) async { await book.note(TLValue(text: Array(text.utf8))) }

    @Test func `Every peer in a result is remembered, without the phone number`()
        async throws
    {
        await note(
            """
            {"_":"messages.messages","messages":[{"_":"message","id":1}],"chats":[{"_":"channel","id":5,"title":"News",\
            "broadcast":true,"access_hash":"-9007199254740999","username":"news","photo":{"_":"chatPhotoEmpty"}},\
            {"_":"chat","id":6,"title":"Friends","participants_count":2}],"users":[{"_":"user","id":77,"access_hash":123,\
            "first_name":"Bob","bot":true,"phone":"15550100077"}]}
            """)
        let channel = try await book.known(botAPI: -1_000_000_000_005)
        #expect(channel?["access_hash"] == "-9007199254740999")
        #expect(channel?["_"] == "channel" && channel?["title"] == "News" && channel?["username"] == "news")
        #expect(try await book.known(botAPI: -6)?["title"] == "Friends")
        let bob = try await book.known(botAPI: 77)
        #expect(bob?["first_name"] == "Bob" && bob?["bot"] == true)
        #expect(bob?["phone"] == nil)
        #expect(try await book.known(botAPI: 78) == nil)
    }

    @Test func `A min peer never replaces a complete one`() async throws {
        await note(#"{"_":"user","id":77,"min":true,"access_hash":1,"first_name":"B"}"#)
        #expect(try await book.known(botAPI: 77)?["first_name"] == "B")
        #expect(try await book.known(botAPI: 77)?["access_hash"] == nil)
        await note(#"{"_":"user","id":77,"access_hash":123,"first_name":"Bob"}"#)
        await note(#"{"_":"user","id":77,"min":true,"access_hash":1,"first_name":"B"}"#)
        let bob = try await book.known(botAPI: 77)
        #expect(bob?["access_hash"] == 123 && bob?["first_name"] == "Bob")
        await note(#"{"_":"channel","id":5,"access_hash":9,"title":"News","username":"news"}"#)
        await note(#"{"_":"channelForbidden","id":5,"access_hash":9,"title":"News"}"#)
        #expect(try await book.known(botAPI: -1_000_000_000_005)?["username"] == "news")
    }

    @Test func `A user name belongs to the peer that used it last`() async throws {
        await note(#"{"_":"user","id":1,"access_hash":10,"username":"Ann"}"#)
        #expect(try await book.owner(of: "ann") == .peer(1))
        let more = #"[{"_":"username","username":"ann","active":true},{"_":"username","username":"old"}]"#
        await note(#"[{"_":"channel","id":2,"access_hash":20,"title":"A","usernames":\#(more)}]"#)
        #expect(try await book.owner(of: "ann") == .peer(-1_000_000_000_002))
        #expect(try await book.owner(of: "old") == .unknown)
        await note(#"{"_":"channel","id":2,"access_hash":20,"title":"A","username":"new_name"}"#)
        #expect(try await book.owner(of: "ann") == .unknown)
        #expect(try await book.owner(of: "new_name") == .peer(-1_000_000_000_002))
    }

    @Test func `The peer book survives the process and only its user can read it`() async throws {
        await note(#"{"_":"user","id":77,"access_hash":123,"username":"bob"}"#)
        let again = try PeerStoreTests.open(folder)
        #expect(try await again.known(botAPI: 77)?["access_hash"] == 123)
        for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            let mode = try FileManager.default.attributesOfItem(atPath: folder(name))[.posixPermissions] as? Int
            #expect(mode == 0o600, "\(name)")
        }
    }

    @Test func `A session of another account starts a new peer book`() async throws {
        await note(#"[{"_":"user","id":42,"self":true,"access_hash":1},{"_":"user","id":77,"access_hash":123}]"#)
        let same = try PeerStoreTests.open(folder, account: 42)
        #expect(try await same.known(botAPI: 77) != nil)
        await note(#"[{"_":"user","id":43,"self":true,"access_hash":1}]"#)
        #expect(try await book.known(botAPI: 77) == nil)
        #expect(try await book.known(botAPI: 43) != nil)
        let other = try PeerStoreTests.open(folder, account: 44)
        #expect(try await other.known(botAPI: 43) == nil)
    }

    @Test(arguments: ["no database at all, but long enough to be looked at as one", "SQLite format 3\0 and what not"])
    func `A damaged peer book is replaced`(_ rubbish: String) async throws {
        let other = try TemporaryFolder()
        try Data((rubbish + String(repeating: "x", count: 5000)).utf8).write(to: URL(filePath: other("alice.peers")))
        let book = try PeerStoreTests.open(other)
        await book.note(TLValue(text: Array(#"{"_":"user","id":77,"access_hash":123}"#.utf8)))
        #expect(try await book.known(botAPI: 77) != nil)
    }

    @Test func `A full peer book forgets the peers seen longest ago and their names`() throws {
        let table = try PeerTable.open(folder("small.peers"), limit: 100)
        for number in 1...150 {
            let json: JSONObject = [
                "_": "user", "id": .integer(Int64(number)), "access_hash": 1, "username": .string("user_\(number)"),
            ]
            try table.note([KnownPeer(json)].compactMap { $0 }, at: 1_000_000 + Int64(number) * 3600)
        }
        let now: Int64 = 1_000_000 + 150 * 3600
        #expect(try table.peer(150) != nil && table.peer(60) != nil)
        #expect(try table.peer(1) == nil && table.peer(49) == nil)
        #expect(try table.owner(of: "user_150", at: now) == .peer(150))
        #expect(try table.owner(of: "user_1", at: 1_000_001) == .unknown)
    }

    @Test func `A user name is cached for a day, its absence for minutes`() throws {
        let table = try PeerTable.open(folder("names.peers"), limit: 100)
        try table.setName("ann", 1, at: 1000)
        try table.setName("nobody", nil, at: 1000)
        #expect(try table.owner(of: "ann", at: 80_000) == .peer(1))
        #expect(try table.owner(of: "ann", at: 90_000) == .unknown)
        #expect(try table.owner(of: "nobody", at: 1200) == .nobody)
        #expect(try table.owner(of: "nobody", at: 1400) == .unknown)
        // The clock was set back.
        #expect(try table.owner(of: "ann", at: 10) == .unknown)
    }
}
