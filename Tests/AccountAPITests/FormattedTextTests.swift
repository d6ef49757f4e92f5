@testable import AccountAPI
import BotAPI
import JSON
import Testing

@Suite struct FormattedTextTests {
    /// Returns entities in the form `Bold 0 4`, followed by their further values.
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

    @Test(arguments: [
        ("HTML", "😀é <b>👨‍👩‍👧</b>𝕏<i>x</i>", ["Bold 4 8", "Italic 14 1"]),
        ("MarkdownV2", "😀é *👨‍👩‍👧*𝕏_x_", ["Bold 4 8", "Italic 14 1"]),
        ("Markdown", "😀é *👨‍👩‍👧*𝕏_x_", ["Bold 4 8", "Italic 14 1"]),
    ])
    func `Offsets and lengths count UTF-16 units, as Telegram does`(
        _ mode: String, _ source: String, _ entities: [String]
    ) throws {
        #expect(try described(source, mode).1 == entities)
    }

    @Test(arguments: [
        ("HTML", "<b><i><u><s>x</s></u></i></b>", ["Bold 0 1", "Italic 0 1", "Underline 0 1", "Strike 0 1"]),
        ("HTML", "<b>a<a href=\"x.org\">b</a></b><i>c</i>", ["Bold 0 2", "TextUrl 1 1 http://x.org", "Italic 2 1"]),
        ("HTML", "<blockquote><b>q</b></blockquote>", ["Blockquote 0 1", "Bold 0 1"]),
        ("MarkdownV2", "*_~x~_*", ["Bold 0 1", "Italic 0 1", "Strike 0 1"]),
        ("MarkdownV2", "_a __b___", ["Italic 0 3", "Underline 2 1"]),
        ("MarkdownV2", "___a___", ["Underline 0 1", "Italic 0 1"]),
        ("MarkdownV2", "[*x*](x.org)", ["TextUrl 0 1 http://x.org", "Bold 0 1"]),
        ("MarkdownV2", ">*q*\nx", ["Blockquote 0 1", "Bold 0 1"]),
    ])
    func `Nested entities come from the outside in`(_ mode: String, _ source: String, _ entities: [String]) throws {
        #expect(try described(source, mode).1 == entities)
    }

    /// Source: https://core.telegram.org/bots/api#markdownv2-style
    @Test func `The Bot API's own example of nested entities is parsed`() throws {
        let source = """
            *bold _italic bold ~italic bold strikethrough ||italic bold strikethrough spoiler||~ __underline italic bold___ bold*
            """
        #expect(
            try described(source, "MarkdownV2").1
                == ["Bold 0 103", "Italic 5 93", "Strike 17 59", "Spoiler 43 33", "Underline 77 21"])
    }

    @Test(arguments: [
        ("HTML", "&#55296; &#xD800; &#x110000; &#99999999999; &#0; &; &#; &#x;"), ("HTML", "a & b &lt"),
        ("MarkdownV2", "a\\"),
    ])
    func `An invalid reference is plain text`(_ mode: String, _ source: String) throws {
        #expect(try described(source, mode) == (source, []))
    }

    @Test(arguments: [
        ("HTML", "<a href=\"javascript:alert(1)\">x</a>"), ("HTML", "<a href=\"tg://user?id=x\">x</a>"),
        ("HTML", "<a href=\"no address\">x</a>"), ("MarkdownV2", "[x](nothing)"), ("Markdown", "[x](a b.c)"),
    ])
    func `A link without a usable address is plain text`(_ mode: String, _ source: String) throws {
        #expect(try described(source, mode) == ("x", []))
    }

    @Test(arguments: ["HTML", "MarkdownV2", "Markdown"], [1, 100, 2000])
    func `Hostile text is parsed or refused, quickly`(_ mode: String, _ count: Int) {
        let pieces = [
            "<b>", "</b>", "<a href=", "<!--", "<", "&#", "\u{0}", "*", "_", "__", "`", "```", "[", "](", "||", "**>",
            "\\", "\n>", "![", "<pre><code>", "</code></pre>",
        ]
        let clock = ContinuousClock()
        let time = clock.measure {
            for piece in pieces {
                _ = try? FormattedText(String(repeating: piece, count: count), mode: mode)
                _ = try? FormattedText(String(repeating: piece + "x", count: count), mode: mode)
            }
        }
        #expect(time < .seconds(30))
    }

    @Test func `Every entity of a random text lies within it`() throws {
        var generator = SystemRandomNumberGenerator()
        let pieces = [
            "<b>", "</b>", "<i>", "</i>", "😀", "x", "é", "<pre>", "</pre>", "<code>", "</code>", "\n", "&lt;",
        ]
        for _ in 0..<2000 {
            let source = (0..<20).map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
            guard let formatted = try? FormattedText(source, mode: "HTML") else { continue }
            let length = Int64(formatted.text.utf16.count)
            for entity in formatted.entities {
                let (offset, count) = (try #require(entity["offset"]?.int), try #require(entity["length"]?.int))
                #expect(offset >= 0 && count > 0 && offset + count <= length, "\(source)")
            }
        }
    }

    @Test func `A text that is much too long is refused before parsing`() {
        let source = String(repeating: "<a>x</a>", count: 10_000)
        let error = #expect(throws: TelegramError.self) { try FormattedText(source, mode: "HTML") }
        #expect(error?.code == .badRequest && error?.message.contains("too long") == true)
    }

    @Test func `Without a parse mode a text stays unchanged`() throws {
        #expect(try FormattedText("*a* <b>", mode: nil).text == "*a* <b>")
    }

    @Test func `A message's random id is the same for each attempt and differs for each step and key`() {
        let numbers = [
            RandomID.make("a", "text"), RandomID.make("a", "text"), RandomID.make("a", "media"),
            RandomID.make("b", "text"),
        ]
        #expect(numbers[0] == numbers[1] && Set(numbers).count == 3 && numbers.allSatisfy { $0 > 0 })
    }
}
