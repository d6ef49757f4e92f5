import HTTP
import JSON

/// Names for files that a person gets; made from text of strangers, so never used as a path here.
enum FileName {
    /// The name that the server gave, or the last part of the URL's path.
    static func suggested(by head: HTTPHead) -> String? {
        if let name = head.headers["Content-Disposition"].flatMap(disposed) { return safe(name) }
        let path = head.effectiveURL.prefix { $0 != "?" && $0 != "#" }.dropFirst("https://".count)
        guard let last = path.split(separator: "/").dropFirst().last else { return nil }
        return percentDecoded(last).flatMap(safe)
    }

    /// A name with an extension in place of the one that it has, if that looks like one.
    static func make(_ base: String?, fallback: String, fileExtension: String) -> String {
        let name = base.flatMap(safe) ?? fallback
        return "\(stem(name)).\(fileExtension)"
    }

    /// The name without its extension.
    static func stem(_ name: String) -> String {
        guard let dot = name.lastIndex(of: "."), dot > name.startIndex else { return name }
        let ending = name[name.index(after: dot)...]
        let looksLikeExtension =
            (1...5).contains(ending.utf8.count) && ending.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) }
        return looksLikeExtension ? String(name[..<dot]) : name
    }

    /// One line without what is special in paths or invisible, at most 120 bytes; nil when nothing is left.
    static func safe(_ text: String) -> String? {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .surrogate, .unassigned: continue
            default: break
            }
            result.unicodeScalars.append("/\\:*?\"<>|".unicodeScalars.contains(scalar) ? "_" : scalar)
        }
        let trimmed = result.fileName(cutToBytes: 120).drop { $0 == "." || $0 == " " }
        let end = trimmed.lastIndex { $0 != " " }
        return end.map { String(trimmed[...$0]) }
    }

    /// The file name in a Content-Disposition header (RFC 6266): `filename*` before `filename`.
    private static func disposed(_ header: String) -> String? {
        var plain: String?
        for part in parameters(header) {
            guard let equals = part.firstIndex(of: "=") else { continue }
            let name = part[..<equals].lowercased().filter { $0 != " " }
            let value = part[part.index(after: equals)...]
            if name == "filename*" {
                let fields = value.split(separator: "'", omittingEmptySubsequences: false)
                if fields.count == 3, fields[0].lowercased() == "utf-8", let text = percentDecoded(fields[2]) {
                    return text
                }
            } else if name == "filename" {
                plain = String(value)
            }
        }
        return plain
    }

    /// The parts between semicolons, quotes taken off.
    private static func parameters(_ header: String) -> [String] {
        var parts = [""]
        var isQuoted = false
        var isEscaped = false
        for character in header {
            if isEscaped {
                parts[parts.count - 1].append(character)
                isEscaped = false
            } else if isQuoted, character == "\\" {
                isEscaped = true
            } else if character == "\"" {
                isQuoted.toggle()
            } else if character == ";", !isQuoted {
                parts.append("")
            } else {
                parts[parts.count - 1].append(character)
            }
        }
        return parts
    }
}
