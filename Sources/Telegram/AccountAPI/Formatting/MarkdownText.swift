import BotAPI

/// Parses a text with `parse_mode` MarkdownV2.
struct MarkdownText {
    private enum Mark: Equatable {
        case toggle(FormattedTextBuilder.Kind)
        case link, emoji
    }

    private struct Open {
        let mark: Mark
        let start: Int
        let at: Int
        let order: Int
    }

    private static let reserved = Set("_*[]()~`>#+-=|{}.!".unicodeScalars)
    /// The marks that begin and end an entity, longer marks before shorter ones.
    private static let toggles: [(mark: String, kind: FormattedTextBuilder.Kind)] = [
        ("||", .spoiler), ("__", .underline), ("*", .bold), ("_", .italic), ("~", .strikethrough),
    ]

    private let source: [Unicode.Scalar]
    private var at = 0
    private var builder = FormattedTextBuilder()
    private var open: [Open] = []
    private var quote: (start: Int, isExpandable: Bool)?
    private var order = 0

    init(_ source: String) { self.source = Array(source.unicodeScalars) }

    mutating func parse() throws(TelegramError) -> FormattedTextBuilder {
        while at < source.count {
            if at == 0 || source[at - 1] == "\n", quoteLine() { continue }
            try step()
        }
        endQuote()
        if let last = open.last { throw unended(at: last.at) }
        return builder
    }

    private func starts(_ mark: String) -> Bool { source[at...].starts(with: mark.unicodeScalars) }

    private func unended(at place: Int) -> TelegramError {
        let offset = String(String.UnicodeScalarView(source[..<place])).utf8.count
        return FormattedText.refusal("Can't find end of the entity starting at byte offset \(offset)")
    }

    private mutating func step() throws(TelegramError) {
        let scalar = source[at]
        if scalar == "\\", at + 1 < source.count, source[at + 1].isASCII {
            builder.append(source[at + 1])
            at += 2
        } else if starts("```") {
            try preformatted()
        } else if scalar == "`" {
            try code()
        } else if try toggle() {
            return
        } else if scalar == "[" || starts("![") {
            begin(scalar == "[" ? .link : .emoji, width: scalar == "[" ? 1 : 2)
        } else if scalar == "]", let last = open.last, last.mark == .link || last.mark == .emoji {
            try endLink()
        } else if MarkdownText.reserved.contains(scalar) {
            throw FormattedText.refusal(
                "Character '\(scalar)' is reserved and must be escaped with the preceding '\\'")
        } else {
            builder.append(scalar)
            at += 1
        }
    }

    private mutating func begin(_ mark: Mark, width: Int) {
        order += 1
        open.append(Open(mark: mark, start: builder.length, at: at, order: order))
        at += width
    }

    private mutating func toggle() throws(TelegramError) -> Bool {
        guard let (mark, kind) = MarkdownText.toggles.first(where: { starts($0.mark) }) else { return false }
        if let last = open.last, last.mark == .toggle(kind) {
            end(kind)
            at += mark.count
        } else if mark == "__", open.last?.mark == .toggle(.italic),
            open.contains(where: { $0.mark == .toggle(.underline) })
        {
            // The first of three underscores ends the italic text.
            end(.italic)
            at += 1
        } else if let same = open.first(where: { $0.mark == .toggle(kind) }) {
            throw unended(at: same.at)
        } else if mark == "||", quote != nil, at + 2 == source.count || source[at + 2] == "\n" {
            // It marks the quotation as expandable.
            quote?.isExpandable = true
            at += 2
        } else {
            begin(.toggle(kind), width: mark.count)
        }
        return true
    }

    private mutating func end(_ kind: FormattedTextBuilder.Kind) {
        guard let last = open.popLast() else { return }
        builder.add(kind, from: last.start, order: last.order)
    }

    /// Reads text in which only backslashes have a meaning.
    private mutating func raw(until mark: String, from start: Int) throws(TelegramError) -> [Unicode.Scalar] {
        var text: [Unicode.Scalar] = []
        while at < source.count, !starts(mark) {
            if source[at] == "\\", at + 1 < source.count { at += 1 }
            text.append(source[at])
            at += 1
        }
        guard at < source.count else { throw unended(at: start) }
        at += mark.count
        return text
    }

    private mutating func code() throws(TelegramError) {
        let (start, place) = (builder.length, at)
        at += 1
        builder.append(try raw(until: "`", from: place))
        builder.add(.code, from: start, order: order + 1)
    }

    private mutating func preformatted() throws(TelegramError) {
        let (start, place) = (builder.length, at)
        at += 3
        let word = source[at...].prefix { !$0.properties.isWhitespace && $0 != "`" }
        var language = ""
        if word.endIndex < source.count, source[word.endIndex] == "\n" {
            language = String(String.UnicodeScalarView(word))
            at = word.endIndex + 1
        }
        builder.append(try raw(until: "```", from: place))
        builder.add(.pre(language: language), from: start, order: order + 1)
    }

    private mutating func endLink() throws(TelegramError) {
        guard let last = open.popLast() else { return }
        at += 1
        var url = ""
        if at < source.count, source[at] == "(" {
            at += 1
            url = String(String.UnicodeScalarView(try raw(until: ")", from: last.at)))
        }
        guard last.mark == .emoji else {
            let target = url.isEmpty ? builder.text(from: last.start) : url
            return builder.add(.link(target), from: last.start, order: last.order)
        }
        guard url.hasPrefix("tg://emoji?id="), let id = Int64(url.dropFirst("tg://emoji?id=".count)) else {
            throw FormattedText.refusal("Custom emoji URL must have scheme tg")
        }
        builder.add(.emoji(id), from: last.start, order: last.order)
    }

    /// Begins, continues or ends a quotation at the beginning of a line.
    ///
    /// - Returns: whether the line has a quotation mark, which is then read.
    private mutating func quoteLine() -> Bool {
        let isExpandable = starts("**>")
        guard isExpandable || starts(">") else {
            endQuote()
            return false
        }
        if isExpandable { endQuote() }
        if quote == nil { quote = (builder.length, isExpandable) }
        at += isExpandable ? 3 : 1
        return true
    }

    private mutating func endQuote() {
        guard let (start, isExpandable) = quote else { return }
        quote = nil
        let end = builder.text.hasSuffix("\n") ? builder.length - 1 : builder.length
        builder.add(.quote(isExpandable: isExpandable), from: start, to: end, order: -1)
    }
}
