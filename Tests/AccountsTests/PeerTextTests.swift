import JSON
import TestSupport
import Testing

@testable import Accounts

@Suite struct PeerTextTests {
    private func found(_ text: String) -> [String]? {
        Array(text.utf8).withUnsafeBytes { bytes in
            PeerText.places(in: bytes)?.map { String(decoding: bytes[$0], as: UTF8.self) }
        }
    }

    @Test func `Peers are found at any depth, and nothing else is`() {
        let user = #"{"_":"user","id":1,"first_name":"a}\"{\\"}"#
        let chat = #"{"_":"chatForbidden","id":2,"photo":{"_":"chatPhotoEmpty"}}"#
        #expect(found(#"{"_":"updates","users":[\#(user)],"x":{"chats":[\#(chat)]}}"#) == [user, chat])
        #expect(found(#"{"_":"channelFull","text":"{\"_\":\"user\"}","photo":{"_":"chatPhoto"}}"#) == [])
        #expect(found("") == [] && found("_") == [] && found(#""_":"#) == [])
    }

    @Test func `Text that has to be parsed is told apart`() {
        #expect(found(#"{"id":1,"_":"user"}"#) == nil)
        #expect(found(#"{"_":"user","id":1"#) == nil)
        #expect(found(#""_":"user""#) == nil)
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
