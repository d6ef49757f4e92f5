package import BotAPI
import JSON
package import Payloads

/// Finds the URL or file that a media command is about.
///
/// A link that Telegram marked comes before one that is found by reading the text: Telegram knows where a link begins
/// and ends, and most words with a dot are not links.
package enum MediaSource {
    /// Returns the source; nil if the message names none.
    package static func find(in message: Message, _ command: WrittenCommand) -> DownloadSource? {
        find(in: MarkedText(message), command) {
            if let file = file(of: message), command.arguments.isEmpty { return .file(file) }
            return quoted(by: message) ?? replied(message.repliedTo) ?? external(message.json)
        }
    }

    /// Returns the source that the text of a message names; nil if it names none.
    ///
    /// - Parameter beside: finds the source in the rest of the message; by default, there is none in it.
    package static func find(
        in text: MarkedText, _ command: WrittenCommand, beside: () -> DownloadSource? = { nil }
    ) -> DownloadSource? {
        let end = commandEnd(text.text)
        if let url = markedLink(in: text, from: end) ?? writtenLink(in: command.arguments) { return .url(url) }
        // The command itself can be the text of a link.
        if let url = markedLink(in: text, kinds: [.textLink]) { return .url(url) }
        if let source = beside() { return source }
        return command.arguments.lazy.compactMap(bareLink).first.map { .url($0) }
    }

    /// Returns the link of a message that is nothing but a link, perhaps with hashtags; nil for other messages.
    package static func onlyLink(of message: Message) -> String? {
        guard let text = message.text, file(of: message) == nil else { return nil }
        let words = MediaSource.words(text).filter { Hashtags.tag($0) == nil }
        guard words.count == 1, let word = words.first else { return nil }
        if let url = writtenLink(in: [word]), hasWebScheme(word[...]) { return url }
        // Telegram marks a host without a scheme only if it can exist.
        guard let marked = markedLink(in: MarkedText(message), kinds: [.url]) else { return nil }
        return message.entities.contains { $0.text == word } ? marked : nil
    }

    /// Returns the link within the quoted part of another message.
    private static func quoted(by message: Message) -> DownloadSource? {
        guard let quote = message.json["quote"]?["text"]?.string else { return nil }
        if let reply = message.repliedTo, let text = reply.text, let position = message.json["quote"]?["position"]?.int,
            // A quote can cut a link off, which the whole message shows.
            isQuote(quote, of: text, at: position),
            let url = markedLink(in: MarkedText(reply), from: position, to: position + Int64(quote.utf16.count))
        {
            return .url(url)
        }
        return writtenLink(in: words(quote)).map { .url($0) }
    }

    private static func isQuote(_ quote: String, of text: String, at position: Int64) -> Bool {
        (0...Int64(text.utf16.count)).contains(position)
            && text.utf16.dropFirst(Int(clamping: position)).starts(with: quote.utf16)
    }

    private static func replied(_ reply: Message?) -> DownloadSource? {
        guard let reply else { return nil }
        // A photo beside a link is most likely the link's preview.
        let file = file(of: reply)
        if let file, file.type != "photo" { return .file(file) }
        let preview = previewLink(of: reply.json)
        if let url = markedLink(in: MarkedText(reply)) ?? writtenLink(in: words(reply.text ?? "")) ?? preview {
            return .url(url)
        }
        return file.map { .file($0) }
    }

    /// Returns the source in a message of another chat. Telegram shows its file and the link of its preview, but not
    /// its text.
    private static func external(_ message: JSON) -> DownloadSource? {
        guard let reply = message["external_reply"] else { return nil }
        let file = Message.file(in: reply).flatMap { TelegramFile(.object($0)) }
        if let file, file.type != "photo" { return .file(file) }
        if let url = previewLink(of: reply) { return .url(url) }
        return file.map { .file($0) }
    }

    private static func file(of message: Message) -> TelegramFile? {
        message.file.flatMap { TelegramFile(.object($0)) }
    }

    private static func previewLink(of message: JSON) -> String? {
        message["link_preview_options"]?["url"]?.string.flatMap(webLink)
    }

    // MARK: - Links in text

    /// Returns the first link that Telegram marked in a part of a text.
    ///
    /// - Parameters:
    ///   - start: the part's beginning in UTF-16 units, as Telegram counts.
    ///   - kinds: the kinds of marks that count.
    private static func markedLink(
        in text: MarkedText, from start: Int64 = 0, to end: Int64 = .max,
        kinds: [MarkedText.Mark.Kind] = [.textLink, .url]
    ) -> String? {
        for mark in text.marks where mark.offset < end && mark.offset + mark.length > start {
            guard kinds.contains(mark.kind) else { continue }
            let link = mark.kind == .url ? text.text.part(atUTF16: mark.offset, length: mark.length) : mark.url
            if let url = link.flatMap(webLink) { return url }
        }
        return nil
    }

    /// Returns a marked link as a web link, and completes one that was typed without its scheme; nil for one of another
    /// scheme, such as `tg:`.
    private static func webLink(_ text: String) -> String? {
        if hasWebScheme(text[...]) { return text }
        let scheme = text.prefix { $0 != ":" }
        let isOther = scheme.count < text.count && !scheme.contains { ".?/#".contains($0) }
        return isOther ? nil : "https://\(text)"
    }

    /// Returns the first link with its scheme among words.
    private static func writtenLink(in words: [String]) -> String? {
        for word in words {
            guard let start = word.indices.first(where: { hasWebScheme(word[$0...]) }) else { continue }
            let link = withoutSentence(word[start...])
            if link.drop(while: { $0 != ":" }).count > "://".count { return String(link) }
        }
        return nil
    }

    /// Returns a word as a link if it looks like a host, perhaps with a path: `example.com/watch`.
    private static func bareLink(_ word: String) -> String? {
        let link = withoutSentence(word.drop { !$0.isLetter && !$0.isNumber })
        let host = link.prefix { $0 != "/" && $0 != "?" && $0 != ":" && $0 != "#" }
        let labels = host.split(separator: ".", omittingEmptySubsequences: false)
        let isHost =
            labels.count > 1
            && labels.allSatisfy { label in
                !label.isEmpty && label.allSatisfy { $0.isLetter || $0.isNumber || $0 == "-" }
            }
        // Numbers and abbreviations have dots as well.
        guard isHost, let last = labels.last, last.count > 1,
            last.allSatisfy({ $0.isLetter || $0 == "-" }) || last.hasPrefix("xn--")
        else { return nil }
        return "https://\(link)"
    }

    private static func hasWebScheme(_ text: Substring) -> Bool {
        // Nearly all links begin with ASCII characters, and comparing bytes takes a fraction of the time. The byte behind the longer scheme could
        // belong to its last character.
        let bytes = text.utf8.prefix(9)
        if bytes.allSatisfy({ $0 < 0x80 }) { return startsLikeWebLink(bytes) }
        let start = text.prefix("https://".count).lowercased()
        return start.hasPrefix("http://") || start == "https://"
    }

    private static func startsLikeWebLink(_ bytes: Substring.UTF8View.SubSequence) -> Bool {
        var rest = bytes[...]
        for letter in "http".utf8 { guard rest.popFirst().map({ $0 | 0x20 }) == letter else { return false } }
        if rest.first.map({ $0 | 0x20 }) == UInt8(ascii: "s") { rest = rest.dropFirst() }
        return rest.starts(with: "://".utf8)
    }

    private static func words(_ text: String) -> [String] {
        text.words
    }

    /// The place behind the first word, in UTF-16 units.
    private static func commandEnd(_ text: String) -> Int64 {
        if text.utf8.allSatisfy({ $0 < 0x80 }) {
            let isSpace = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
            let rest = text.utf8.drop(while: isSpace).drop { !isSpace($0) }
            return Int64(text.utf8.count - rest.count)
        }
        let start = text.drop(while: \.isWhitespace)
        let rest = start.drop { !$0.isWhitespace }
        return Int64(text.utf16.count - rest.utf16.count)
    }

    /// Returns a link without what belongs to the sentence around it: what follows a mark that no link holds, and
    /// punctuation and unpaired brackets at the end.
    private static func withoutSentence(_ text: Substring) -> Substring {
        var link = text.utf8.allSatisfy { $0 < 0x80 } ? beforeMarkInASCII(text) : beforeMark(text)
        while let last = link.last {
            switch last {
            case ".", ",", "!", "?", ";", ":", "'", "*", "|", "\\": break
            case ")" where isUnpaired("(", ")", link), "]" where isUnpaired("[", "]", link),
                "}" where isUnpaired("{", "}", link), "(", "[", "{":
                break
            default: return link
            }
            link.removeLast()
        }
        return link
    }

    /// Marks that no link holds, besides invisible ones.
    private static let foreignMarks = Set<Character>("<>\"`«»“”„‘’「」『』【】《》（）［］，。、！？；：…")

    /// Returns the beginning of a text up to a mark that no link holds.
    private static func beforeMark(_ text: Substring) -> Substring {
        text.prefix { !isInvisible($0) && !foreignMarks.contains($0) }
    }

    /// Returns the same for a text of ASCII characters, in a fraction of the time.
    private static func beforeMarkInASCII(_ text: Substring) -> Substring {
        let end = text.utf8.firstIndex { byte in
            switch byte {
            case 0..<0x20, 0x7F, UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\""), UInt8(ascii: "`"): true
            default: false
            }
        }
        return text[..<(end ?? text.endIndex)]
    }

    private static func isUnpaired(_ opening: Character, _ closing: Character, _ text: Substring) -> Bool {
        text.filter { $0 == closing }.count > text.filter { $0 == opening }.count
    }

    /// Is true for marks that are not seen: controls, joiners, marks of direction.
    private static func isInvisible(_ character: Character) -> Bool {
        character.unicodeScalars.allSatisfy {
            $0.properties.generalCategory == .format || $0.properties.generalCategory == .control
        }
    }
}
