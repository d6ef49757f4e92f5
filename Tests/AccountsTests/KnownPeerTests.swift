import JSON
import TestSupport
import Testing

@testable import Accounts

@Suite struct KnownPeerTests {
    private func found(_ text: String) throws -> [JSON] {
        var found: [JSON] = []
        let parser = JSONParser()
        try Array(text.utf8).withUnsafeBytes { bytes in
            KnownPeer.forEach(in: try parser.view(bytes)) { found.append($0.json) }
        }
        return found
    }

    @Test func `Peers are found at any depth, and nothing else is`() throws {
        let user = #"{"_":"user","id":1,"first_name":"a}\"{\\"}"#
        let chat = #"{"_":"chatForbidden","id":2,"photo":{"_":"chatPhotoEmpty"}}"#
        let late = #"{"id":3,"_":"channel"}"#
        let peers = try [user, chat, late].map { try JSON(parsing: $0) }
        #expect(try found(#"{"_":"updates","users":[\#(user)],"x":{"chats":[\#(chat)],"y":\#(late)}}"#) == peers)
        #expect(try found(#"{"_":"channelFull","text":"{\"_\":\"user\"}","photo":{"_":"chatPhoto"}}"#) == [])
        #expect(try found("[]") == [] && found("7") == [] && found(#"{"_":7}"#) == [])
    }

    @Test func `Objects are told apart by all their parts`() throws {
        let texts = [
            #"{"_":"user","id":1}"#, #"{"_":"user","id":2}"#, #"{"_":"user","id":"1"}"#, #"{"_":"user","id":1.0}"#,
            #"{"_":"user","id":1,"bot":true}"#, #"{"_":"user","id":1,"min":true}"#, #"{"_":"user","id":1,"bot":false}"#,
            #"{"_":"user","id":1,"names":["a","b"]}"#, #"{"_":"user","id":1,"names":["a"],"b":[]}"#,
            #"{"_":"user","id":1,"name":"ab"}"#, #"{"_":"user","id":1,"name":"ab\u0000"}"#,
            #"{"_":"user","id":1,"name":"12345678"}"#, #"{"_":"user","id":1,"name":"123456781"}"#,
        ]
        let parser = JSONParser()
        func hash(_ text: String, seed: UInt64 = 5) throws -> UInt64 {
            try Array(text.utf8).withUnsafeBytes { try parser.view($0).hash(seed: seed) }
        }
        #expect(Set(try texts.map { try hash($0) }).count == texts.count)
        for text in texts { #expect(try hash(text) == hash(text) && hash(text) != hash(text, seed: 6)) }
    }

    @Test func `An account looks up so many names a day`() throws {
        let folder = try TemporaryFolder()
        let table = try PeerTable.open(folder("a.peers"), limit: 100)
        for second in 0..<3 { #expect(try table.countResolution(most: 3, at: 1000 + Int64(second))) }
        #expect(try !table.countResolution(most: 3, at: 1003))
        #expect(try table.countResolution(most: 3, at: 1000 + 86_400))
        #expect(try !table.countResolution(most: 3, at: 1000 + 86_400))
        // A clock that was set back does not lock the account out.
        #expect(try table.countResolution(most: 3, at: 5))
    }
}
