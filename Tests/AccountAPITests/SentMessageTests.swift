import JSON
import Testing

@testable import AccountAPI

@Suite struct SentMessageTests {
    private let own: Int64 = 7

    private func message(_ id: Int64, _ text: String) -> JSON {
        [
            "_": "updateNewMessage",
            "message": [
                "_": "message", "out": true, "id": .integer(id), "date": 1_700_000_000, "message": .string(text),
                "peer_id": ["_": "peerUser", "user_id": "42"],
            ],
        ]
    }

    @Test func `The answer's message is found by its random id`() {
        let answer: JSON = [
            "_": "updates",
            "updates": [
                ["_": "updateMessageID", "id": 8, "random_id": "111"],
                ["_": "updateMessageID", "id": 9, "random_id": "222"],
                message(8, "another"), message(9, "mine"),
            ],
        ]
        let sent = SentMessage(answer: answer, to: 42, ["random_id": "222"], own: own).json
        #expect(sent["message_id"] == 9 && sent["text"] == "mine" && sent["chat"]?["id"] == 42)
    }

    @Test(arguments: [(42, 42), (-5, -5), (-1_000_000_000_005, -1_000_000_000_005)])
    func `A short answer becomes a message of the chat that was named`(_ chat: Int64, _ id: Int64) {
        let answer: JSON = ["_": "updateShortSentMessage", "id": 9, "date": 1_700_000_000, "out": true]
        let sent = SentMessage(answer: answer, to: .integer(chat), ["message": "text"], own: own).json
        #expect(sent["message_id"] == 9 && sent["chat"]?["id"]?.int == id)
    }

    @Test func `A short answer keeps the text that was sent`() {
        let answer: JSON = ["_": "updateShortSentMessage", "id": 9, "date": 1_700_000_000, "out": true]
        #expect(SentMessage(answer: answer, to: "me", ["message": "text"], own: own).json["text"] == "text")
        #expect(SentMessage(answer: answer, to: "me", [:], own: own).json["chat"]?["id"]?.int == own)
    }

    @Test func `An answer without a message leaves the id and the chat`() {
        let answer: JSON = [
            "_": "updates", "updates": [["_": "updateMessageID", "id": 9, "random_id": 222]],
        ]
        let sent = SentMessage(answer: answer, to: 42, ["random_id": "222"], own: own).json
        #expect(sent["message_id"] == 9 && sent["chat"]?["id"] == 42)
        let edited = SentMessage(answer: ["_": "updates", "updates": []], to: 42, ["id": 3], own: own).json
        #expect(edited["message_id"] == 3)
    }

    @Test func `A chat that was named by its username has no id in a short answer`() {
        let answer: JSON = ["_": "updateShortSentMessage", "id": 9, "date": 1_700_000_000]
        let sent = SentMessage(answer: answer, to: "@name", [:], own: own).json
        #expect(sent["message_id"] == 9 && sent["chat"]?["id"] == nil)
    }

    @Test(
        arguments: [
            ["_": "updates"], ["_": "updatesTooLong"], ["updates": "x"], [:],
            ["_": "updates", "updates": [1, .null, [:]]],
        ] as [JSON])
    func `An unexpected answer is not a failure`(_ answer: JSON) {
        #expect(SentMessage(answer: answer, to: 42, ["random_id": "1"], own: own).json["chat"]?["id"] == 42)
    }
}
