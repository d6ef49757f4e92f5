import System

/// Holds a stranger's text as one line for people: of limited length, with single spaces and without
/// characters that steer the display or show nothing.
struct OneLine {
    let text: String

    /// Cleans a text; nil when nothing is left.
    ///
    /// - Parameter maxBytes: the longest text, in UTF-8.
    init?(_ given: String, maxBytes: Int = 300) {
        var result = ""
        for scalar in given.unicodeScalars.prefix(4 * maxBytes) {
            if scalar.properties.isWhitespace || scalar.properties.generalCategory == .control {
                if !result.isEmpty, result.last != " " { result.append(" ") }
            } else if !scalar.steersDisplay && !scalar.showsNothing {
                result.unicodeScalars.append(scalar)
            }
        }
        while result.utf8.count > maxBytes { result.removeLast() }
        if result.last == " " { result.removeLast() }
        guard result.unicodeScalars.contains(where: { $0.properties.generalCategory != .format }) else { return nil }
        text = result
    }
}
