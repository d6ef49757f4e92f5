import Accounts
import JSON
import TestSupport
import Testing

@testable import Updates

/// What is written directly equals what the trees of values show.
@Suite(.timeLimit(.minutes(3))) struct PageWriterTests {
    private func compare(_ text: [UInt8], own: Int64) throws -> (messages: Int, direct: Int) {
        let parser = JSONParser()
        return try text.withUnsafeBytes { bytes in
            let answer = try #require(try parser.view(bytes)["result"])
            let writer = PageWriter(own: own, answer: answer)
            let shape = PageShape(own: own, peers: Peers(of: answer.json))
            var counts = (messages: 0, direct: 0)
            for message in answer["messages"]?.elements ?? answer.none {
                writer.output.clear()
                let written = writer.write(message)
                let shown = shape.message(message.json)
                #expect((written == nil) == (shown == nil) && written?.isOutgoing == shown?.isOutgoing)
                guard let shown else { continue }
                var payload = JSONObject([.init(key: shown.kind, value: shown.body)])
                payload["counters"] = PageShape.counters(of: message.json)
                let expected = String(JSON.object(payload).text.dropFirst().dropLast())
                let found = String(decoding: writer.output.bytes, as: UTF8.self)
                #expect(found == expected, "\(message.json.text)")
                counts.messages += 1
                if written?.isDirect == true { counts.direct += 1 }
            }
            return counts
        }
    }

    @Test func `Messages of every kind are written as they are shown`() async throws {
        let alice = try await AccountFolder(try await MTProtoEmulator())
        var calls = ""
        for (chat, kind, more) in [
            (-1_000_000_000_500, "channel", [:]), (-1_000_000_000_501, "supergroup", ["topics": 3]),
            (-700, "group", [:]),
            (77, "private", [:]),
        ] as [(Int64, String, JSONObject)] {
            var order: JSONObject = [
                "account": .integer(MTProtoEmulator.alice), "chat_id": .integer(chat), "chat_type": .string(kind),
                "count": 1500, "seed": 3, "holes": 0.1,
            ]
            for member in more.members { order[member.key] = member.value }
            try await alice.emulator.control("seeded", order)
            for page in 0..<15 {
                let parameters: JSONObject = [
                    "peer": .integer(chat), "offset_id": 0, "offset_date": 0, "add_offset": .integer(Int64(page * 100)),
                    "limit": 100, "max_id": 0, "min_id": 0, "hash": 0,
                ]
                calls += JSON.object(["method": "messages.getHistory", "params": .object(parameters)]).text + "\n"
            }
        }
        let result = try await alice.run("tg-call", ["--each"], input: calls)
        #expect(result.status == 0, "\(result.errors.suffix(2000))")
        var (messages, direct) = (0, 0)
        for line in result.lines {
            let counts = try compare(Array(line.utf8), own: MTProtoEmulator.alice)
            (messages, direct) = (messages + counts.messages, direct + counts.direct)
        }
        #expect(messages > 4000 && direct * 100 > messages * 95, "\(direct) of \(messages)")
    }

    @Test func `Rare and broken parts are shown as by the trees`() throws {
        let plain: JSONObject = [
            "_": "message", "id": 5, "peer_id": ["_": "peerChannel", "channel_id": 9], "date": 1000, "message": "text",
        ]
        let changes: [JSONObject] = [
            [:], ["message": ""], ["message": "\u{1}\"\\ 😀 \n"], ["date": 1.5], ["edit_date": 7],
            ["edit_date": 7, "edit_hide": true],
            [
                "entities": [
                    ["_": "messageEntityBold", "offset": 0, "length": 2],
                    ["_": "messageEntityUnknown", "offset": 0, "length": 2],
                ]
            ],
            ["entities": [["_": "messageEntityCustomEmoji", "offset": 0, "length": 2, "document_id": "123"]]],
            ["entities": [["_": "messageEntityPre", "offset": 0, "length": 2, "language": ""]]],
            ["media": ["_": "messageMediaPhoto"]], ["media": ["_": "messageMediaUnsupported"]],
            ["media": ["_": "messageMediaWebPage", "manual": true, "webpage": ["_": "webPage", "url": "u"]]],
            ["media": ["_": "messageMediaGeo", "geo": ["_": "geoPoint", "lat": 1.5, "long": 2]]],
            ["fwd_from": ["_": "messageFwdHeader", "date": 3]],
            [
                "fwd_from": [
                    "_": "messageFwdHeader", "date": 3, "from_name": "N",
                    "saved_from_peer": ["_": "peerUser", "user_id": 1],
                ]
            ],
            ["reply_to": ["_": "messageReplyHeader", "reply_to_msg_id": 3, "quote_text": "q"]],
            ["reply_to": ["_": "messageReplyHeader", "reply_to_msg_id": 3, "forum_topic": true]],
            [
                "reply_to": [
                    "_": "messageReplyHeader", "reply_to_msg_id": 3,
                    "reply_to_peer_id": ["_": "peerUser", "user_id": 1],
                ]
            ],
            ["reply_to": ["_": "messageReplyStoryHeader", "peer": ["_": "peerUser", "user_id": 1], "story_id": 3]],
            ["_": "messageEmpty"], ["_": "messageService", "action": ["_": "messageActionPinMessage"]], ["id": "7"],
            ["peer_id": "9"], ["from_id": ["_": "peerUser", "user_id": "9007199254740993"]], ["via_bot_id": 4],
            ["grouped_id": "9007199254740993"], ["noforwards": true],
            ["reply_markup": ["_": "replyInlineMarkup", "rows": []]],
            ["views": 4, "forwards": 0, "replies": ["_": "messageReplies", "replies": 3]],
            ["reactions": ["results": [["reaction": ["_": "reactionPaid"], "count": 2]]]],
            ["reactions": ["results": [["reaction": ["_": "reactionEmoji", "emoticon": "👍"], "count": 2]]]],
        ]
        for kind in ["broadcast", "megagroup"] {
            let channel: JSON = .object([
                "_": "channel", "id": 9, "title": "T", kind: true, "usernames": [["username": "u", "active": true]],
            ])
            for change in changes {
                var message = plain
                for member in change.members { message[member.key] = member.value }
                let line: JSON = .object([
                    "result": .object([
                        "messages": .array([.object(message)]), "users": [["_": "user", "id": 1, "bot": true]],
                        "chats": .array([channel]),
                    ])
                ])
                _ = try compare(line.bytes, own: 42)
            }
        }
    }
}
