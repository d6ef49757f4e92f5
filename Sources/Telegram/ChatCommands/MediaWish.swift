package import Payloads

/// Holds what a person wrote beside a media command's link: the wanted form, and words that mean something else.
///
///     .vdl 720 1:30-2:45 en-subs https://…
///     .adl opus https://…
package struct MediaWish: Sendable, Equatable {
    package var variant = MediaVariant.standard
    /// The kind that a word asks for, whatever the command: `.vdl mp3` means sound.
    package var kind: MediaKind?
    /// Tells whether the media is wanted as a file to keep, or as what Telegram plays; nil if the person does not say.
    package var isFile: Bool?
    /// Is true if the best picture is wanted, whatever the person prefers otherwise.
    package var isBest = false
    /// Hashtags for the caption, without their `#`.
    package var hashtags: [String] = []
    /// Is true if the person wants to be asked.
    package var asks = false
    /// Is true if the person has named a form, so that there is nothing to ask.
    package private(set) var hasChosen = false
    /// The wanted videos of a list: `1-5`, or `3` before the link. Behind it, a number may belong to other words.
    package var items: ItemRange?
    /// The words that belong to no option, in their order.
    package var rest: [String] = []
    /// The first word that looks like an option and is none.
    package var misunderstood: String?

    package init() {}

    /// Reads the words of a command.
    package init(_ command: WrittenCommand) {
        self.init(command.arguments)
        if command.isQuestion { asks = true }
    }

    /// Reads words. Those that are options may stand in any order, before and after a link.
    package init(_ words: [String]) {
        for word in words where !take(word) {
            if misunderstood == nil, rest.isEmpty, MediaWish.looksLikeOption(word) { misunderstood = word }
            rest.append(word)
        }
    }

    /// Takes a word that is an option; returns false for one that is none.
    private mutating func take(_ text: String) -> Bool {
        // Most words are links, and no option begins like one.
        if text.utf8.starts(with: "https://".utf8) || text.utf8.starts(with: "http://".utf8) { return false }
        let word = text.lowercased()
        if let tag = Hashtags.tag(text) {
            if !hashtags.contains(where: { $0.lowercased() == tag.lowercased() }) { hashtags.append(tag) }
        } else if let height = MediaWish.height(word) {
            variant.maxHeight = height
        } else if let format = MediaVariant.AudioFormat(rawValue: word) {
            (variant.audioFormat, kind) = (format, .audio)
        } else if let cut = MediaWish.cut(word) {
            variant.cut = cut
        } else if let items = MediaWish.items(word) {
            self.items = items
        } else if rest.isEmpty, let item = MediaWish.item(word) {
            items = item
        } else if let language = MediaWish.language(word, before: ["subs", "subtitles"]) {
            (variant.subtitles, variant.burnsSubtitles) = (language, false)
        } else if let language = MediaWish.language(word, before: ["hardsubs", "hardsub"]) {
            (variant.subtitles, variant.burnsSubtitles) = (language, true)
        } else if word == "file" {
            (isFile, hasChosen) = (true, true)
        } else if word == "video" {
            (isFile, hasChosen) = (false, true)
        } else if word == "best" {
            (isBest, hasChosen) = (true, true)
        } else if word == "?" {
            asks = true
        } else {
            return false
        }
        return true
    }

    /// Returns the wish, completed by what the person prefers. A person who wants to be asked chooses among all that there is.
    ///
    /// - Parameters:
    ///   - kind: the kind of media that the command asks for. Files to keep are preferred to videos only.
    ///   - source: the source. A file, of a message or behind a link, is not made smaller unless the command says so: there is one
    ///     form of it, and another one would have to be encoded.
    package func completed(
        by preferences: MediaPreferences, for kind: MediaKind, of source: DownloadSource
    ) -> MediaWish {
        guard !asks else { return self }
        var wish = self
        if !isBest, variant.maxHeight == nil, MediaWish.isOfPage(source) {
            wish.variant.maxHeight = preferences.maxHeight
        }
        wish.variant.audioFormat = variant.audioFormat ?? preferences.audioFormat
        if kind == .video { wish.isFile = isFile ?? preferences.isFile }
        return wish
    }

    /// The extensions of videos that a link names directly.
    private static let videoFiles: Set<Substring> = [
        "mp4", "m4v", "mov", "webm", "mkv", "avi", "flv", "mpg", "mpeg", "3gp",
    ]

    /// Returns whether a source is a page, which can offer several forms.
    private static func isOfPage(_ source: DownloadSource) -> Bool {
        guard let url = source.url else { return false }
        let path = url.lowercased().prefix { $0 != "?" && $0 != "#" }
        guard let name = path.split(separator: "/").dropFirst(2).last, let dot = name.lastIndex(of: ".") else {
            return true
        }
        return !videoFiles.contains(name[name.index(after: dot)...])
    }

    private static let namedHeights: [String: Int64] = ["4k": 2160, "2k": 1440, "8k": 4320]

    /// Returns the height of `720`, `720p` or `4k`.
    private static func height(_ word: String) -> Int64? {
        if let known = namedHeights[word] { return known }
        let digits = word.hasSuffix("p") ? word.dropLast() : word[...]
        guard digits.utf8.allSatisfy({ (48...57).contains($0) }), let height = Int64(digits) else { return nil }
        return MediaVariant.heights.contains(height) ? height : nil
    }

    /// Returns the language of `en-subs`; `subs` alone means English.
    private static func language(_ word: String, before endings: [String]) -> String? {
        for ending in endings {
            if word == ending { return "en" }
            guard word.hasSuffix("-\(ending)") else { continue }
            let language = String(word.dropLast(ending.utf8.count + 1))
            return MediaVariant.isLanguage(language) ? language : nil
        }
        return nil
    }

    /// Returns the part `1:30-2:45`, `1:02:03-`, `-0:30`; one of the times must have a colon, because numbers alone count
    /// the videos of a list.
    private static func cut(_ word: String) -> MediaVariant.Cut? {
        guard word.utf8.contains(UInt8(ascii: ":")) else { return nil }
        let word = withHyphens(word)
        let parts = word.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2 else { return nil }
        let times = parts.map { $0.isEmpty ? nil : milliseconds($0) }
        for (part, time) in zip(parts, times) where !part.isEmpty && time == nil { return nil }
        return MediaVariant.Cut(start: times[0] ?? 0, end: times[1])
    }

    /// Returns the range `1-5` of a list.
    private static func items(_ word: String) -> ItemRange? {
        guard let places = places(word), let first = number(places.0), let last = number(places.1) else { return nil }
        return ItemRange(first, last)
    }

    /// Returns the range of the single place `3` of a list.
    private static func item(_ word: String) -> ItemRange? {
        guard let place = number(word[...]), ItemRange.singlePlaces.contains(place) else { return nil }
        return ItemRange(place, place)
    }

    /// Returns the two numbers of a word that consists of nothing but these and a hyphen.
    private static func places(_ word: String) -> (Substring, Substring)? {
        let parts = withHyphens(word).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2,
            parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy { (48...57).contains($0) } })
        else { return nil }
        return (parts[0], parts[1])
    }

    /// Returns a word with hyphens in place of the dashes that some keyboards make of them.
    private static func withHyphens(_ word: String) -> String {
        // Nearly all words are of ASCII characters, and the search for another one takes a fraction of the time.
        word.utf8.allSatisfy { $0 < 0x80 } ? word : word.replacing("–", with: "-")
    }

    /// Returns the milliseconds of `90`, `1:30`, `1:30.5` or `1:02:03`.
    private static func milliseconds(_ text: Substring) -> Int64? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 3, let last = parts.last else { return nil }
        let seconds = last.split(separator: ".", omittingEmptySubsequences: false)
        guard seconds.count <= 2, let whole = number(seconds[0]) else { return nil }
        var total: Int64 = 0
        for part in parts.dropLast() {
            guard let value = number(part) else { return nil }
            total = total * 60 + value
        }
        // Minutes and seconds behind an hour or a minute are below 60.
        guard parts.count == 1 || whole < 60 else { return nil }
        if parts.count == 3, let minutes = number(parts[1]), minutes >= 60 { return nil }
        var fraction: Int64 = 0
        if seconds.count == 2 {
            guard (1...3).contains(seconds[1].utf8.count), let value = number(seconds[1]) else { return nil }
            fraction = value * [100, 10, 1][seconds[1].utf8.count - 1]
        }
        return (total * 60 + whole) * 1000 + fraction
    }

    /// Returns a number of at most six digits.
    private static func number(_ text: Substring) -> Int64? {
        guard (1...6).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int64(text)
    }

    /// Returns whether a word before the link is most likely a mistyped option, which must not be ignored.
    private static func looksLikeOption(_ word: String) -> Bool {
        guard !word.contains("/"), !word.contains(".") || word.contains(":") else { return false }
        let word = word.lowercased()
        if ["-subs", "-subtitles", "-hardsubs", "-hardsub"].contains(where: word.hasSuffix) || places(word) != nil {
            return true
        }
        guard let first = word.utf8.first, (48...57).contains(first) else { return false }
        return word.hasSuffix("p") || word.hasSuffix("k") || word.contains(":")
            || word.utf8.allSatisfy { (48...57).contains($0) }
    }
}
