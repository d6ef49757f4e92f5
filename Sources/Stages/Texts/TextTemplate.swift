/// A value that takes the place of a placeholder.
package enum TextValue: Sendable, Equatable {
    /// A name, a title, a command: anything whose direction of writing may differ from that of the text around it.
    case text(String)
    case number(Int64)
    /// A text that is part of the sentence, or of its markup, and stands as it is.
    case raw(String)

    var isEmpty: Bool {
        switch self {
        case .text(let text), .raw(let text): text.isEmpty
        case .number: false
        }
    }
}

/// A text with placeholders in braces: `Hello, {name}!`.
package struct TextTemplate: Sendable, Equatable {
    enum Piece: Sendable, Equatable {
        case literal(String)
        case placeholder(String)
    }

    let pieces: [Piece]

    /// Reads a template. A brace that encloses no name stands for itself.
    package init(_ text: String) {
        var pieces: [Piece] = []
        var literal = ""
        var rest = text[...]
        while let open = rest.firstIndex(of: "{") {
            let name = rest[rest.index(after: open)...].prefix { $0.isLowercase || $0 == "_" }
            literal += rest[..<open]
            if !name.isEmpty, name.endIndex < rest.endIndex, rest[name.endIndex] == "}" {
                if !literal.isEmpty { pieces.append(.literal(literal)) }
                literal = ""
                pieces.append(.placeholder(String(name)))
                rest = rest[rest.index(after: name.endIndex)...]
            } else {
                literal += "{"
                rest = rest[rest.index(after: open)...]
            }
        }
        literal += rest
        if !literal.isEmpty { pieces.append(.literal(literal)) }
        self.pieces = pieces
    }

    /// The names of the placeholders.
    package var placeholders: Set<String> {
        Set(pieces.compactMap { if case .placeholder(let name) = $0 { name } else { nil } })
    }

    /// Fills in the values.
    ///
    /// - Parameters:
    ///   - isRightToLeft: whether the text is in a language that is written from right to left.
    ///   - isHTML: whether the template is Telegram's HTML, into which values are written escaped.
    ///   - isWhole: whether lines of the template are lines of the result.
    package func filled(
        _ values: [String: TextValue], isRightToLeft: Bool, isHTML: Bool, isWhole: Bool = true
    ) -> String {
        pieces.indices.map { index in
            switch pieces[index] {
            case .literal(let text): return text
            case .placeholder(let name):
                switch values[name] {
                case .text(let text)?:
                    let isLine = isWhole && isLine(index)
                    let shown =
                        isLine ? Direction.unmarked(text) : Direction.isolated(text, always: isRightToLeft)
                    return isHTML ? shown.escapedForHTML : shown
                case .number(let number)?: return "\(number)"
                case .raw(let text)?: return text
                case nil: return ""
                }
            }
        }.joined()
    }

    /// Returns whether a piece has a line to itself, which then is written in its own direction.
    private func isLine(_ index: Int) -> Bool {
        let (before, behind) = (index - 1, index + 1)
        let beginsLine: Bool =
            if case .literal(let text)? = before >= 0 ? pieces[before] : nil { text.last == "\n" } else { before < 0 }
        let endsLine: Bool =
            if case .literal(let text)? = behind < pieces.count ? pieces[behind] : nil {
                text.first == "\n"
            } else {
                behind == pieces.count
            }
        return beginsLine && endsLine
    }

    /// Fills in the values, without the parts that have none: of a line, the parts between ` · ` whose placeholders are all
    /// empty, and the lines without a part.
    package func filledLines(_ values: [String: TextValue], isRightToLeft: Bool, isHTML: Bool) -> String {
        let separator = " · "
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let filled = lines.compactMap { line -> String? in
            let all = String(line).components(separatedBy: separator)
            let parts = all.compactMap { part -> String? in
                let template = TextTemplate(part)
                let names = template.placeholders
                if !names.isEmpty, names.allSatisfy({ values[$0]?.isEmpty ?? true }) { return nil }
                return template.filled(
                    values, isRightToLeft: isRightToLeft, isHTML: isHTML, isWhole: all.count == 1)
            }
            return parts.isEmpty ? nil : parts.joined(separator: separator)
        }
        return filled.joined(separator: "\n")
    }

    private var text: String {
        pieces.map { piece in
            switch piece {
            case .literal(let text): text
            case .placeholder(let name): "{\(name)}"
            }
        }.joined()
    }
}

extension String {
    /// Returns the parts of the text between the occurrences of a separator.
    fileprivate func components(separatedBy separator: String) -> [String] {
        var parts: [String] = []
        var rest = self[...]
        while let found = rest.firstRange(of: separator) {
            parts.append(String(rest[..<found.lowerBound]))
            rest = rest[found.upperBound...]
        }
        return parts + [String(rest)]
    }

    /// The text with the characters that Telegram's HTML reserves written as entities.
    package var escapedForHTML: String {
        var output = ""
        for character in unicodeScalars {
            switch character {
            case "&": output += "&amp;"
            case "<": output += "&lt;"
            case ">": output += "&gt;"
            case "\"": output += "&quot;"
            default: output.unicodeScalars.append(character)
            }
        }
        return output
    }
}

/// Keeps the direction of a name from changing the order of the text around it.
package enum Direction {
    /// Returns a text between isolating marks (U+2068, U+2069) if it holds letters that are written from right to left.
    ///
    /// The text's own marks of embedding and isolation are left out: an unbalanced one would reach into the text behind it.
    ///
    /// - Parameter always: whether the text around it is written from right to left.
    package static func isolated(_ text: String, always: Bool = false) -> String {
        let kept = unmarked(text)
        guard !kept.isEmpty, always || kept.unicodeScalars.contains(where: { isRightToLeft($0.value) }) else {
            return kept
        }
        return "\u{2068}\(kept)\u{2069}"
    }

    /// Returns a text that stands on a line of its own, without its marks of embedding and isolation.
    ///
    /// The letters of the line give it its direction. Within an isolation they would not: it would run from left to right.
    package static func unmarked(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.filter { !isMark($0.value) }))
    }

    private static func isMark(_ scalar: UInt32) -> Bool {
        (0x202a...0x202e).contains(scalar) || (0x2066...0x2069).contains(scalar)
    }

    private static func isRightToLeft(_ scalar: UInt32) -> Bool {
        (0x590...0x8ff).contains(scalar) || scalar == 0x200f || (0xfb1d...0xfdff).contains(scalar)
            || (0xfe70...0xfefe).contains(scalar) || (0x10800...0x10fff).contains(scalar)
            || (0x1e800...0x1efff).contains(scalar)
    }
}
