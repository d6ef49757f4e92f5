import Foundation
import JSON
import Logging
import MTProto
import TL
import TestSupport
import Testing

@testable import Accounts

@Suite struct SentMessagesTests {
    private static let channel = PeerID.channel(5).botAPI
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func open() throws -> SentMessages {
        try SentMessages(path: folder("alice.sent"), log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private func begin(_ sent: SentMessages, _ more: JSONObject, _ method: String = "messages.sendMessage") async
        -> SentMessages.Sending?
    {
        var parameters: JSONObject = ["peer": ["_": "inputPeerUser", "user_id": "77", "access_hash": "1"]]
        for member in more.members { parameters[member.key] = member.value }
        return await sent.begin(method, parameters, own: 42)
    }

    /// Makes the update's message, which the account wrote in the chat with the user 77.
    private func message(_ id: Int64, _ text: String = "", _ more: JSONObject = [:]) -> JSON {
        var message: JSONObject = [
            "_": "message", "out": true, "id": .integer(id), "peer_id": ["_": "peerUser", "user_id": "77"],
            "message": .string(text), "date": .integer(Timestamp.now.microseconds / 1_000_000),
        ]
        for member in more.members { message[member.key] = member.value }
        return .object(message)
    }

    private func short(_ id: Int64) -> TLValue {
        TLValue(json: ["_": "updateShortSentMessage", "id": .integer(id), "date": 1, "out": true])
    }

    @Test func `What a program sent is known by its id, also to the next process, and other messages are not`()
        async throws
    {
        var sent = try open()
        let sending = await begin(sent, ["message": ".vdl https://a.example/", "random_id": "1"])
        await sent.end(sending, short(7))
        for _ in 1...2 {
            #expect(await sent.contains(message(7, "edited since")))
            // The same words, written by hand.
            #expect(await !sent.contains(message(8, ".vdl https://a.example/")))
            sent = try open()
        }
    }

    @Test func `Each channel numbers its messages separately`() async throws {
        let sent = try open()
        let peer: JSONObject = ["peer": ["_": "inputPeerChannel", "channel_id": "5", "access_hash": "1"]]
        let sending = await begin(sent, JSONObject(peer.members + [.init(key: "random_id", value: "1")]))
        let place: JSON = ["_": "peerChannel", "channel_id": "5"]
        let answer: JSON = [
            "_": "updates",
            "updates": [
                ["_": "updateMessageID", "id": 7, "random_id": "1"],
                ["_": "updateNewChannelMessage", "message": message(7, "x", ["peer_id": place])],
            ],
        ]
        await sent.end(sending, TLValue(json: answer))
        #expect(await sent.contains(message(7, "x", ["peer_id": place])))
        #expect(await !sent.contains(message(7, "x")))
    }

    @Test func `A message whose id never became known is known by its text, once`() async throws {
        _ = await begin(try open(), ["message": " .vdl https://a.example/\n", "random_id": "1"])
        // The process has ended. Telegram has removed the spaces around the text.
        let sent = try open()
        #expect(await !sent.contains(message(7, ".vdl https://b.example/")))
        #expect(await !sent.contains(message(8, ".vdl https://a.example/", ["date": 1_000_000])))
        #expect(await sent.contains(message(9, ".vdl https://a.example/")))
        #expect(await sent.contains(message(9, ".vdl https://a.example/")))
        #expect(await !sent.contains(message(10, ".vdl https://a.example/")))
    }

    @Test func `A lost answer leaves the message in doubt and a refusal does not`() async throws {
        let sent = try open()
        let texts = ["one", "two", "three"]
        let failures: [any Error] = [
            MTProtoError(.disconnected, "x"), TelegramRPCError(code: 400, text: "CHAT_WRITE_FORBIDDEN"),
            TelegramRPCError(code: 500, text: "INTERNAL"),
        ]
        for (text, failure) in zip(texts, failures) {
            let sending = await begin(sent, ["message": .string(text), "random_id": "1"])
            await sent.end(sending, failure: failure)
        }
        var known: [Bool] = []
        for (index, text) in texts.enumerated() { known.append(await sent.contains(message(Int64(index), text))) }
        #expect(known == [true, false, true])
    }

    @Test func `A question about a message waits for the call that may have sent it`() async throws {
        let sent = try open()
        let sending = await begin(sent, ["message": "something else", "random_id": "1"])
        async let isKnown = sent.contains(message(7, "as Telegram shows it"))
        await Task.yield()
        await sent.end(sending, short(7))
        #expect(await isKnown)
    }

    @Test func `Forwarded, edited, scheduled and several messages are known`() async throws {
        let sent = try open()
        let forward: JSONObject = ["to_peer": ["_": "inputPeerSelf"], "random_id": ["1", "2"]]
        _ = await begin(sent, forward, "messages.forwardMessages")
        let own: JSONObject = ["peer_id": ["_": "peerUser", "user_id": "42"]]
        // The texts of forwarded messages are not known before.
        for id in 1...3 as ClosedRange<Int64> {
            #expect(await sent.contains(message(id, "\(id)", own)) == (id < 3))
        }
        let edit = await begin(sent, ["id": 5, "message": ".vdl x"], "messages.editMessage")
        await sent.end(edit, TLValue(json: ["_": "updates", "updates": []]))
        #expect(await sent.contains(message(5, ".vdl x")))
        let later = Timestamp.now.microseconds / 1_000_000 + 86_400
        let scheduled = await begin(
            sent, ["message": "later", "random_id": "1", "schedule_date": .integer(later)])
        await sent.end(scheduled, TLValue(json: ["_": "updates", "updates": []]))
        #expect(await !sent.contains(message(20, "later")))
        #expect(await sent.contains(message(21, "later", ["date": .integer(later + 1)])))
        let album: JSONObject = ["multi_media": [["message": "a"], ["message": "b"]]]
        _ = await begin(sent, album, "messages.sendMultiMedia")
        for (id, text) in [(30, "b"), (31, "a")] as [(Int64, String)] {
            #expect(await sent.contains(message(id, text)))
        }
    }

    @Test func `Calls that send nothing are not noted`() async throws {
        let sent = try open()
        #expect(await begin(sent, ["id": [1]], "messages.readHistory") == nil)
        #expect(await !sent.contains(["_": "messageEmpty"]))
    }

    @Test func `A damaged file is replaced`() async throws {
        try String(repeating: "x", count: 5000).write(toFile: folder("alice.sent"), atomically: true, encoding: .utf8)
        let sent = try open()
        let sending = await begin(sent, ["message": "x", "random_id": "1"])
        await sent.end(sending, short(7))
        #expect(await sent.contains(message(7)))
    }
}
