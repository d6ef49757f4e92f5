/// Matches dotted names as an AMQP topic pattern does: `*` stands for exactly one word, `#` for any number of words or none.
package struct TopicPattern: Sendable, Hashable, CustomStringConvertible {
    private enum Word: Sendable, Hashable {
        case literal([UInt8])
        case one
        case any
    }

    private let words: [Word]
    package let description: String

    /// Parses a pattern. Returns nil for an empty pattern, an empty word, or a word that mixes wildcards and letters.
    package init?(_ text: String) {
        var words: [Word] = []
        for word in text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false) {
            switch word.elementsEqual("*".utf8) ? Word.one : word.elementsEqual("#".utf8) ? .any : .literal(Array(word))
            {
            case .literal(let bytes):
                guard !bytes.isEmpty, !bytes.contains(where: { "*#".utf8.contains($0) || $0 <= 0x20 }) else {
                    return nil
                }
                words.append(.literal(bytes))
            // `#.#` matches the same names as `#`, and would only cost backtracking.
            case .any: if words.last != .any { words.append(.any) }
            case .one: words.append(.one)
            }
        }
        guard !text.isEmpty else { return nil }
        self.words = words
        description = text
    }

    package func matches(_ name: String) -> Bool {
        var name = name
        return name.withUTF8 { matches(UnsafeRawBufferPointer($0)) }
    }

    /// Matches the bytes of a dotted name, in time proportional to the words of the pattern times the words of the name.
    package func matches(_ name: UnsafeRawBufferPointer) -> Bool {
        let topic = name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        var (word, part) = (0, 0)
        var retry: (word: Int, part: Int)?
        while part < topic.count {
            if word < words.count, words[word] == .any {
                retry = (word, part)
                word += 1
            } else if word < words.count, TopicPattern.accepts(words[word], topic[part]) {
                word += 1
                part += 1
            } else if let last = retry {
                retry = (last.word, last.part + 1)
                (word, part) = (last.word + 1, last.part + 1)
            } else {
                return false
            }
        }
        while word < words.count, words[word] == .any { word += 1 }
        return word == words.count
    }

    private static func accepts(_ word: Word, _ part: Slice<UnsafeRawBufferPointer>) -> Bool {
        switch word {
        case .literal(let bytes): part.elementsEqual(bytes)
        case .one, .any: true
        }
    }
}

extension TopicPattern {
    package static let everything = ["#"].compactMap { TopicPattern($0) }
    package static let commands = ["commands.#"].compactMap { TopicPattern($0) }
}
