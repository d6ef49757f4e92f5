/// Represents a command as it was written in a chat: its word, in lower case and without a bot's name, and its arguments.
package struct WrittenCommand: Sendable {
    package let word: String
    package let arguments: [String]
    /// Is true if a question mark follows the word: `.vdl? https://…` asks to be asked.
    package let isQuestion: Bool

    /// Reads a message's text; returns nil if it is empty, or a command for another bot.
    ///
    /// - Parameter bot: the user name of the bot that received the message; nil if it is not known.
    package init?(_ text: String, bot: String?) {
        let words = text.words
        guard let first = words.first, first.utf8.count <= 64 else { return nil }
        // In a group, a menu writes `/vdl` as `/vdl@some_bot`.
        let parts = first.hasPrefix("/") ? first.split(separator: "@", maxSplits: 1).map(String.init) : [first]
        if parts.count > 1, let bot, parts[1].lowercased() != bot.lowercased() { return nil }
        let word = parts[0].lowercased()
        isQuestion = WrittenCommand.isMarked(word) && word.hasSuffix("?")
        self.word = isQuestion ? String(word.dropLast()) : word
        arguments = Array(words.dropFirst())
    }

    package init(word: String, arguments: [String], isQuestion: Bool = false) {
        (self.word, self.arguments, self.isQuestion) = (word, arguments, isQuestion)
    }

    /// The word with a dot in place of a slash.
    package var dotted: String { WrittenCommand.dotted(word) }

    /// Returns a command word with a dot in place of a slash.
    package static func dotted(_ word: String) -> String { word.hasPrefix("/") ? ".\(word.dropFirst())" : word }

    /// Returns whether a word looks like a command: a dot or a slash, and then a letter.
    package static func isMarked(_ word: String) -> Bool {
        guard let first = word.first, first == "." || first == "/" else { return false }
        return word.dropFirst().first?.isLetter == true
    }
}

extension String {
    /// The words between white space.
    var words: [String] {
        guard utf8.allSatisfy({ $0 < 0x80 }) else { return split(whereSeparator: \.isWhitespace).map(String.init) }
        // Most messages are of ASCII characters, and comparing bytes takes a fraction of the time.
        return utf8.split { $0 == 0x20 || (0x09...0x0D).contains($0) }.map { String(Substring($0)) }
    }
}
