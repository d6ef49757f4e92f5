package import Payloads

/// Holds the form in which a person wants media if a request does not say otherwise (`/prefer`).
package struct MediaPreferences: Sendable, Equatable {
    package var maxHeight: Int64?
    package var audioFormat: MediaVariant.AudioFormat?
    package var isFile = false

    package static let none = MediaPreferences()

    package init() {}

    /// Reads words such as `720 opus file`; returns nil if one of them is something else, or if there is none.
    package init?(_ words: [String]) {
        let wish = MediaWish(words)
        (maxHeight, audioFormat) = (wish.variant.maxHeight, wish.variant.audioFormat)
        isFile = wish.isFile == true
        // What a preference cannot hold, such as a part or a second height, must not be lost silently.
        let count = [maxHeight != nil, audioFormat != nil, isFile].count { $0 }
        guard count > 0, count == words.count else { return nil }
    }

    /// Returns the preferences that the words behind `/prefer` set, where `off` resets them; nil for words that set none.
    package static func change(_ words: [String]) -> MediaPreferences? {
        words.map { $0.lowercased() } == ["off"] ? MediaPreferences.none : MediaPreferences(words)
    }

    /// Reads what `text` has written; what is damaged counts as no preference.
    package init(stored text: String?) {
        let words = text?.split(separator: " ").map(String.init) ?? []
        self = MediaPreferences(words) ?? .none
    }

    /// The preferences as a person writes them: `720 opus file`; empty if there are none.
    package var text: String {
        let words = [maxHeight.map { "\($0)" }, audioFormat?.rawValue, isFile ? "file" : nil]
        return words.compactMap { $0 }.joined(separator: " ")
    }
}
