import Envelope
import JSON
import Payloads
import Testing

struct UnusedKeyTests {
    private func unused(_ action: TelegramAction, _ payload: JSONObject) throws -> [String] {
        try TelegramCommand(payload, type: TelegramCommand.type(of: action)).unusedKeys
    }

    @Test func `A key without effect is told, and null counts as absent`() throws {
        #expect(
            try unused(.send, ["text": "a", "silent": "yes", "colour": 1, "thread_id": .null]) == ["silent", "colour"])
        #expect(try unused(.sendVideo, ["path": "/a", "url": "https://x", "width": 5]) == ["path"])
        #expect(try unused(.pin, ["message_id": 5]) == [])
    }

    @Test func `Every key that commands write is among the known ones`() throws {
        let options = MessageOptions(
            parseMode: "HTML", replyTo: 1, threadID: 2, isSilent: true, isProtected: true, scheduledAt: 1)
        let bodies: [TelegramCommand.Body] = [
            .send(TextMessage("a", options, showsLinkPreview: true)), .react(emoji: "👍", messageID: 1, text: "a"),
            .file(FileMessage(.video, .path("/a"), caption: "a", options, fileName: "a", contentType: "a/b", key: "k")),
            .edit(messageID: 1, text: "a", parseMode: "HTML"), .delete(messageID: 1), .pin(messageID: 1),
        ]
        for body in bodies {
            let written = TelegramCommand(body, chat: ChatID(5)).json.members.map(\.key)
            #expect(Set(written).subtracting(TelegramCommand.keys) == [], "\(body)")
        }
    }
}
