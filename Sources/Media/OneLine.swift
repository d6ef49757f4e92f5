/// Holds a stranger's text as one line for people: of limited length, with single spaces and without control or
/// formatting characters.
struct OneLine {
    let text: String

    /// Cleans a text; nil when nothing is left.
    ///
    /// - Parameter maxBytes: the longest text, in UTF-8.
    init?(_ given: String, maxBytes: Int = 300) {
        var result = ""
        for scalar in given.unicodeScalars.prefix(4 * maxBytes) {
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator, .spaceSeparator:
                if !result.isEmpty, result.last != " " { result.append(" ") }
            // The joiner holds emoji together. The other formatting characters reorder or hide text.
            case .format where scalar != "\u{200D}", .surrogate, .unassigned: continue
            default: result.unicodeScalars.append(scalar)
            }
        }
        while result.utf8.count > maxBytes { result.removeLast() }
        if result.last == " " { result.removeLast() }
        guard !result.isEmpty else { return nil }
        text = result
    }
}
