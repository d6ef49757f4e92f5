/// Names the words that Telegram shows as hashtags.
package enum Hashtags {
    /// The most hashtags of one request.
    package static let most = 10
    private static let longest = 64

    /// Returns the word of `#word`; nil for other texts.
    package static func tag(_ text: String) -> String? {
        guard text.hasPrefix("#") else { return nil }
        let word = String(text.dropFirst())
        return isOne(word) ? word : nil
    }

    /// Returns whether a word consists of what a hashtag may have in Telegram, and is no number: letters with their marks, decimal
    /// digits, underscores, middle dots, and the joiner that Persian writes within words.
    package static func isOne(_ word: String) -> Bool {
        !word.isEmpty && word.utf16.count <= longest
            && word.unicodeScalars.allSatisfy { $0 == "_" || $0 == "\u{b7}" || $0 == "\u{200c}" || isLetterOrDigit($0) }
            && word.contains(where: \.isLetter)
    }

    private static func isLetterOrDigit(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .nonspacingMark,
            .spacingMark, .enclosingMark, .decimalNumber:
            true
        default: false
        }
    }
}
