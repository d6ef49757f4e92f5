import BotAPI

/// Parses a text with `parse_mode` HTML.
struct HTMLText {
    private struct Open {
        let tag: String
        let kind: FormattedTextBuilder.Kind?
        let start: Int
        let order: Int
    }

    private let source: [Unicode.Scalar]
    private var at = 0
    private var builder = FormattedTextBuilder()
    private var open: [Open] = []
    private var order = 0
    /// The last closed `code` element. If the `pre` around it has the same extent, it names that element's language.
    private var lastCode: (start: Int, end: Int, language: String)?

    init(_ source: String) { self.source = Array(source.unicodeScalars) }

    mutating func parse() throws(TelegramError) -> FormattedTextBuilder {
        while at < source.count {
            switch source[at] {
            case "<": try tag()
            case "&": reference()
            default:
                builder.append(source[at])
                at += 1
            }
        }
        if let last = open.last {
            throw FormattedText.refusal("Can't find end tag corresponding to start tag \"\(last.tag)\"")
        }
        return builder
    }

    private static let references: [String: Unicode.Scalar] = ["lt": "<", "gt": ">", "amp": "&", "quot": "\""]

    /// Appends the character that a reference stands for; an invalid reference is plain text.
    private mutating func reference() {
        if let (scalar, end) = HTMLText.reference(source[at...]) {
            builder.append(scalar)
            at = end
        } else {
            builder.append(source[at])
            at += 1
        }
    }

    private static func reference(_ text: ArraySlice<Unicode.Scalar>) -> (Unicode.Scalar, end: Int)? {
        guard let end = text.prefix(12).firstIndex(of: ";") else { return nil }
        let name = String(String.UnicodeScalarView(text[(text.startIndex + 1)..<end]))
        if let known = references[name.lowercased()] { return (known, end + 1) }
        guard name.hasPrefix("#") else { return nil }
        let digits = name.dropFirst()
        let isHex = digits.first == "x" || digits.first == "X"
        guard let number = isHex ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits), number > 0 else {
            return nil
        }
        return Unicode.Scalar(number).map { ($0, end + 1) }
    }

    private mutating func tag() throws(TelegramError) {
        at += 1
        let isEnd = at < source.count && source[at] == "/"
        if isEnd { at += 1 }
        let name = word { !$0.properties.isWhitespace && $0 != ">" && $0 != "/" }.lowercased()
        if isEnd { return try close(name) }
        let attributes = try attributes(of: name)
        guard let kind = try HTMLText.kind(name, attributes) else {
            throw FormattedText.refusal("Unsupported start tag \"\(name)\"")
        }
        order += 1
        open.append(Open(tag: name, kind: kind, start: builder.length, order: order))
    }

    private mutating func word(_ isPart: (Unicode.Scalar) -> Bool) -> String {
        let start = at
        while at < source.count, isPart(source[at]) { at += 1 }
        return String(String.UnicodeScalarView(source[start..<at]))
    }

    /// Reads the attributes of a start tag, and the `>` that ends it.
    private mutating func attributes(of tag: String) throws(TelegramError) -> [String: String] {
        var found: [String: String] = [:]
        while true {
            _ = word { $0.properties.isWhitespace }
            guard at < source.count else { throw FormattedText.refusal("Unclosed start tag \"\(tag)\"") }
            if source[at] == ">" {
                at += 1
                return found
            }
            let name = word { !$0.properties.isWhitespace && $0 != "=" && $0 != ">" }.lowercased()
            guard at < source.count, source[at] == "=" else {
                found[name] = ""
                continue
            }
            at += 1
            found[name] = try value(tag)
        }
    }

    private mutating func value(_ tag: String) throws(TelegramError) -> String {
        guard at < source.count else { throw FormattedText.refusal("Unclosed start tag \"\(tag)\"") }
        let quote = source[at]
        guard quote == "\"" || quote == "'" else { return word { !$0.properties.isWhitespace && $0 != ">" } }
        at += 1
        var value = String.UnicodeScalarView()
        while at < source.count, source[at] != quote {
            if source[at] == "&", let (scalar, end) = HTMLText.reference(source[at...]) {
                value.append(scalar)
                at = end
            } else {
                value.append(source[at])
                at += 1
            }
        }
        guard at < source.count else { throw FormattedText.refusal("Unclosed start tag \"\(tag)\"") }
        at += 1
        return String(value)
    }

    private static func kind(
        _ tag: String, _ attributes: [String: String]
    ) throws(TelegramError) -> FormattedTextBuilder.Kind? {
        switch tag {
        case "b", "strong": return .bold
        case "i", "em": return .italic
        case "u", "ins": return .underline
        case "s", "strike", "del": return .strikethrough
        case "tg-spoiler": return .spoiler
        case "span" where attributes["class"] == "tg-spoiler": return .spoiler
        case "blockquote": return .quote(isExpandable: attributes["expandable"] != nil)
        case "pre": return .pre(language: "")
        case "code": return .pre(language: language(attributes))
        case "a": return .link(attributes["href"] ?? "")
        case "tg-emoji":
            guard let id = attributes["emoji-id"].flatMap({ Int64($0) }) else {
                throw FormattedText.refusal("Invalid custom emoji identifier specified")
            }
            return .emoji(id)
        default: return nil
        }
    }

    private static func language(_ attributes: [String: String]) -> String {
        let name = attributes["class"] ?? ""
        return name.hasPrefix("language-") ? String(name.dropFirst("language-".count)) : ""
    }

    private mutating func close(_ name: String) throws(TelegramError) {
        _ = word { $0.properties.isWhitespace }
        guard at < source.count, source[at] == ">" else { throw FormattedText.refusal("Unclosed end tag \"\(name)\"") }
        at += 1
        guard let last = open.popLast() else { throw FormattedText.refusal("Unexpected end tag \"\(name)\"") }
        guard name.isEmpty || name == last.tag else {
            throw FormattedText.refusal("Unmatched end tag, expected \"</\(last.tag)>\", found \"</\(name)>\"")
        }
        let end = builder.length
        switch last.kind {
        case .pre(let language) where last.tag == "code":
            let isInPre = open.last?.tag == "pre" && open.last?.start == last.start
            if isInPre { lastCode = (last.start, end, language) }
            // The end of the `pre` element shows whether both have the same extent.
            if !isInPre { builder.add(.code, from: last.start, order: last.order) }
        case .pre:
            let isFilled = lastCode.map { $0.start == last.start && $0.end == end } ?? false
            if !isFilled, let code = lastCode, code.start == last.start {
                builder.add(.code, from: code.start, to: code.end, order: last.order + 1)
            }
            builder.add(.pre(language: isFilled ? lastCode?.language ?? "" : ""), from: last.start, order: last.order)
            lastCode = nil
        case .link(""): builder.add(.link(builder.text(from: last.start)), from: last.start, order: last.order)
        case let kind?: builder.add(kind, from: last.start, order: last.order)
        case nil: break
        }
    }
}
