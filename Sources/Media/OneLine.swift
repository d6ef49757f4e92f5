/// Text of a stranger as one line for people: no control or formatting characters, single spaces, bounded.
struct OneLine {
    let text: String

    /// nil when nothing is left.
    init?(_ given: String, maxBytes: Int = 300) {
        var result = ""
        for scalar in given.unicodeScalars.prefix(4 * maxBytes) {
            switch scalar.properties.generalCategory {
            case .control, .lineSeparator, .paragraphSeparator, .spaceSeparator:
                if !result.isEmpty, result.last != " " { result.append(" ") }
            // The joiner holds emoji together; the rest of the format characters reorder or hide text.
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
