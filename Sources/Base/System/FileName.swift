/// Makes file names from untrusted text: titles of videos, names in headers, names of uploads.
package enum FileName {
    /// Returns a name of one visible line that holds no path and that every common file system takes.
    ///
    /// Characters that file systems or shells reserve (`/ \ : * ? " < > |`) become `_`. Characters that steer the display,
    /// show nothing, or have no agreed meaning are removed; those that join letters and emoji stay. Leading dots and spaces and trailing
    /// spaces are removed.
    ///
    /// - Parameter maxBytes: the longest name, in UTF-8. A longer one is cut before its extension.
    /// - Returns: nil when nothing is left.
    package static func safe(_ text: String, maxBytes: Int = 200) -> String? {
        var result = ""
        for scalar in text.unicodeScalars {
            if scalar.steersDisplay || scalar.showsNothing { continue }
            if scalar.properties.generalCategory == .privateUse { continue }
            result.unicodeScalars.append("/\\:*?\"<>|".unicodeScalars.contains(scalar) ? "_" : scalar)
        }
        let trimmed = cut(result, toBytes: maxBytes).drop { $0 == "." || isInvisible($0) }
        return trimmed.lastIndex { !isInvisible($0) }.map { String(trimmed[...$0]) }
    }

    private static let joiner: Unicode.Scalar = "\u{200D}"

    private static func isInvisible(_ character: Character) -> Bool {
        character == " " || character == Character(joiner)
    }

    /// Returns a safe name of at most 120 bytes with another extension.
    ///
    /// - Parameters:
    ///   - base: the text that the name is made of; its own extension, if it has one, is dropped.
    ///   - fallback: the name to use when nothing of `base` is left.
    ///   - fileExtension: the new extension, without a dot.
    package static func make(_ base: String?, fallback: String, fileExtension: String) -> String {
        let name = base.flatMap { safe($0, maxBytes: 120) } ?? fallback
        return "\(stem(name)).\(fileExtension)"
    }

    /// Returns a name without its extension: a last dot with one to five letters or digits after it.
    package static func stem(_ name: String) -> String {
        guard let dot = name.lastIndex(of: "."), dot > name.startIndex else { return name }
        let ending = name[name.index(after: dot)...]
        let isExtension = (1...5).contains(ending.utf8.count) && ending.allSatisfy(isPlain)
        return isExtension ? String(name[..<dot]) : name
    }

    /// Cuts a name between two characters to a length in UTF-8. Its extension stays: people and programs go by it.
    package static func cut(_ name: String, toBytes limit: Int) -> String {
        let ending = ending(of: name)
        var stem = ""
        var room = limit - ending.utf8.count
        for character in name.dropLast(ending.count) {
            room -= character.utf8.count
            if room < 0 { break }
            stem.append(character)
        }
        return stem + ending
    }

    /// Returns the last dot and the word of one to eight letters or digits after it; empty when there is none.
    private static func ending(of name: String) -> Substring {
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex else { return "" }
        let ending = name[dot...]
        let isShortWord = (2...9).contains(ending.utf8.count) && ending.dropFirst().allSatisfy(isPlain)
        return isShortWord ? ending : ""
    }

    private static func isPlain(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber)
    }
}
