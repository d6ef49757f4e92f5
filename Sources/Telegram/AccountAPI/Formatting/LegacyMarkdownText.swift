import BotAPI

/// Parses a text with `parse_mode` Markdown, the legacy mode, in which entities cannot be nested.
struct LegacyMarkdownText {
    private let source: [Unicode.Scalar]
    private var at = 0
    private var builder = FormattedTextBuilder()

    init(_ source: String) { self.source = Array(source.unicodeScalars) }

    mutating func parse() throws(TelegramError) -> FormattedTextBuilder {
        while at < source.count {
            switch source[at] {
            case "\\" where at + 1 < source.count && "_*`[".unicodeScalars.contains(source[at + 1]):
                builder.append(source[at + 1])
                at += 2
            case "*": try piece("*", .bold)
            case "_": try piece("_", .italic)
            case "`" where source[at...].starts(with: "```".unicodeScalars): try preformatted()
            case "`": try piece("`", .code)
            case "[": try link()
            case let scalar:
                builder.append(scalar)
                at += 1
            }
        }
        return builder
    }

    /// Returns the text between `mark`, which is here, and the next `end`, and moves behind that.
    private mutating func content(_ mark: String, until end: String) throws(TelegramError) -> ArraySlice<Unicode.Scalar>
    {
        let (place, start) = (at, at + mark.count)
        at = start
        while at < source.count, !source[at...].starts(with: end.unicodeScalars) { at += 1 }
        guard at < source.count else { throw unended(at: place) }
        defer { at += end.count }
        return source[start..<at]
    }

    private func unended(at place: Int) -> TelegramError {
        let offset = String(String.UnicodeScalarView(source[..<place])).utf8.count
        return FormattedText.refusal("Can't find end of the entity starting at byte offset \(offset)")
    }

    private mutating func piece(_ mark: String, _ kind: FormattedTextBuilder.Kind) throws(TelegramError) {
        let start = builder.length
        builder.append(try content(mark, until: mark))
        builder.add(kind, from: start)
    }

    private mutating func preformatted() throws(TelegramError) {
        let start = builder.length
        var content = try content("```", until: "```")
        var language = ""
        if let end = content.firstIndex(of: "\n"), !content[..<end].contains(where: \.properties.isWhitespace) {
            language = String(String.UnicodeScalarView(content[..<end]))
            content = content[(end + 1)...]
        }
        builder.append(content)
        builder.add(.pre(language: language), from: start)
    }

    private mutating func link() throws(TelegramError) {
        let (start, place) = (builder.length, at)
        let label = try content("[", until: "]")
        guard at < source.count, source[at] == "(" else { throw unended(at: place) }
        let url = String(String.UnicodeScalarView(try content("(", until: ")")))
        builder.append(label)
        builder.add(.link(url.isEmpty ? builder.text(from: start) : url), from: start)
    }
}
