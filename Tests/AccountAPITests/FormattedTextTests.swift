@testable import AccountAPI
import Envelope
import BotAPI
import JSON
import Testing

@Suite struct FormattedTextTests {
    /// Entities as `Bold 0 4`, with what else they have behind.
    private func described(_ source: String, _ mode: String) throws -> (String, [String]) {
        let formatted = try FormattedText(source, mode: mode)
        let entities = formatted.entities.map { entity in
            let name = (entity["_"]?.string ?? "").replacing("inputMessageEntity", with: "").replacing(
                "messageEntity", with: "")
            let more = ["language", "url", "user_id", "document_id", "collapsed"].compactMap { key in
                entity[key].map { " " + ($0.string ?? $0.text) }
            }
            return "\(name) \(entity["offset"]?.int ?? -1) \(entity["length"]?.int ?? -1)\(more.joined())"
        }
        return (formatted.text, entities)
    }

    private static let html: [(String, String, [String])] = [
        ("<b>bold</b> &amp; <i>it</i>", "bold & it", ["Bold 0 4", "Italic 7 2"]),
        ("<b>a<i>b</i></b>", "ab", ["Bold 0 2", "Italic 1 1"]),
        ("😀<u>x</u><s>y</s>", "😀xy", ["Underline 2 1", "Strike 3 1"]),
        ("<a href=\"https://x.org/?a=1&amp;b=2\">l</a>", "l", ["TextUrl 0 1 https://x.org/?a=1&b=2"]),
        ("<a href='tg://user?id=42'>Al</a>", "Al", ["MentionName 0 2 42"]),
        ("<a>example.org</a>", "example.org", ["TextUrl 0 11 http://example.org"]),
        ("<pre><code class=\"language-swift\">x</code></pre>", "x", ["Pre 0 1 swift"]),
        ("<pre>ab</pre>", "ab", ["Pre 0 2 "]), ("<code>c</code>", "c", ["Code 0 1"]),
        ("<span class=\"tg-spoiler\">s</span>", "s", ["Spoiler 0 1"]),
        ("<blockquote expandable>q</blockquote>", "q", ["Blockquote 0 1 true"]),
        ("<tg-emoji emoji-id=\"77\">😀</tg-emoji>", "😀", ["CustomEmoji 0 2 77"]),
        ("&#65;&#x42;&nothing; &lt;", "AB&nothing; <", []), ("<b></b>x", "x", []),
    ]

    private static let markdown: [(String, String, [String])] = [
        (
            "*b* _i_ __u__ ~s~ ||p||", "b i u s p",
            ["Bold 0 1", "Italic 2 1", "Underline 4 1", "Strike 6 1", "Spoiler 8 1"]
        ),
        ("*b _i_*", "b i", ["Bold 0 3", "Italic 2 1"]), ("\\*a\\.", "*a.", []),
        ("`a\\`b` ```swift\nx\n```", "a`b x\n", ["Code 0 3", "Pre 4 2 swift"]),
        ("[l](https://x.org/\\))", "l", ["TextUrl 0 1 https://x.org/)"]),
        ("![😀](tg://emoji?id=5)", "😀", ["CustomEmoji 0 2 5"]), ("[u](tg://user?id=7)", "u", ["MentionName 0 1 7"]),
        (">a\n>b\nc", "a\nb\nc", ["Blockquote 0 3"]), ("**>a\n>b||", "a\nb", ["Blockquote 0 3 true"]),
    ]

    private static let legacy: [(String, String, [String])] = [
        ("*b* _i_ `c`", "b i c", ["Bold 0 1", "Italic 2 1", "Code 4 1"]),
        ("[l](x.org) \\_", "l _", ["TextUrl 0 1 http://x.org"]), ("```py\nx```", "x", ["Pre 0 1 py"]),
    ]

    @Test func `Formatting is parsed as the Bot API parses it`() throws {
        for (mode, cases) in [("HTML", Self.html), ("MarkdownV2", Self.markdown), ("Markdown", Self.legacy)] {
            for (source, text, entities) in cases {
                let found = try described(source, mode)
                #expect(found.0 == text, "\(source)")
                #expect(found.1 == entities, "\(source)")
            }
        }
    }

    @Test(arguments: [
        ("<b>x", "HTML"), ("</b>", "HTML"), ("<b>x</i>", "HTML"), ("<x>y</x>", "HTML"), ("<a href=\"x", "HTML"),
        ("<tg-emoji>x</tg-emoji>", "HTML"), ("a.b", "MarkdownV2"), ("*x", "MarkdownV2"), ("`x", "MarkdownV2"),
        ("[x](y", "MarkdownV2"), ("![x](y)", "MarkdownV2"), ("*x", "Markdown"), ("[x]", "Markdown"),
        ("```x", "Markdown"), ("x", "HTML5"),
    ])
    func `Formatting that the Bot API refuses is refused`(_ source: String, _ mode: String) {
        let error = #expect(throws: TelegramError.self) { try FormattedText(source, mode: mode) }
        #expect(error?.code == .badRequest)
    }

    @Test func `A text that is much too long is refused before parsing`() {
        let source = String(repeating: "<a>x</a>", count: 10_000)
        let error = #expect(throws: TelegramError.self) { try FormattedText(source, mode: "HTML") }
        #expect(error?.code == .badRequest && error?.message.contains("too long") == true)
    }

    @Test func `Without a parse mode a text stays unchanged`() throws {
        #expect(try FormattedText("*a* <b>", mode: nil).text == "*a* <b>")
    }

    @Test func `An event's random id is the same on each delivery and differs for each step`() {
        let event = Envelope(type: "commands.telegram.send", payload: [:])
        let numbers = Correlation.$current.withValue(Correlation(event)) {
            [RandomID.make("text"), RandomID.make("text"), RandomID.make("media")]
        }
        #expect(numbers[0] == numbers[1] && numbers[0] != numbers[2] && numbers.allSatisfy { $0 > 0 })
    }
}
