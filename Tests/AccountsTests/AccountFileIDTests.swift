import Accounts
import JSON
import Testing

@Suite struct AccountFileIDTests {
    private let origin = MessageOrigin(chatID: -1_001_234_567_890, messageID: 7)

    private func document(_ attributes: JSON...) -> JSON {
        .object([
            "_": "messageMediaDocument",
            "document": .object([
                "_": "document", "id": "-9007199254740993", "access_hash": "9007199254740995",
                "file_reference": "AQID",
                "date": 1, "mime_type": "video/mp4", "size": 5_000_000_000, "dc_id": 4,
                "attributes": .array(attributes),
            ]),
        ])
    }

    @Test func `A file_id decodes to the values that it was made from`() throws {
        let made = try #require(AccountFileID.files(of: document(), origin: origin).first)
        #expect(made.kind == .document && made.id == -9_007_199_254_740_993 && made.sizeBytes == 5_000_000_000)
        #expect(AccountFileID(made.text) == made)
        #expect(made.text.utf8.allSatisfy { ($0 | 0x20) &- 0x61 < 26 || $0 &- 48 < 10 || $0 == 45 || $0 == 95 })
    }

    @Test func `A file has the same file_unique_id wherever it appears`() throws {
        let here = try #require(AccountFileID.files(of: document(), origin: origin).first)
        var there = here
        (there.accessHash, there.fileReference, there.origin) = (1, "BBBB", nil)
        #expect(here.uniqueText == there.uniqueText && here.text != there.text)
        there.id += 1
        #expect(here.uniqueText != there.uniqueText)
    }

    @Test func `Photo sizes are sorted and previews are left out`() {
        let photo = JSON.object([
            "_": "photo", "id": 5, "access_hash": 6, "file_reference": "AQID", "date": 1, "dc_id": 2,
            "sizes": [
                ["_": "photoStrippedSize", "type": "i", "bytes": "AQ=="],
                ["_": "photoSizeProgressive", "type": "y", "w": 1280, "h": 720, "sizes": [10, 2000, 90000]],
                ["_": "photoSize", "type": "m", "w": 320, "h": 180, "size": 9000],
            ],
        ])
        let sizes = AccountFileID.files(of: ["_": "messageMediaPhoto", "photo": photo], origin: nil)
        #expect(sizes.map(\.thumb) == ["m", "y"] && sizes.map(\.sizeBytes) == [9000, 90000])
        #expect(Set(sizes.map(\.uniqueText)).count == 2)
        #expect(sizes.last?.remoteFile.location["_"] == "inputPhotoFileLocation")
        #expect(sizes.last?.remoteFile.location["thumb_size"] == "y")
        #expect(sizes.last?.inputMedia["id"]?["_"] == "inputPhoto")
    }

    @Test(
        arguments: [
            (["_": "documentAttributeVideo", "duration": 1.5, "w": 1, "h": 1], .video),
            (["_": "documentAttributeVideo", "round_message": true], .videoNote),
            (["_": "documentAttributeAudio", "duration": 1], .audio),
            (["_": "documentAttributeAudio", "duration": 1, "voice": true], .voice),
            (["_": "documentAttributeAnimated"], .animation), (["_": "documentAttributeFilename"], .document),
            (["_": "documentAttributeSticker"], .sticker),
        ] as [(JSON, AccountFileID.Kind)])
    func `A document's kind follows from its attributes`(_ attribute: JSON, _ kind: AccountFileID.Kind) {
        #expect(AccountFileID.files(of: document(attribute), origin: origin).first?.kind == kind)
    }

    @Test(arguments: ["", "AgACAgIAAxkBAAIB", "e30", String(repeating: "A", count: 100_000), "%%%"])
    func `A file_id that is not an account's is recognised`(_ text: String) {
        #expect(AccountFileID(text) == nil)
    }

    @Test(arguments: [-1, 1 << 41, Int64.max])
    func `A file_id with an impossible size is refused`(_ size: Int64) throws {
        var made = try #require(AccountFileID.files(of: document(), origin: origin).first)
        made.sizeBytes = size
        #expect(AccountFileID(made.text) == nil)
    }
}
