import Crypto

/// Replaces words by pseudonyms of the same form: letters by letters, digits by digits, and everything else stays.
///
/// A text keeps its length in UTF-16 units, so that the positions of Telegram's entities still fit. The same word always has the same
/// pseudonym under the same key.
struct Scrambler: Sendable {
    private let key: [UInt8]

    init(key: [UInt8]) { self.key = key }

    /// Returns 32 bytes that depend on a text and the key.
    func code(_ purpose: String, _ text: some StringProtocol) -> [UInt8] { hmacSHA256(key: key, "\(purpose)\n\(text)") }

    /// Returns a number below a limit that depends on a text and the key.
    func number(_ purpose: String, _ text: String, below limit: UInt64) -> UInt64 {
        code(purpose, text).prefix(8).reduce(0) { $0 << 8 | UInt64($1) } % limit
    }

    /// Returns a text with a pseudonym in place of each of its words.
    func text(_ text: some StringProtocol) -> String {
        var result = String.UnicodeScalarView()
        var word: [Unicode.Scalar] = []
        for scalar in text.unicodeScalars {
            if Scrambler.isOfWord(scalar) {
                word.append(scalar)
            } else {
                append(&word, to: &result)
                result.append(scalar)
            }
        }
        append(&word, to: &result)
        return String(result)
    }

    /// Returns the host of a link with a pseudonym in place of each of its labels. The last label becomes one that no domain has.
    func host(_ host: some StringProtocol) -> String {
        let labels = host.split(separator: ".", omittingEmptySubsequences: false)
        return labels.enumerated().map { index, label in
            if index == labels.count - 1 { return String(repeating: "q", count: label.utf16.count) }
            // Digits alone would be an address.
            return String(
                text(label).map {
                    $0.isNumber ? Character(Unicode.Scalar(UInt8(ascii: "g") + UInt8($0.wholeNumberValue ?? 0))) : $0
                }
            )
        }.joined(separator: ".")
    }

    private static func isOfWord(_ scalar: Unicode.Scalar) -> Bool {
        guard scalar.isASCII else { return !scalar.properties.isWhitespace }
        return scalar.properties.isAlphabetic || scalar.properties.numericType != nil
    }

    private func append(_ word: inout [Unicode.Scalar], to result: inout String.UnicodeScalarView) {
        guard !word.isEmpty else { return }
        defer { word = [] }
        let original = String(String.UnicodeScalarView(word))
        var changed = pseudonym(of: word, original, shift: 0)
        // A short word may be its own pseudonym.
        if changed.elementsEqual(word) { changed = pseudonym(of: word, original, shift: 1) }
        result.append(contentsOf: changed)
    }

    private func pseudonym(of word: [Unicode.Scalar], _ original: String, shift: UInt8) -> [Unicode.Scalar] {
        var random: [UInt8] = []
        var blocks = 0
        var result: [Unicode.Scalar] = []
        func next() -> UInt8 {
            if random.isEmpty {
                random = code("word \(blocks)", original)
                blocks += 1
            }
            return random.removeLast()
        }
        for scalar in word {
            let (first, count): (UInt8, UInt8) =
                switch scalar {
                case "0"..."9": (UInt8(ascii: "0"), 10)
                case "A"..."Z": (UInt8(ascii: "A"), 26)
                default: (UInt8(ascii: "a"), 26)
                }
            // A character of two UTF-16 units becomes two letters.
            for _ in 0..<UTF16.width(scalar) {
                result.append(Unicode.Scalar(first + (next() % count + shift) % count))
            }
        }
        return result
    }
}
