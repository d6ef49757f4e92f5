import HTTP
import JSON

/// A file name as the header says it (RFC 6266): once in ASCII for old readers, once in UTF-8 for the rest.
enum ContentDisposition {
    static let maxNameBytes = 200

    static func attachment(_ fileName: String) -> String {
        let name = harmless(fileName)
        let ascii = String(
            decoding: name.unicodeScalars.map { scalar -> UInt8 in
                let isPlain = (0x20...0x7E).contains(scalar.value) && !"\"\\%".unicodeScalars.contains(scalar)
                return isPlain ? UInt8(scalar.value) : UInt8(ascii: "_")
            }, as: UTF8.self)
        guard ascii != name else { return "attachment; filename=\"\(ascii)\"" }
        return "attachment; filename=\"\(ascii)\"; filename*=UTF-8''\(percentEncoded(name))"
    }

    /// The name in a header; nil when there is none.
    static func fileName(in header: String) -> String? {
        guard header.utf8.count <= 4096 else { return nil }
        var plain: String?
        for parameter in parameters(of: header) {
            switch parameter.name {
            case "filename*":
                guard parameter.value.lowercased().hasPrefix("utf-8'"),
                    let quote = parameter.value.lastIndex(of: "'"),
                    let decoded = percentDecoded(parameter.value[parameter.value.index(after: quote)...])
                else { continue }
                return nonEmpty(harmless(decoded))
            case "filename":
                plain = nonEmpty(harmless(parameter.value))
            default:
                continue
            }
        }
        return plain
    }

    /// A name without anything that makes a path or a second header of it, cut to a length that every disk takes.
    static func harmless(_ name: String) -> String {
        var result = ""
        for character in name.fileName(cutToBytes: maxNameBytes) {
            let isControl = character.unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }
            result += isControl || character == "/" || character == "\\" ? "_" : String(character)
        }
        return result == "." || result == ".." ? "_" : result
    }

    private static func nonEmpty(_ name: String) -> String? { name.isEmpty ? nil : name }

    /// `a; b=c; d="e; f"` as names (lower case) and unquoted values.
    private static func parameters(of header: String) -> [(name: String, value: String)] {
        var pieces: [String] = [""]
        var isQuoted = false
        var isEscaped = false
        for character in header {
            if isEscaped {
                isEscaped = false
            } else if isQuoted, character == "\\" {
                isEscaped = true
                continue
            } else if character == "\"" {
                isQuoted.toggle()
                continue
            } else if character == ";", !isQuoted {
                pieces.append("")
                continue
            }
            pieces[pieces.count - 1].append(character)
        }
        return pieces.compactMap { piece in
            guard let equals = piece.firstIndex(of: "=") else { return nil }
            let trimmed = { (text: Substring) in text.split(separator: " ").joined(separator: " ") }
            return (trimmed(piece[..<equals]).lowercased(), trimmed(piece[piece.index(after: equals)...]))
        }
    }
}
