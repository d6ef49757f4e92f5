import System

/// Writes HTML in which no value can be anything but text.
struct HTML: ExpressibleByStringInterpolation, Sendable {
    let source: String

    /// Takes a literal of the source code.
    init(stringLiteral value: String) { source = value }

    /// Takes what a trace is drawn as, in which all values are escaped.
    init(_ trace: TraceHTML) { source = trace.body }

    /// Makes lines of text.
    init(lines: [String]) { source = lines.map(HTML.escaped).joined(separator: "\n") }

    init(stringInterpolation: Interpolation) { source = stringInterpolation.source }

    /// Marks as text what comes from outside. Values become text unless they are HTML already.
    struct Interpolation: StringInterpolationProtocol {
        fileprivate var source = ""

        init(literalCapacity: Int, interpolationCount: Int) { source.reserveCapacity(literalCapacity) }

        mutating func appendLiteral(_ literal: String) { source += literal }
        mutating func appendInterpolation(_ text: String) { source += HTML.escaped(text) }
        mutating func appendInterpolation(_ number: Int) { source += "\(number)" }
        mutating func appendInterpolation(_ html: HTML) { source += html.source }
        mutating func appendInterpolation(_ parts: [HTML]) { for part in parts { source += part.source } }
    }

    /// Returns a text for content and attributes. Characters that steer the display become spaces.
    static func escaped(_ text: String) -> String {
        text.printable.unicodeScalars.reduce(into: "") { text, scalar in
            switch scalar {
            case "&": text += "&amp;"
            case "<": text += "&lt;"
            case ">": text += "&gt;"
            case "\"": text += "&quot;"
            case "'": text += "&#39;"
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}
