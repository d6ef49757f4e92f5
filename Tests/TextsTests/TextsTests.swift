import Config
import Foundation
import TestSupport
import Testing

@testable import Texts

@Suite struct TextsTests {
    private let english: Texts.Catalog

    init() throws { english = try Texts.builtIn("en") }

    // MARK: The built-in texts

    @Test(arguments: Texts.builtInLanguages)
    func `Every language has all texts with the same placeholders`(_ language: String) throws {
        let catalog = try Texts.builtIn(language)
        #expect(Set(catalog.keys).symmetricDifference(english.keys).sorted() == [])
        for (key, form) in catalog {
            for template in form.templates {
                #expect(template.placeholders == english[key]?.placeholders, "\(language).\(key)")
            }
        }
    }

    @Test(arguments: Texts.builtInLanguages)
    func `A text fits Telegram's limits`(_ language: String) throws {
        for (key, form) in try Texts.builtIn(language) {
            let units = form.templates.map { template in
                template.filled([:], isRightToLeft: false, isHTML: false).utf16.count
            }
            // Answers to the press of a button, and the descriptions of a menu, are shorter than messages.
            let limit = key.hasPrefix("choice_") ? 180 : key.hasPrefix("menu_") ? 250 : 3000
            #expect(units.allSatisfy { (1...limit).contains($0) || key == "choice_subtitles" }, "\(language).\(key)")
        }
    }

