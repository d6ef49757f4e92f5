import BotAPI
import ChatCommands
import JSON
import Payloads
import Testing

@Suite struct MediaWishTests {
    private func wish(_ text: String) throws -> MediaWish { MediaWish(try #require(WrittenCommand(text, bot: nil))) }

    @Test(
        arguments: [
            (".vdl 720 https://a.example/", #"{"height":720}"#), (".vdl https://a.example/ 1080P", #"{"height":1080}"#),
            (".vdl 4k https://a.example/", #"{"height":2160}"#),
            (".vdl en-subs https://a.example/", #"{"subtitles":"en"}"#),
            (".vdl pt-BR-subtitles x", #"{"subtitles":"pt-br"}"#), (".vdl subs x", #"{"subtitles":"en"}"#),
            (".vdl de-hardsubs x", #"{"subtitles":"de","burn_subtitles":true}"#),
            (".vdl hardsub x", #"{"subtitles":"en","burn_subtitles":true}"#),
            (".vdl hardsubs fr-subs x", #"{"subtitles":"fr"}"#),
            (".vdl 1:30-2:45 x", #"{"start_seconds":90,"end_seconds":165}"#),
            (".vdl 1:02:03.5- x", #"{"start_seconds":3723.5}"#),
            (".vdl -0:30 x", #"{"start_seconds":0,"end_seconds":30}"#),
            (".vdl 0:05–12 x", #"{"start_seconds":5,"end_seconds":12}"#),
            (".vdl 720 de-subs 0:10-0:20 x", #"{"height":720,"subtitles":"de","start_seconds":10,"end_seconds":20}"#),
            (".vdl look at this https://a.example/720", nil), (".vdl x", nil), (".vdl 99999999999999999999 x", nil),
        ] as [(String, String?)])
    func `Words beside a link choose the form`(_ text: String, _ variant: String?) throws {
        #expect(try wish(text).variant.json?.text == variant)
    }

    @Test func `Hashtags are for the caption, once each, and are no words of the link`() throws {
        let wish = try wish(
            ".vdl #Holiday_2026 https://a.example/#top #кино #holiday_2026 #می\u{200c}خواهم #हिन्दी #42 # #a-b #x²")
        #expect(wish.hashtags == ["Holiday_2026", "кино", "می\u{200c}خواهم", "हिन्दी"])
        #expect(wish.rest == ["https://a.example/#top", "#42", "#", "#a-b", "#x²"])
    }

    @Test func `The name of a format of sound asks for sound`() throws {
        let wish = try wish(".vdl opus https://a.example/")
        #expect(wish.kind == .audio && wish.variant.audioFormat == .opus)
        #expect(try self.wish(".vdl 720 x").kind == nil)
        #expect(wish.rest == ["https://a.example/"])
    }

    @Test(arguments: [
        (".vdl best x", true), (".vdl file x", true), (".vdl x video", true), (".vdl x", false), (".vdl #tag x", false),
        (".vdl? x", false), (".vdl ? x", false),
    ])
    func `A word that names a form is a choice`(_ text: String, _ hasChosen: Bool) throws {
        #expect(try wish(text).hasChosen == hasChosen)
    }

    @Test(
        arguments: [
            ("https://a.example/watch/7", 720), ("https://a.example/", 720), ("https://a.example", 720),
            ("https://example.mp4", 720), ("https://a.example/v1.2/watch", 720), ("https://a.example/clip.mp4", nil),
            ("https://a.example/a/CLIP.MP4?x=1#t=3", nil), ("https://a.example/clip.webm", nil),
            ("https://a.example/?v=clip.mp4", 720),
        ] as [(String, Int64?)])
    func `A preferred height holds for pages, which offer several, and not for files`(
        _ url: String, _ height: Int64?
    ) throws {
        let preferences = try #require(MediaPreferences(["720"]))
        let completed = try wish(".vdl \(url)").completed(by: preferences, for: .video, of: .url(url))
        #expect(completed.variant.maxHeight == height)
        let asked = try wish(".vdl 480 \(url)").completed(by: preferences, for: .video, of: .url(url))
        #expect(asked.variant.maxHeight == 480)
    }

    @Test(arguments: [
        (".vdl? https://a.example/", true), ("/vdl? x", true), (".vdl ? x", true), (".vdl x", false),
        ("what? x", false),
    ])
    func `A question mark asks to be asked`(_ text: String, _ asks: Bool) throws {
        #expect(try wish(text).asks == asks)
    }

    @Test(
        arguments: [
            (".vdl 72op https://a.example/", "72op"), (".vdl 2:45-1:30 x", "2:45-1:30"),
            (".vdl 1:75-2:00 x", "1:75-2:00"),
            (".vdl 0 x", "0"), (".vdl e-subs x", "e-subs"), (".vdl e-hardsubs x", "e-hardsubs"),
            (".vdl 0:00- x", "0:00-"),
            (".vdl 999999999:00-9999999999:00 x", "999999999:00-9999999999:00"),
            // A link, and words behind it, are none.
            (".vdl 9gag.com/a", nil), (".vdl https://a.example/ 50", nil), (".vdl the 2nd https://a.example/", nil),
        ] as [(String, String?)])
    func `A mistyped option before the link is not ignored`(_ text: String, _ word: String?) throws {
        #expect(try wish(text).misunderstood == word)
    }

    @Test(
        arguments: [
            (".vdl 1-5 https://a.example/", [1, 5]), (".adl https://a.example/ 3–3", [3, 3]), (".vdl 5 x", [5, 5]),
            (".vdl 99 x", [99, 99]), (".vdl 100 x", nil), (".vdl https://a.example/ the top 5", nil),
            (".vdl 1:00-5 x", nil), (".vdl -5 x", nil),
        ] as [(String, [Int64]?)])
    func `Two numbers, or a small one before the link, choose videos of a list`(_ text: String, _ range: [Int64]?)
        throws
    {
        #expect(try wish(text).items.map { [$0.first, $0.last] } == range)
    }

    @Test(arguments: ["5-1", "0-3", "1-99999999", "1-2000000"])
    func `A range that no list has is not ignored`(_ word: String) throws {
        let wish = try wish(".vdl \(word) https://a.example/")
        #expect(wish.items == nil && wish.misunderstood == word)
    }

    @Test func `A slash means the same as a dot`() throws {
        let command = try #require(WrittenCommand("/VDL@some_bot 720 x", bot: "Some_Bot"))
        #expect(command.dotted == ".vdl" && command.arguments == ["720", "x"])
        #expect(WrittenCommand.dotted("vdl") == "vdl")
    }

    @Test(
        arguments: [
            ("https://a.example/v?x=1", "https://a.example/v?x=1"), ("  http://a.example/ ", "http://a.example/"),
            ("see https://a.example/", nil), ("https://a.example/ https://b.example/", nil), ("hello", nil),
            ("a.example", nil), (".vdl", nil),
        ] as [(String, String?)])
    func `A bare link is a message of nothing but a link`(_ text: String, _ link: String?) throws {
        let message = try #require(Message(["message_id": 1, "chat": ["id": 5], "text": .string(text)]))
        #expect(MediaSource.onlyLink(of: message) == link)
    }

    @Test func `A host without a scheme counts if Telegram marks all of it`() throws {
        func link(_ text: String, _ length: Int64) throws -> String? {
            let entities: JSON = [["type": "url", "offset": 0, "length": .integer(length)]]
            return MediaSource.onlyLink(
                of: try #require(
                    Message(["message_id": 1, "chat": ["id": 5], "text": .string(text), "entities": entities])))
        }
        #expect(try link("a.example/v", 11) == "https://a.example/v")
        #expect(try link("a.example,v", 9) == nil)
    }
}
