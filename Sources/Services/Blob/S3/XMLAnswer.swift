/// Finds the few elements of S3's small XML answers that matter, without a parser: nothing is expanded, nested or
/// fetched.
struct XMLAnswer {
    static let maxBytes = 1 << 20
    private static let maxValueBytes = 4096

    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = Array(bytes.prefix(XMLAnswer.maxBytes)) }

    /// Returns the text of the first element of this name that holds text only; nil when there is none, or it is over
    /// 4 KiB.
    func text(_ element: String) -> String? {
        guard let start = position(of: "<\(element)>", from: 0), let end = position(of: "<", from: start),
            matches("</\(element)>", at: end - 1), end - 1 - start <= XMLAnswer.maxValueBytes
        else { return nil }
        return XMLAnswer.unescaped(bytes[start..<(end - 1)])
    }

    /// Returns the contents of all elements of this name that do not contain one of the same name.
    func elements(_ element: String) -> [XMLAnswer] {
        var found: [XMLAnswer] = []
        var index = 0
        while let start = position(of: "<\(element)>", from: index),
            let end = position(of: "</\(element)>", from: start)
        {
            found.append(XMLAnswer(Array(bytes[start..<(end - element.utf8.count - 3)])))
            index = end
        }
        return found
    }

    /// Is true if the answer is an error in S3's form.
    var isError: Bool { isRoot("Error") }

    /// Returns whether the document's root element has this name.
    func isRoot(_ element: String) -> Bool {
        var start = position(of: "<", from: 0)
        while let found = start, matches("?", at: found) || matches("!", at: found) {
            start = position(of: "<", from: found)
        }
        guard let start, matches(element, at: start) else { return false }
        return [">", " ", "/"].contains { matches(element + $0, at: start) }
    }

    /// Returns the position after the first `pattern`.
    private func position(of pattern: String, from start: Int) -> Int? {
        let wanted = Array(pattern.utf8)
        guard let first = wanted.first else { return nil }
        var index = start
        while let candidate = bytes[index...].firstIndex(of: first) {
            if matches(pattern, at: candidate) { return candidate + wanted.count }
            index = candidate + 1
        }
        return nil
    }

    private func matches(_ pattern: String, at index: Int) -> Bool {
        bytes[min(index, bytes.count)...].starts(with: pattern.utf8)
    }

    private static func unescaped(_ text: ArraySlice<UInt8>) -> String {
        var output = ""
        var rest = Substring(String(decoding: text, as: UTF8.self))
        while let ampersand = rest.firstIndex(of: "&") {
            output += rest[..<ampersand]
            rest = rest[rest.index(after: ampersand)...]
            guard let end = rest.prefix(10).firstIndex(of: ";"), let scalar = scalar(rest[..<end]) else {
                output += "&"
                continue
            }
            output.unicodeScalars.append(scalar)
            rest = rest[rest.index(after: end)...]
        }
        return output + rest
    }

    private static func scalar(_ entity: Substring) -> Unicode.Scalar? {
        switch entity {
        case "amp": return "&"
        case "lt": return "<"
        case "gt": return ">"
        case "quot": return "\""
        case "apos": return "'"
        default:
            guard entity.first == "#" else { return nil }
            let digits = entity.dropFirst()
            let isHex = digits.first == "x"
            return UInt32(isHex ? digits.dropFirst() : digits, radix: isHex ? 16 : 10).flatMap(Unicode.Scalar.init)
        }
    }

    static func escaped(_ text: String) -> String {
        var output = ""
        for character in text {
            switch character {
            case "&": output += "&amp;"
            case "<": output += "&lt;"
            case ">": output += "&gt;"
            case "\"": output += "&quot;"
            default: output.append(character)
            }
        }
        return output
    }
}
