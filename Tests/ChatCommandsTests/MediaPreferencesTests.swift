import ChatCommands
import JSON
import Payloads
import Testing

@Suite struct MediaPreferencesTests {
    private func wish(_ text: String) throws -> MediaWish { MediaWish(try #require(WrittenCommand(text, bot: nil))) }

    @Test(
        arguments: [
            ("720p file", "720 file"), ("opus 4k", "2160 opus"), ("FILE", "file"), ("mp3", "mp3"),
            // What belongs to one request is no preference.
            ("1:00-2:00", nil), ("720 en-subs", nil), ("1-5", nil), ("?", nil), ("best", nil), ("", nil),
            ("720 please", nil), ("720 480", nil), ("video", nil),
        ] as [(String, String?)])
    func `Preferences are read from words, and written as one would write them`(_ words: String, _ text: String?) {
        let preferences = MediaPreferences(words.split(separator: " ").map(String.init))
        #expect(preferences?.text == text)
        #expect(MediaPreferences(stored: text) == preferences ?? .none)
    }

    @Test func `What is stored and damaged is no preference`() {
        for text in ["720 \u{0}", "-1", "99999999999999999999", "nothing at all"] {
            #expect(MediaPreferences(stored: text) == .none)
        }
    }

    @Test func `A request that does not say otherwise gets what is preferred`() throws {
        let preferences = try #require(MediaPreferences(["720", "opus", "file"]))
        func completed(_ text: String, _ kind: MediaKind = .video) throws -> MediaWish {
            try wish(text).completed(by: preferences, for: kind, of: .url("https://a.example/"))
        }
        let plain = try completed(".vdl https://a.example/")
        #expect(plain.variant.maxHeight == 720 && plain.isFile == true && plain.kind == nil)
        #expect(plain.variant.of(.audio).audioFormat == .opus)
        let own = try completed(".vdl 1080 video m4a https://a.example/")
        #expect(own.variant.maxHeight == 1080 && own.isFile == false && own.variant.audioFormat == .m4a)
        let best = try completed(".vdl best https://a.example/")
        #expect(best.variant.maxHeight == nil && best.isFile == true)
        #expect(best.rest == ["https://a.example/"])
        // Sound is to be heard, and one who wants to be asked chooses among all that there is.
        #expect(try completed(".adl https://a.example/", .audio).isFile == nil)
        let asked = try completed(".vdl? https://a.example/")
        #expect(asked.isFile == nil && asked.variant.isStandard)
        let file = TelegramFile(["file_id": "a", "file_unique_id": "b", "type": "video"])
        let sent = try wish(".vdl").completed(by: preferences, for: .video, of: .file(try #require(file)))
        #expect(sent.variant.maxHeight == nil && sent.isFile == true)
    }
}
