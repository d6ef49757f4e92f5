package import Config
import Synchronization
import System
import TextFiles

/// Holds the texts that users read, in all languages. A file can change each of them, and add languages.
package final class Texts: Sendable {
    /// One text: a template, or one for each category of numbers.
    enum Form: Sendable {
        case plain(TextTemplate)
        /// The placeholder `count` chooses the form.
        case plural([PluralCategory: TextTemplate])

        var templates: [TextTemplate] {
            switch self {
            case .plain(let template): [template]
            case .plural(let forms): Array(forms.values)
            }
        }

        var placeholders: Set<String> { templates.reduce(into: []) { $0.formUnion($1.placeholders) } }
    }

    typealias Catalog = [String: Form]

    /// The languages that need no file.
    package static let builtInLanguages = ["en", "de", "es", "pt", "ru", "fa", "ar"]

    /// The placeholders that a key has beside those of its built-in text.
    private static let furtherPlaceholders: [String: Set<String>] = [
        "caption": ["link", "duration", "size", "uploader", "tags"]
    ]

    /// The language of users whose own is not known.
    package static let defaultLanguage = "en"

    private let own: [String: Catalog]
    private let loaded = Mutex<[String: Catalog]>([:])

    /// - Parameter path: the file with texts of one's own; nil for none.
    /// - Throws: `ConfigError` for a file that cannot be read, and for unknown keys and placeholders.
    package init(own path: String?) throws(ConfigError) {
        own = try path.map { path throws(ConfigError) in try Texts.read(path) } ?? [:]
    }

    /// Returns the texts with those of the file that TGPIPE_TEXTS names, if any.
    ///
    /// - Throws: `ConfigError` as above.
    package static func ofEnvironment() throws(ConfigError) -> Texts {
        try Texts(own: Settings.environment("TGPIPE_TEXTS"))
    }

    /// The texts without a file.
    package init() { own = [:] }

    /// All languages, the built-in ones first.
    package var languages: [String] {
        Texts.builtInLanguages + own.keys.filter { !Texts.builtInLanguages.contains($0) }.sorted()
    }

    /// Returns the language of these texts that comes nearest to a code such as `pt-BR`; nil if none does.
    package func language(_ code: String?) -> String? {
        guard let code else { return nil }
        let name = String(code.lowercased().prefix { $0 != "-" && $0 != "_" })
        return languages.contains(name) ? name : nil
    }

    /// Returns whether a language is written from right to left.
    package static func isRightToLeft(_ language: String) -> Bool { ["ar", "fa", "he", "ur"].contains(language) }

    /// Returns a text with its values.
    ///
    /// - Parameters:
    ///   - code: the user's language as Telegram names it; English is used where it is not known.
    ///   - isHTML: whether the text is Telegram's HTML, so that values are escaped.
    package func text(
        _ key: String, _ code: String?, _ values: [String: TextValue] = [:], isHTML: Bool = false
    ) -> String {
        let (template, language) = template(key, code, values["count"])
        return template.filled(values, isRightToLeft: Texts.isRightToLeft(language), isHTML: isHTML)
    }

    /// Returns a text with its values, without the lines and parts of lines that have none; see `TextTemplate.filledLines`.
    package func lines(_ key: String, _ code: String?, _ values: [String: TextValue], isHTML: Bool = false) -> String {
        let (template, language) = template(key, code, values["count"])
        return template.filledLines(values, isRightToLeft: Texts.isRightToLeft(language), isHTML: isHTML)
    }

    /// Returns whether a text is in another language than English, or is one's own.
    package func isTranslated(_ key: String, _ code: String?) -> Bool {
        let language = language(code) ?? Texts.defaultLanguage
        return own[language]?[key] != nil || (language != Texts.defaultLanguage && catalog(language)[key] != nil)
    }

    /// Returns whether there is a text of a key.
    package func has(_ key: String) -> Bool { catalog(Texts.defaultLanguage)[key] != nil }

    private func template(_ key: String, _ code: String?, _ count: TextValue?) -> (TextTemplate, String) {
        let language = language(code) ?? Texts.defaultLanguage
        for name in [language, Texts.defaultLanguage] {
            guard let form = own[name]?[key] ?? catalog(name)[key] else { continue }
            switch form {
            case .plain(let template): return (template, name)
            case .plural(let forms):
                let number: Int64 = if case .number(let number)? = count { number } else { 0 }
                let category = PluralCategory(of: number, in: name)
                if let template = forms[category] ?? forms[.other] ?? forms[.many] { return (template, name) }
            }
        }
        return (TextTemplate(key), Texts.defaultLanguage)
    }

    // MARK: Files

    /// Returns the built-in texts of a language, which are read when they are first needed.
    private func catalog(_ language: String) -> Catalog {
        loaded.withLock { loaded in
            if let known = loaded[language] { return known }
            let catalog = (try? Texts.builtIn(language)) ?? [:]
            loaded[language] = catalog
            return catalog
        }
    }

    /// Reads the built-in texts of a language; empty if there are none.
    static func builtIn(_ language: String) throws(ConfigError) -> Catalog {
        let file = tgp_text_file_of(language)
        guard let start = file.start else { return [:] }
        let bytes = Array(UnsafeRawBufferPointer(start: start, count: file.count))
        return try catalog(of: ConfigFile.table(bytes, path: "\(language).toml"), language)
    }

    private static func read(_ path: String) throws(ConfigError) -> [String: Catalog] {
        let file = try ConfigFile.table(path: path)
        let known = try builtIn(defaultLanguage)
        var catalogs: [String: Catalog] = [:]
        for language in file.keys {
            guard let value = file[language], let table = ConfigTable(value, in: file) else {
                throw file.fault(of: language, "\(language.printable) is no table: write [en], and the texts below it")
            }
            guard (2...3).contains(language.utf8.count), language.utf8.allSatisfy({ (97...122).contains($0) }) else {
                throw file.fault(of: language, "\(language.printable) is no language: write en, de, pt, …")
            }
            try table.check(known: known.keys.sorted())
            let catalog = try catalog(of: table, language)
            for (key, form) in catalog {
                let allowed = (known[key]?.placeholders ?? []).union(furtherPlaceholders[key] ?? [])
                guard let stranger = form.placeholders.subtracting(allowed).min() else { continue }
                let names = allowed.sorted().map { "{\($0)}" }.joined(separator: ", ")
                throw table.fault(
                    of: key, "\(key) has no {\(stranger)}; it has \(names.isEmpty ? "no placeholders" : names)")
            }
            catalogs[language] = catalog
        }
        return catalogs
    }

    private static func catalog(of table: ConfigTable, _ language: String) throws(ConfigError) -> Catalog {
        var catalog: Catalog = [:]
        for key in table.keys {
            guard let value = table[key] else { continue }
            if let text = value.string {
                catalog[key] = .plain(TextTemplate(text))
            } else if let forms = ConfigTable(value, in: table) {
                catalog[key] = .plural(try plural(forms, key, language))
            } else {
                throw table.fault(of: key, "\(key.printable) is a text, or a table of plural forms")
            }
        }
        return catalog
    }

    private static func plural(
        _ table: ConfigTable, _ key: String, _ language: String
    ) throws(ConfigError) -> [PluralCategory: TextTemplate] {
        let needed = PluralCategory.all(in: language)
        try table.check(known: PluralCategory.allCases.map(\.rawValue))
        var forms: [PluralCategory: TextTemplate] = [:]
        for category in PluralCategory.allCases {
            if let text = try table.string(category.rawValue) { forms[category] = TextTemplate(text) }
        }
        guard let missing = needed.subtracting(forms.keys).map(\.rawValue).min() else { return forms }
        throw table.fault("\(key.printable) lacks the form \(missing)")
    }
}
