import JSON

/// Reads and writes the file name of a Content-Disposition header (RFC 6266).
package enum ContentDisposition {
    /// A longer header is not read.
    private static let maxHeaderBytes = 4096

    /// Returns the header for a name: in ASCII for old readers and, when that is not the whole name, in UTF-8 as well.
    package static func attachment(_ name: String) -> String {
        let ascii = String(
            decoding: name.unicodeScalars.map { scalar -> UInt8 in
                let isPlain = (0x20...0x7E).contains(scalar.value) && !"\"\\%".unicodeScalars.contains(scalar)
                return isPlain ? UInt8(scalar.value) : UInt8(ascii: "_")
            }, as: UTF8.self)
        guard ascii != name else { return "attachment; filename=\"\(ascii)\"" }
        return "attachment; filename=\"\(ascii)\"; filename*=UTF-8''\(percentEncoded(name))"
    }

    /// Returns the name in a header as the sender wrote it, which need not be a safe file name: `filename*` in UTF-8 before
    /// `filename`; nil when there is none, or it is empty.
    package static func fileName(in header: String) -> String? {
        guard header.utf8.count <= maxHeaderBytes else { return nil }
        var plain: String?
        for parameter in parameters(of: header) where !parameter.value.isEmpty {
            switch parameter.name {
            case "filename*":
                let fields = parameter.value.split(separator: "'", maxSplits: 2, omittingEmptySubsequences: false)
                if fields.count == 3, fields[0].lowercased() == "utf-8", let name = percentDecoded(fields[2]),
                    !name.isEmpty
                {
                    return name
                }
            case "filename": plain = parameter.value
            default: continue
            }
        }
        return plain
    }

    /// Splits `a; b=c; d="e; f"` into names (lower case) and values without quotes.
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
            return (trimmed(piece[..<equals]).lowercased(), trimmed(piece[piece.index(after: equals)...]))
        }
    }

    private static func trimmed(_ text: Substring) -> String {
        let start = text.drop { $0 == " " }
        return start.lastIndex { $0 != " " }.map { String(start[...$0]) } ?? ""
    }
}
