import BotAPI
import JSON
import Payloads
import Testing

@testable import ChatCommands

@Suite struct MediaSourceTests {
    private func source(_ text: String, _ more: JSONObject = [:]) throws -> String? {
        var json: JSONObject = ["message_id": 7, "chat": ["id": -100], "text": .string(text)]
        for member in more.members { json[member.key] = member.value }
        let command = try #require(WrittenCommand(text, bot: nil))
        let found = MediaSource.find(in: try #require(Message(.object(json))), command)?.json
        return found?["url"]?.string ?? found?["file"]?["file_id"]?.string
    }

    /// Marks a part of the text as a link, as Telegram does.
    private func marked(_ text: String, _ links: String...) -> JSONObject {
        ["entities": .array(links.map { entity(of: $0, in: text) })]
    }

    private func entity(of link: String, in text: String) -> JSON {
        let before = text.firstRange(of: link).map { text[..<$0.lowerBound].utf16.count } ?? 0
        return ["type": "url", "offset": .integer(Int64(before)), "length": .integer(Int64(link.utf16.count))]
    }

    @Test(arguments: [".", ",", "!", ")", "。", "»", "\u{200e}", "，再见", "<b>"])
    func `What is glued to a marked link belongs to the sentence`(_ glued: String) throws {
        let text = ".vdl 👀 https://youtu.be/dQw4w9WgXcQ" + glued
        #expect(try source(text, marked(text, "https://youtu.be/dQw4w9WgXcQ")) == "https://youtu.be/dQw4w9WgXcQ")
        #expect(try source(text) == "https://youtu.be/dQw4w9WgXcQ")
    }

    @Test func `A link of ASCII characters ends where a link of other characters does`() throws {
        for byte in UInt8(0)..<0x80 {
            let mark = String(UnicodeScalar(byte))
            let plain = try source(".vdl https://example.com/a\(mark)b")
            let other = try source(".vdl https://example.com/a\(mark)bé")
            #expect(plain != nil && other == plain.map { $0.hasSuffix("b") ? $0 + "é" : $0 }, "byte \(byte)")
        }
    }

    @Test func `Of several words the marked one is the link`() throws {
        let share = ".vdl 2.82 V@l.Cu 09/15 some words # tag https://v.example.com/J0v9/ copy this"
        #expect(try source(share, marked(share, "https://v.example.com/J0v9/")) == "https://v.example.com/J0v9/")
        let bare = ".vdl a.b.example or example.com/watch"
        #expect(try source(bare, marked(bare, "example.com/watch")) == "https://example.com/watch")
        let behindText: JSON = [
            "type": "text_link", "offset": 5, "length": 11, "url": "https://example.com/watch?v=1",
        ]
        #expect(try source(".vdl example.com", ["entities": [behindText]]) == "https://example.com/watch?v=1")
    }

    @Test func `The command itself can be the text of a link`() throws {
        let whole: JSON = ["type": "text_link", "offset": 0, "length": 4, "url": "https://example.com/watch?v=1"]
        #expect(try source(".vdl", ["entities": [whole]]) == "https://example.com/watch?v=1")
        #expect(try source(".vdl https://example.com/2", ["entities": [whole]]) == "https://example.com/2")
    }

    @Test func `A link that is not for the web is not meant`() throws {
        let text = ".vdl tg://resolve?domain=x https://example.com/v"
        #expect(
            try source(text, marked(text, "tg://resolve?domain=x", "https://example.com/v")) == "https://example.com/v")
    }

    @Test(arguments: [
        ("(https://example.com/v)", "https://example.com/v"), ("<https://example.com/v>", "https://example.com/v"),
        ("see:https://example.com/v;", "https://example.com/v"),
        ("https://example.com/Clip_(film)", "https://example.com/Clip_(film)"),
        ("(https://example.com/Clip_(film)).", "https://example.com/Clip_(film)"),
        ("\u{200e}https://example.com/v\u{200f}", "https://example.com/v"),
        ("(example.com/v)", "https://example.com/v"),
        ("HTTPS://Example.com/v?x=1.", "HTTPS://Example.com/v?x=1"), ("https://", nil), ("2.82", nil),
        ("192.0.2.1", nil), ("a@example.com", nil), ("e.g.", nil), ("...", nil),
    ])
    func `Without a mark the link is the word without its sentence`(_ word: String, _ link: String?) throws {
        #expect(try source(".vdl \(word)") == link)
    }

    private func reply(_ text: String, _ more: JSONObject = [:]) -> JSON {
        var json: JSONObject = ["message_id": 4, "chat": ["id": -100], "text": .string(text)]
        for member in more.members { json[member.key] = member.value }
        return .object(json)
    }

    @Test func `A marked link of the answered message comes before a word that only looks like a host`() throws {
        let text = "first https://example.org/1, then https://example.org/2!"
        let answered = reply(text, marked(text, "https://example.org/1", "https://example.org/2"))
        #expect(try source(".vdl thanks.friend", ["reply_to_message": answered]) == "https://example.org/1")
        #expect(
            try source(".vdl", ["reply_to_message": reply("see (https://example.org/3).")]) == "https://example.org/3")
        #expect(try source(".vdl", ["reply_to_message": reply("see v2.0")]) == nil)
    }

    @Test func `The quoted part of the answered message says which of its links is meant`() throws {
        let text = "first https://example.org/1, then https://example.org/2!"
        let answered = reply(text, marked(text, "https://example.org/1", "https://example.org/2"))
        let position = Int64(text.utf16.count - 10)
        let quote: JSON = ["text": "le.org/2!", "position": .integer(position + 1)]
        #expect(try source(".vdl", ["reply_to_message": answered, "quote": quote]) == "https://example.org/2")
        for hostile in [Int64.min, -1, .max] {
            let quote: JSON = ["text": "https://example.org/9.", "position": .integer(hostile)]
            #expect(try source(".vdl", ["reply_to_message": answered, "quote": quote]) == "https://example.org/9")
        }
    }

    @Test func `A message of another chat shows its file and the link of its preview`() throws {
        let video: JSON = ["video": ["file_id": "F", "file_unique_id": "U"]]
        #expect(try source(".vdl", ["external_reply": video]) == "F")
        let preview: JSON = ["link_preview_options": ["url": "https://example.org/v"]]
        #expect(try source(".vdl", ["external_reply": preview]) == "https://example.org/v")
        #expect(
            try source(
                ".vdl", ["external_reply": preview, "quote": ["text": "https://example.org/q ", "position": 0]])
                == "https://example.org/q")
    }
}
