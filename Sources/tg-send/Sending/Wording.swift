import BotAPI
import Envelope
import JSON
import Payloads

/// Writes the messages that users read in the chat.
enum Wording {
    /// Shown when a failure has no reason.
    static let unknownFailure = "Something went wrong. Please try again."

    /// Returns the text of a placeholder reply.
    static func progress(_ progress: MediaProgress) -> String {
        let title = progress.title.map { "\n" + $0.limited(toUTF16: 200) } ?? ""
        let rate = progress.bytesPerSecond.map { " · \(size($0.double))/s" } ?? ""
        let amount =
            progress.fraction.map { " " + bar($0) } ?? progress.doneBytes.map { " \(size(Double($0)))" } ?? ""
        let text =
            switch progress.state {
            case .queued: "⏳ Waiting in the queue…"
            case .waiting: "⏳ Already being fetched for someone else, one moment…"
            case .downloading: "⬇️ Downloading\(amount)\(rate)"
            case .converting: "🎞 Converting\(amount)"
            case .storing: "📦 Storing\(amount)"
            case .uploading: "⬆️ Uploading\(amount)\(rate)"
            case .accepted, nil: "⏳ On it…"
            }
        return text + title
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

    /// Returns a caption in Telegram's HTML: the title, the time since the request, and the correlation id, which finds
    /// the request in the log.
    static func caption(title: String?, elapsed: Duration?, correlationID: EventID) -> String {
        let head = title.map { escaped($0.limited(toUTF16: 800)) + "\n" } ?? ""
        let taken = elapsed.map { "⏱ \(time($0)) · " } ?? ""
        return head + taken + "<code>\(correlationID)</code>"
    }

    /// Returns a duration in milliseconds below one second, else in seconds with one decimal place.
    static func time(_ duration: Duration) -> String {
        let milliseconds = max(0, duration.milliseconds)
        // A cached file is sent within milliseconds: "0.0 s" would look like an error.
        if milliseconds < 1000 { return "\(milliseconds) ms" }
        return "\(milliseconds / 1000).\(milliseconds / 100 % 10) s"
    }

    /// Returns an error message in Telegram's HTML.
    static func failure(_ reason: String) -> String { "❌ " + escaped(reason.limited(toUTF16: 1000)) }

    /// Returns the message about a file that Telegram does not accept, in Telegram's HTML, with a link to the file if
    /// there is one.
    ///
    /// A link in HTML counts only its words towards the limit of 4096 characters. A signed URL may have thousands of
    /// characters.
    static func tooLarge(_ bytes: Int64?, url: String?) -> String {
        let amount = bytes.map { " (\(size(Double($0))))" } ?? ""
        guard let url else { return "❌ The file is too large for Telegram\(amount)." }
        return "📦 The file is too large for Telegram\(amount). <a href=\"\(escaped(url))\">Here it is</a>."
    }

    /// Returns the reason shown when Telegram refuses a file.
    static func refusedFile(_ error: TelegramError) -> String {
        let prefix = "Telegram: "
        let words = error.message.hasPrefix(prefix) ? String(error.message.dropFirst(prefix.count)) : error.message
        return "Telegram did not accept the file: \(words)"
    }

    private static func escaped(_ text: String) -> String {
        var output = ""
        for character in text.unicodeScalars {
            switch character {
            case "&": output += "&amp;"
            case "<": output += "&lt;"
            case ">": output += "&gt;"
            case "\"": output += "&quot;"
            default: output.unicodeScalars.append(character)
            }
        }
        return output
    }
}

extension String {
    /// Returns the text cut to a number of UTF-16 units, which is how Telegram counts, between characters.
    func limited(toUTF16 limit: Int) -> String {
        guard utf16.count > limit else { return self }
        var kept = ""
        var length = 0
        for character in self {
            length += character.utf16.count
            if length > limit - 1 { break }
            kept.append(character)
        }
        return kept + "…"
    }
}
