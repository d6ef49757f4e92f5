import BotAPI
import Envelope
import JSON
import Media
import Payloads
import Texts

/// Writes the messages that a user reads in the chat, in the user's language.
struct Wording: Sendable {
    let texts: Texts
    /// The user's language as Telegram names it; nil if it is not known.
    let language: String?

    init(_ texts: Texts, for event: Envelope) { self.init(texts, language: event.actor?.language) }

    init(_ texts: Texts, language: String?) { (self.texts, self.language) = (texts, language) }

    /// Shown when a failure has no reason.
    var unknownFailure: String { texts.text("failure_unknown", language) }

    /// The longest question about the form of media, in UTF-16 units. Telegram's limit for a message is 4096.
    private static let longestQuestion = 3000

    /// Returns the text of a placeholder reply.
    ///
    /// - Parameter group: the place of the request in a group, which shares one placeholder reply.
    func progress(_ progress: MediaProgress, group: EventGroup? = nil) -> String {
        (group.map { "\($0.item)/\($0.count) " } ?? "") + self.text(of: progress)
    }

    private func text(of progress: MediaProgress) -> String {
        if progress.state == .choosing, let question = progress.text {
            return question.limited(toUTF16: Wording.longestQuestion)
        }
        let title = progress.title.map { "\n" + Direction.unmarked($0.limited(toUTF16: 200)) } ?? ""
        let state = progress.state ?? .accepted
        let rate = progress.bytesPerSecond.map { " · \(Wording.size($0.double))/s" } ?? ""
        let amount =
            progress.fraction.map { " " + Wording.bar($0) }
            ?? progress.doneBytes.map { " \(Wording.size(Double($0)))" } ?? ""
        let details =
            switch state {
            case .downloading, .uploading: amount + rate
            case .converting, .storing: amount
            case .queued, .waiting, .accepted, .choosing: ""
            }
        if state == .queued, let place = progress.place { return queued(place, progress.waitSeconds) + title }
        return texts.text("progress_\(state == .choosing ? "accepted" : state.rawValue)", language) + details + title
    }

    private func queued(_ place: Int64, _ seconds: Int64?) -> String {
        let number = TextValue.raw("\(place)")
        guard let seconds else { return texts.text("progress_place", language, ["place": number]) }
        let wait = texts.time(seconds, language, isRough: true)
        return texts.text("progress_place_wait", language, ["place": number, "wait": .text(wait)])
    }

    private static func bar(_ fraction: Double) -> String {
        let share = min(1, max(0, fraction))
        let filled = Int((share * 10).rounded(.down))
        return String(repeating: "▰", count: filled) + String(repeating: "▱", count: 10 - filled)
            + " \(Int((share * 100).rounded(.down)))%"
    }

    /// Returns a number of bytes in decimal units, with one decimal place below 10.
    static func size(_ given: Double) -> String {
        // An event may contain a number that an `Int` cannot hold.
        let bytes = min(1e15, max(0, given))
        for (unit, name) in [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")] where bytes >= unit {
            let tenths = Int((bytes / unit * 10).rounded())
            return tenths >= 100 ? "\(tenths / 10) \(name)" : "\(tenths / 10).\(tenths % 10) \(name)"
        }
        return "\(Int(bytes)) B"
    }

