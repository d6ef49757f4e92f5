/// The part of a key, in braces, by which a Redis cluster places it.
enum HashTag {
    /// A text that can stand in braces, where the first `}` would end it.
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
