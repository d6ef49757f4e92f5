import BotAPI
import JSON

/// Splits a formatted text into plain text and entities, which is the form that Telegram requires of an account.
///
/// Source: https://core.telegram.org/bots/api#formatting-options
struct FormattedText: Equatable {
    private(set) var text = ""
    /// `MessageEntity` objects of TL, the outer before the inner; offsets and lengths in UTF-16 units.
    private(set) var entities: [JSON] = []

    // Telegram accepts 4096 characters and 100 entities. Markup needs no more bytes than this.
    private static let mostBytes = 1 << 16

    /// - Parameter mode: the Bot API's `parse_mode`; nil for plain text.
    /// - Throws: `TelegramError`, `badRequest`, with the Bot API's message.
    init(_ source: String, mode: String?) throws(TelegramError) {
        guard mode == nil || source.utf8.count <= FormattedText.mostBytes else {
            throw TelegramError(.badRequest, number: 400, "Telegram: message is too long")
        }
        var builder = FormattedTextBuilder()
        switch mode?.lowercased() {
        case nil, "": builder.append(source.unicodeScalars)
        case "html":
            var parser = HTMLText(source)
            builder = try parser.parse()
        case "markdownv2":
            var parser = MarkdownText(source)
            builder = try parser.parse()
        case "markdown":
            var parser = LegacyMarkdownText(source)
            builder = try parser.parse()
        default: throw TelegramError(.badRequest, number: 400, "Telegram: unsupported parse_mode")
        }
        (text, entities) = (builder.text, builder.sorted)
    }

    static func refusal(_ reason: String) -> TelegramError {
        TelegramError(.badRequest, number: 400, "Telegram: can't parse entities: \(reason)")
    }
}

/// Collects the plain text and the entities that a parser finds.
struct FormattedTextBuilder {
    private(set) var text = ""
    /// The value is in UTF-16 units.
    private(set) var length = 0
    private var entities: [(offset: Int, length: Int, order: Int, json: JSON)] = []

    mutating func append(_ scalar: Unicode.Scalar) {
        text.unicodeScalars.append(scalar)
        length += scalar.value > 0xffff ? 2 : 1
    }

    mutating func append(_ scalars: some Sequence<Unicode.Scalar>) {
        for scalar in scalars { append(scalar) }
    }

    /// Returns the text appended since an offset.
    func text(from start: Int) -> String { String(decoding: Array(text.utf16)[start...], as: UTF16.self) }

    /// Adds an entity over the text appended since `start`. An empty entity is left out.
    ///
    /// - Parameter order: among entities with the same extent, the one with the lowest order is the outermost.
    mutating func add(_ kind: Kind, from start: Int, to end: Int? = nil, order: Int = 0) {
        let length = (end ?? self.length) - start
        guard length > 0, let json = kind.entity(start, length) else { return }
        entities.append((start, length, order, json))
    }

    var sorted: [JSON] {
        entities.sorted { ($0.offset, -$0.length, $0.order) < ($1.offset, -$1.length, $1.order) }.map(\.json)
    }

    enum Kind: Equatable {
        case bold, italic, underline, strikethrough, spoiler, code
        case pre(language: String)
        case link(String)
        case emoji(Int64)
        case quote(isExpandable: Bool)

        /// Returns the `MessageEntity`; nil for a link without a usable address.
        func entity(_ offset: Int, _ length: Int) -> JSON? {
            var entity: JSONObject = [
                "_": "", "offset": .integer(Int64(offset)), "length": .integer(Int64(length)),
            ]
            switch self {
            case .bold: entity["_"] = "messageEntityBold"
            case .italic: entity["_"] = "messageEntityItalic"
            case .underline: entity["_"] = "messageEntityUnderline"
            case .strikethrough: entity["_"] = "messageEntityStrike"
            case .spoiler: entity["_"] = "messageEntitySpoiler"
            case .code: entity["_"] = "messageEntityCode"
            case .pre(let language):
                entity["_"] = "messageEntityPre"
                entity["language"] = .string(language)
            case .emoji(let id):
                entity["_"] = "messageEntityCustomEmoji"
                entity["document_id"] = .string("\(id)")
            case .quote(let isExpandable):
                entity["_"] = "messageEntityBlockquote"
                if isExpandable { entity["collapsed"] = true }
            case .link(let url): return Kind.link(to: url, entity)
            }
            return .object(entity)
        }

        private static func link(to url: String, _ extent: JSONObject) -> JSON? {
            var entity = extent
            for prefix in ["tg://user?id=", "tg://user/?id="] where url.hasPrefix(prefix) {
                guard let id = Int64(url.dropFirst(prefix.count)) else { return nil }
                entity["_"] = "inputMessageEntityMentionName"
                entity["user_id"] = .integer(id)
                return .object(entity)
            }
            let hasScheme = url.range(of: "://").map { url[..<$0.lowerBound].allSatisfy { $0.isLetter || $0.isNumber } }
            guard hasScheme == true || (url.contains(".") && !url.contains(where: \.isWhitespace)) else { return nil }
            entity["_"] = "messageEntityTextUrl"
            entity["url"] = .string(hasScheme == true ? url : "http://\(url)")
            return .object(entity)
        }
    }
}

extension String {
    /// Returns the range of the first occurrence of a text.
    fileprivate func range(of text: String) -> Range<String.Index>? { ranges(of: text).first }
}