    @Test(arguments: ["ru", "ar", "fa"])
    func `A translation is in its own script`(_ language: String) throws {
        let scripts: [String: ClosedRange<UInt32>] = ["ru": 0x400...0x4ff, "ar": 0x600...0x6ff, "fa": 0x600...0x6ff]
        let script = try #require(scripts[language])
        for (key, form) in try Texts.builtIn(language) where !["caption", "failure", "whoami"].contains(key) {
            let words = form.templates.map { $0.filled([:], isRightToLeft: false, isHTML: false) }
            guard key != "choice_subtitles", key != "choice_too_large" else { continue }
            #expect(
                words.allSatisfy { $0.unicodeScalars.contains { script.contains($0.value) } }, "\(language).\(key)")
        }
    }

    @Test func `A language that is not known gets English`() {
        let texts = Texts()
        #expect(texts.text("failure_too_large", "tlh") == "That is too large.")
        #expect(texts.text("failure_too_large", nil) == "That is too large.")
        #expect(texts.text("failure_too_large", "de-AT") == "Das ist zu groß.")
        #expect(texts.language("PT_br") == "pt" && texts.language("x") == nil)
    }

    @Test(arguments: [
        (0, "0 s", "1 min"), (1, "1 s", "1 min"), (119, "119 s", "2 min"), (120, "2 min", "2 min"),
        (121, "3 min", "3 min"),
        (7200, "2 h", "2 h"), (172_800, "2 days", "2 days"), (.max, "115741 days", "115741 days"), (-1, "0 s", "1 min"),
    ])
    func `A time is told in the unit that suits it`(_ seconds: Int64, _ words: String, _ rough: String) {
        #expect(Texts().time(seconds, "en") == words && Texts().time(seconds, "en", isRough: true) == rough)
        #expect(Texts().time(120, "ru") == "2 мин")
    }

    // MARK: Numbers

    @Test(
        arguments: [
            ("en", [0, 1, 2], "other one other"), ("pt", [0, 1, 2], "one one other"),
            ("ru", [1, 2, 5, 11, 12, 21, 22, 25, 111], "one few many many many one few many many"),
            ("ar", [0, 1, 2, 3, 10, 11, 99, 100, 102, 103], "zero one two few few many many other other few"),
            ("fa", [0, 1, 2], "one one other"), ("de", [-1, 1, .min], "one one other"),
        ] as [(String, [Int64], String)])
    func `A number has the category of CLDR`(_ language: String, _ numbers: [Int64], _ categories: String) {
        let found = numbers.map { PluralCategory(of: $0, in: language) }
        #expect(found.map(\.rawValue).joined(separator: " ") == categories)
        #expect(PluralCategory.all(in: language).isSuperset(of: found))
    }

    @Test func `The number chooses the form`() {
        let texts = Texts()
        #expect(texts.text("choice_question", "en", ["count": .number(1)]).contains("within 1 second,"))
        #expect(texts.text("choice_question", "ru", ["count": .number(21)]).contains("21 секунды"))
        #expect(texts.text("choice_question", "ar", ["count": .number(30)]).contains("30 ثانية"))
    }

    // MARK: Placeholders

    @Test func `Names are isolated where their direction may differ`() {
        let template = TextTemplate("Hello, {name}!")
        func filled(_ name: String, rtl: Bool = false) -> String {
            template.filled(["name": .text(name)], isRightToLeft: rtl, isHTML: false)
        }
        #expect(filled("Ada") == "Hello, Ada!")
        #expect(filled("Ada", rtl: true) == "Hello, \u{2068}Ada\u{2069}!")
        #expect(filled("עדה") == "Hello, \u{2068}עדה\u{2069}!")
        // Marks of the name's own would reach into the text behind it.
        #expect(filled("\u{202e}txt\u{2069}.exe\u{202c}") == "Hello, txt.exe!")
        #expect(filled("\u{2067}") == "Hello, !")
    }

    @Test func `A value with a line to itself gives the line its direction`() {
        func lines(_ template: String, rtl: Bool = true) -> String {
            TextTemplate(template).filledLines(
                ["title": .text("Ж\u{202e}א\u{2067}"), "n": .text("7")], isRightToLeft: rtl, isHTML: false)
        }
        #expect(lines("{title}\nx\n{title}") == "Жא\nx\nЖא" && lines("{title}") == "Жא")
        #expect(lines("{title} · {n}") == "\u{2068}Жא\u{2069} · \u{2068}7\u{2069}")
        #expect(lines("{title}{n}\n x{title}", rtl: false) == "\u{2068}Жא\u{2069}7\n x\u{2068}Жא\u{2069}")
    }

    @Test func `Values are escaped in HTML, and are not read as templates`() {
        let template = TextTemplate("<b>{title}</b> {link}")
        let values: [String: TextValue] = ["title": .text("<i>&{link}"), "link": .raw("<a>")]
        #expect(template.filled(values, isRightToLeft: false, isHTML: true) == "<b>&lt;i&gt;&amp;{link}</b> <a>")
    }

    @Test(arguments: ["{", "}", "{}", "{Name}", "{ name}", "a{b", "{{", "{a b}"])
    func `A brace that encloses no name stands for itself`(_ text: String) {
        let template = TextTemplate(text)
        #expect(template.placeholders.isEmpty)
        #expect(template.filled([:], isRightToLeft: false, isHTML: false) == text)
    }

    @Test(
        arguments: [
            (["title": "T", "elapsed": "3 s", "id": "7"], "T\n⏱ 3 s · #7\nend"), (["id": "7"], "#7\nend"),
            (["title": "T", "elapsed": "3 s"], "T\n⏱ 3 s\nend"), ([:], "end"),
        ] as [([String: String], String)])
    func `Lines and parts of lines without a value are left out`(_ values: [String: String], _ text: String) {
        let template = TextTemplate("{title}\n⏱ {elapsed} · #{id}\nend")
        #expect(template.filledLines(values.mapValues { .raw($0) }, isRightToLeft: false, isHTML: true) == text)
    }

    // MARK: Texts of one's own

    private func own(_ text: String) throws -> Texts {
        let folder = try TemporaryFolder()
        try text.write(toFile: folder("texts.toml"), atomically: false, encoding: .utf8)
        return try Texts(own: folder("texts.toml"))
    }

    @Test func `A file changes texts, and adds languages`() throws {
        let texts = try own(
            """
            [en]
            start = "Ahoy, {name}"
            [it]
            start = "Ciao, {name}"
            choice_question = { one = "{count} secondo", other = "{count} secondi" }
            """)
        #expect(texts.text("start", "en", ["name": .text("A")]) == "Ahoy, A")
        #expect(texts.text("start", "it-IT", ["name": .text("A")]) == "Ciao, A")
        #expect(texts.text("choice_question", "it", ["count": .number(2)]) == "2 secondi")
        #expect(texts.text("failure_too_large", "it") == "That is too large.")
        #expect(texts.languages.last == "it")
        #expect(texts.isTranslated("start", "en") && !texts.isTranslated("failure_paid", "en"))
    }

    @Test(
        arguments: [
            ("[en]\nstrat = \"x\"", "texts.toml:2: unknown key \"strat\""),
            ("[en]\nstart = \"{nam}\"", "texts.toml:2: start has no {nam}; it has {name}"),
            ("[en]\nusage = 7", "texts.toml:2: usage is a text, or a table of plural forms"),
            ("start = \"x\"", "texts.toml:1: start is no table"), ("[Klingon]\nstart = \"x\"", "is no language"),
            ("[ru]\nchoice_question = { one = \"x\" }", "choice_question lacks the form few"),
            ("[en]\nchoice_question = { uno = \"x\" }", "unknown key \"uno\""),
        ])
    func `A mistake in a file is named with its line`(_ text: String, _ words: String) {
        let error = #expect(throws: ConfigError.self) { try own(text) }
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
    }
}
