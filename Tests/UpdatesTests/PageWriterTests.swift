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
        try compare(changes, of: PageWriterTests.plain)
    }

    /// Compares a message with each of some changes, in a channel and in a group. Returns the places of the changes with which it is not
    /// written directly.
    @discardableResult
    private func compare(_ changes: [JSONObject], of plain: JSONObject) throws -> [Int] {
        var indirect: Set<Int> = []
        for kind in ["broadcast", "megagroup"] {
            let channel: JSON = .object([
                "_": "channel", "id": 9, "title": "T", kind: true, "usernames": [["username": "u", "active": true]],
            ])
            for (place, change) in changes.enumerated() {
                let message = plus(plain, change)
                let line: JSON = .object([
                    "result": .object([
                        "messages": .array([.object(message)]), "users": [["_": "user", "id": 1, "bot": true]],
                        "chats": .array([channel]),
                    ])
                ])
                if try compare(line.bytes, own: 42).direct == 0 { indirect.insert(place) }
            }
        }
        return indirect.sorted()
    }

    private static let plain: JSONObject = [
        "_": "message", "id": 5, "peer_id": ["_": "peerChannel", "channel_id": 9], "date": 1000, "message": "text",
    ]

    private func plus(_ object: JSONObject, _ changes: JSONObject) -> JSONObject {
        var object = object
        for member in changes.members { object[member.key] = member.value }
        return object
    }

    @Test func `Stickers are written directly, but for masks with a place and custom emoji`() throws {
        func sticker(_ attribute: JSONObject, mime: JSON = "image/webp", more: [JSON] = []) -> JSONObject {
            let sticker = plus(["_": "documentAttributeSticker", "alt": "👍"], attribute)
            let size: JSON = ["_": "photoSize", "type": "m", "w": 320, "h": 300, "size": 9000]
            return [
                "media": [
                    "_": "messageMediaDocument",
                    "document": .object([
                        "_": "document", "id": "6000000000000000001", "access_hash": "-7", "file_reference": "AQID",
                        "date": 3, "mime_type": mime, "size": 20_000, "dc_id": 2, "thumbs": .array([size]),
                        "attributes": .array(more + [.object(sticker)]),
                    ]),
                ], "message": "",
            ]
        }
        let size: JSON = ["_": "documentAttributeImageSize", "w": 512, "h": 510]
        let video: JSON = ["_": "documentAttributeVideo", "duration": 2.9, "w": 100, "h": 101]
        let direct: [JSONObject] = [
            sticker([:]), sticker([:], more: [size]), sticker(["alt": ""]), sticker(["mask": true]),
            sticker([:], mime: "application/x-tgsticker", more: [size, ["_": "documentAttributeAnimated"]]),
            sticker([:], mime: "video/webm", more: [video, size]),
            sticker(["stickerset": ["_": "inputStickerSetID", "id": "1", "access_hash": "2"]]),
            sticker(["stickerset": ["_": "inputStickerSetShortName", "short_name": "Cats"]]),
            sticker(["stickerset": ["_": "inputStickerSetEmpty"]]),
        ]
        #expect(try compare(direct, of: PageWriterTests.plain) == [])
        let coordinates: JSON = ["_": "maskCoords", "n": 1, "x": 0.5, "y": -1.5, "zoom": 2]
        let rare: [JSONObject] = [
            sticker(["mask": true, "mask_coords": coordinates]), sticker(["text_color": true]), sticker(["alt": 7]),
            sticker([:], more: [["_": "documentAttributeCustomEmoji", "alt": "😀"]]),
        ]
        #expect(try compare(rare, of: PageWriterTests.plain) == Array(rare.indices))
    }

    @Test func `Inline keyboards are written directly, and other keyboards are left out`() throws {
        func keyboard(_ rows: [[JSON]]) -> JSONObject {
            [
                "reply_markup": .object([
                    "_": "replyInlineMarkup",
                    "rows": .array(rows.map { ["_": "keyboardButtonRow", "buttons": .array($0)] }),
                ])
            ]
        }
        func button(_ kind: JSON, _ more: JSONObject = [:]) -> JSON {
            .object(plus(["_": kind, "text": "Press \"me\" 👇"], more))
        }
        let url = button("keyboardButtonUrl", ["url": "https://t.me/x?y=1&z=\"2\""])
        let login = button("keyboardButtonUrlAuth", ["url": "https://example.org", "button_id": 3])
        let data = (0...9).map { count in
            button("keyboardButtonCallback", ["data": .string(Base64.encode(Array("päge:1234".utf8.prefix(count))))])
        }
        let rare = [
            button("keyboardButtonCallback", ["data": "/wA="]), button("keyboardButtonCallback", ["data": "A"]),
            button("keyboardButtonCallback", ["data": "QR=="]), button("keyboardButtonCallback", ["data": "===="]),
            button("keyboardButtonCallback", ["data": 7]), button("keyboardButtonWebView"),
            button("keyboardButtonCopy"),
            ["_": "keyboardButtonBuy"], data[2],
        ]
        let plain = [
            url, login, button("keyboardButtonUserProfile", ["user_id": "9007199254740993"]),
            button("keyboardButtonUserProfile"), button("keyboardButtonCallback"), button("keyboardButtonGame"),
            button("keyboardButtonWebView", ["url": "https://a"]), button("keyboardButtonBuy"),
            button("keyboardButtonSimpleWebView", ["url": "https://b"]), button("keyboardButton"), button(7),
            button("keyboardButtonSwitchInline", ["query": "q"]), button("somethingNew"),
            button("keyboardButtonSwitchInline", ["query": "", "same_peer": true]),
            button("keyboardButtonCopy", ["copy_text": "c"]), button("keyboardButtonRequestPhone"),
            ["_": "keyboardButton", "text": "new", "type": ["_": "inlineButtonTypeUrl", "url": "https://c"]],
        ]
        let service: JSON = ["_": "messageActionPinMessage"]
        var direct = plain.map { keyboard([[$0]]) } + data.indices.filter { $0 != 2 }.map { keyboard([[data[$0]]]) }
        direct += [keyboard([]), keyboard([[], []]), keyboard([[url, login], [], plain, [url]])]
        direct += [["reply_markup": ["_": "replyKeyboardHide"]], ["reply_markup": ["_": "replyInlineMarkup"]]]
        direct.append(plus(keyboard([[url]]), ["_": "messageService", "action": service]))
        #expect(try compare(direct, of: PageWriterTests.plain) == [])
        #expect(try compare(rare.map { keyboard([[url, $0]]) }, of: PageWriterTests.plain) == Array(rare.indices))
    }
}
