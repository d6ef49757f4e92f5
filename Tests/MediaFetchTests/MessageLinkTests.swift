import Accounts
import JSON
import Testing

@testable import media_fetch

struct MessageLinkTests {
    @Test(arguments: [
        ("https://t.me/durov/12", "@durov", 12...12, false), ("http://T.me/s/durov/12/", "@durov", 12...12, false),
        ("https://telegram.me/durov/5/12?single", "@durov", 12...12, true),
        ("https://t.me/durov/12-40?x=1", "@durov", 12...40, true),
        ("https://t.me/s/12", "@s", 12...12, false),
    ])
    func `A link names a chat and messages`(_ link: String, _ chat: JSON, _ ids: ClosedRange<Int64>, _ isSingle: Bool) {
        let read = MessageLink(link)
        #expect(read?.chat == chat && read?.ids == ids && read?.isSingle == isSingle)
    }

    @Test func `A link to a private group has its id`() {
        #expect(MessageLink("https://t.me/c/1234567890/12")?.chat == -1_001_234_567_890)
        #expect(MessageLink("https://t.me/c/1234567890/7/12")?.ids == 12...12)
    }

    @Test(arguments: [
        "https://t.me/durov", "https://t.me/+abc/12", "https://t.me/durov/0", "https://t.me/durov/-5",
        "https://t.me/durov/9-5", "https://t.me/durov/1-2-3", "https://t.me/durov/99999999999",
        "https://t.me/c/12", "https://t.me/c/9223372036854775807/1", "https://t.me/c/-5/1", "https://t.me/a/b/c/12",
        "https://t.me.evil.example/durov/12", "https://example.com/t.me/durov/12", "durov/12",
    ])
    func `Other links are none to messages`(_ link: String) { #expect(MessageLink(link) == nil) }

    @Test func `An album is chosen whole, and nothing beside it`() throws {
        let link = try #require(MessageLink("https://t.me/durov/12"))
        #expect(link.wanted == 3...21)
        func message(_ id: Int64, _ group: JSON?) -> JSON {
            .object(["_": "message", "id": .integer(id), "grouped_id": group])
        }
        let messages = [message(11, "7"), message(12, "7"), message(13, "8"), ["_": "messageEmpty", "id": 14]]
        #expect(link.chosen(of: messages).map { $0["id"]?.int } == [11, 12])
        #expect(link.chosen(of: [message(11, nil), message(12, nil)]).map { $0["id"]?.int } == [12])
        #expect(link.chosen(of: [message(11, nil)]).isEmpty)
        #expect(try #require(MessageLink("https://t.me/durov/1-200")).wanted == 1...200)
    }

    @Test func `The name of a file is safe, whatever the sender wrote`() throws {
        func file(_ document: JSONObject) throws -> MessageFile? {
            let whole: JSONObject = ["_": "document", "id": 1, "access_hash": 2, "file_reference": "AA==", "dc_id": 2]
            return MessageFile(
                of: .object([
                    "id": 5,
                    "media": [
                        "_": "messageMediaDocument",
                        "document": .object(JSONObject(whole.members + document.members)),
                    ],
                ]), in: .channel(77))
        }
        let named = try file([
            "attributes": [["_": "documentAttributeFilename", "file_name": "../../etc/\u{202E}passwd"]]
        ])
        #expect(named?.name == "_.._etc_passwd")
        #expect(try file(["mime_type": "video/mp4", "attributes": []])?.name == "1000000000077-5.mp4")
        #expect(try file(["mime_type": "x/y", "attributes": []])?.name == "1000000000077-5.bin")
        #expect(MessageFile(of: ["id": 5, "media": ["_": "messageMediaWebPage"]], in: .channel(77)) == nil)
    }

    @Test func `An id at the end of the numbers does not end the program`() {
        let message: JSON = [
            "id": 5,
            "media": [
                "_": "messageMediaDocument",
                "document": [
                    "_": "document", "id": 1, "access_hash": 2, "file_reference": "AA==", "dc_id": 2, "attributes": [],
                ],
            ],
        ]
        #expect(MessageFile(of: message, in: .chat(.min))?.name == "9223372036854775808-5.bin")
    }
}
