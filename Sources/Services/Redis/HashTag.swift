/// Makes hash tags: the part of a key, in braces, by which a Redis cluster chooses the key's node.
enum HashTag {
    /// Returns a text with `}` and `%` percent-encoded, since the first `}` would end the tag.
    static func escaped(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == UInt8(ascii: "}") || $0 == UInt8(ascii: "%") }) else { return text }
        return text.unicodeScalars.reduce(into: "") { text, scalar in
            switch scalar {
            case "}": text += "%7D"
            case "%": text += "%25"
            default: text.unicodeScalars.append(scalar)
            }
        }
    }
}
