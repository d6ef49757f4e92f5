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

    /// Returns the name in a header without the folders before it, which need not be a safe file name: `filename*`
    /// before `filename`; nil when there is none, or it is empty.
    ///
    /// Servers write `filename` in many forms: percent-encoded, as an encoded word of a mail, in UTF-8 or Latin-1.
    package static func fileName(in header: String) -> String? {
        guard header.utf8.count <= maxHeaderBytes else { return nil }
        var plain: String?
        for parameter in parameters(of: header) {
            switch parameter.name {
            case "filename*": if let name = extended(parameter.value).flatMap(lastPart) { return name }
            case "filename": plain = plain ?? lastPart(decoded(parameter.value))
            default: continue
            }
        }
        return plain
    }

    /// Decodes `UTF-8'en'%E7%8C%AB` (RFC 8187); nil for a value in another form.
    private static func extended(_ value: String) -> String? {
        let fields = value.split(separator: "'", maxSplits: 2, omittingEmptySubsequences: false)
        return fields.count == 3 ? text(percentDecodedBytes(fields[2]), charset: fields[0]) : nil
    }

    private static func decoded(_ value: String) -> String {
        let words = mailWords(value)
        if words != value { return words }
        // A name may have a percent sign of its own.
        return strictlyPercentDecoded(value) ?? value
    }

    /// Decodes the encoded words in a text (RFC 2047): `=?UTF-8?B?…?=` and `=?ISO-8859-1?Q?…?=`.
    private static func mailWords(_ value: String) -> String {
        var result = ""
        var rest = value[...]
        while let start = rest.firstRange(of: "=?") {
            let fields = rest[start.upperBound...].split(separator: "?", maxSplits: 3, omittingEmptySubsequences: false)
            guard fields.count == 4, fields[3].hasPrefix("="),
                let word = mailWordBytes(fields[2], fields[1]).flatMap({ text($0, charset: fields[0]) })
            else { return value }
            // The space between two encoded words is not a part of the text.
            let gap = rest[..<start.lowerBound]
            let isBetweenWords = !result.isEmpty && gap.allSatisfy { $0 == " " }
            if !isBetweenWords { result += gap }
            result += word
            rest = fields[3].dropFirst()
        }
        return result + rest
    }

    private static func mailWordBytes(_ word: Substring, _ encoding: Substring) -> [UInt8]? {
        switch encoding {
        case "B", "b": Base64.decode(String(word))
        case "Q", "q":
            percentDecodedBytes(
                word.replacing("%", with: "%25").replacing("=", with: "%").replacing("_", with: " "))
        default: nil
        }
    }

    private static func text(_ bytes: [UInt8], charset: Substring) -> String? {
        switch charset.lowercased() {
        case "utf-8", "utf8", "us-ascii": String(validating: bytes, as: UTF8.self)
        case "iso-8859-1", "latin1", "windows-1252": String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
        default: nil
        }
    }

    /// Returns what follows the last separator of folders (RFC 6266, 4.3); nil when nothing does.
    private static func lastPart(_ name: String) -> String? {
        name.split(omittingEmptySubsequences: false) { $0 == "/" || $0 == "\\" }.last.map(String.init)
            .flatMap { $0.isEmpty ? nil : $0 }
    }

    /// Splits `a; b=c; d="e; f"` into names (lower case) and values without quotes.
    private static func parameters(of header: String) -> [(name: String, value: String)] {
        var pieces: [String] = [""]
        var isQuoted = false
        var isEscaped = false
        for character in header {
            if isEscaped {
                isEscaped = false
                // A backslash before any other character is one of a Windows path.
                if character != "\"", character != "\\" { pieces[pieces.count - 1].append("\\") }
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