    /// Returns a caption in Telegram's HTML, by the template `caption`. It fits Telegram's limit.
    ///
    /// - Parameter hashtags: the person's own.
    func caption(
        _ media: DownloadReady, elapsed: Duration?, correlationID: EventID, hashtags: [String] = []
    ) -> String {
        let metadata = media.metadata
        let link = metadata.origin.sourceURL.flatMap { $0.hasPrefix("http") ? $0 : nil }
        var values: [String: TextValue] = [
            "title": .text((metadata.description.title ?? "").limited(toUTF16: 800)),
            "link": .raw((link.flatMap { $0.utf16.count <= 1000 ? $0 : nil } ?? "").escapedForHTML),
            "duration": .text(metadata.description.durationSeconds.map { Clock.text($0.double) } ?? ""),
            "size": .text(metadata.content.sizeBytes.map { Wording.size(Double($0)) } ?? ""),
            "uploader": .text((metadata.description.performer ?? "").limited(toUTF16: 100)),
            "tags": .raw(Wording.tags(media)),
            "hashtags": .raw(hashtags.map { "#\($0)" }.joined(separator: " ").escapedForHTML),
            "elapsed": .raw(elapsed.map(Wording.time) ?? ""),
            "id": .raw(correlationID.description),
        ]
        let text = texts.lines("caption", language, values, isHTML: true)
        let excess = texts.lines("caption", language, values).utf16.count - FileMessage.captionLimit
        guard excess > 0, case .text(let title)? = values["title"] else { return text }
        values["title"] = .text(title.limited(toUTF16: max(1, title.utf16.count - excess)))
        if texts.lines("caption", language, values).utf16.count > FileMessage.captionLimit { values["link"] = .raw("") }
        return texts.lines("caption", language, values, isHTML: true)
    }

    /// Returns hashtags for the kind and the site: `#video #youtube`.
    private static func tags(_ media: DownloadReady) -> String {
        let site = media.metadata.origin.domain.flatMap { $0.split(separator: ".").dropLast().last }
        let words = [media.kind?.rawValue, site.map { String($0.filter { $0.isLetter || $0.isNumber }) }]
        return words.compactMap { $0 }.filter { !$0.isEmpty && $0.utf8.count <= 64 }.map { "#\($0)" }
            .joined(separator: " ").escapedForHTML
    }

    /// Returns a duration in milliseconds below one second, else in seconds with one decimal place.
    static func time(_ duration: Duration) -> String {
        let milliseconds = max(0, duration.milliseconds)
        // A cached file is sent within milliseconds: "0.0 s" would look like an error.
        if milliseconds < 1000 { return "\(milliseconds) ms" }
        return "\(milliseconds / 1000).\(milliseconds / 100 % 10) s"
    }

    /// Returns an error message in Telegram's HTML.
    ///
    /// - Parameter code: the kind of failure. Its text replaces the reason, which is in English, for users of other languages.
    func failure(_ reason: String, code: String? = nil) -> String {
        // The person has wanted it, so it is no failure.
        if code == "cancelled" { return texts.text("cancelled", language, isHTML: true) }
        let words = self.reason(reason, code: code)
        return texts.text("failure", language, ["reason": .raw(words.escapedForHTML)], isHTML: true)
    }

    /// Returns the reason of a failure in the user's language, as far as there is one.
    func reason(_ reason: String, code: String?) -> String {
        let key = "failure_\(code ?? "")"
        let isTranslated = texts.has(key) && texts.isTranslated(key, language)
        return isTranslated ? texts.text(key, language) : reason.limited(toUTF16: 1000)
    }

    /// Returns the message about a file that Telegram does not accept, in Telegram's HTML, with a link to the file if
    /// there is one.
    ///
    /// A link in HTML counts only its words towards the limit of 4096 characters. A signed URL may have thousands of
    /// characters.
    ///
    /// - Parameter expiry: the time at which the link ends, in RFC 3339.
    func tooLarge(_ bytes: Int64?, url: String?, until expiry: String? = nil) -> String {
        let amount = bytes.map { " (\(Wording.size(Double($0))))" } ?? ""
        guard let url else { return texts.text("too_large_plain", language, ["amount": .raw(amount)], isHTML: true) }
        let text = texts.text(
            "too_large_link", language, ["amount": .raw(amount), "link": .raw(url.escapedForHTML)], isHTML: true)
        guard let minute = expiry.flatMap({ Timestamp($0) })?.description.prefix("2026-01-01T00:00".count) else {
            return text
        }
        let time = "\(minute.replacing("T", with: " ")) UTC"
        return text + "\n" + texts.text("too_large_until", language, ["time": .raw(time)], isHTML: true)
    }

    /// Returns the reason shown when Telegram refuses a file.
    func refusedFile(_ error: TelegramError) -> String {
        let prefix = "Telegram: "
        let words = error.message.hasPrefix(prefix) ? String(error.message.dropFirst(prefix.count)) : error.message
        return texts.text("refused_file", language, ["reason": .text(words)])
    }
}
