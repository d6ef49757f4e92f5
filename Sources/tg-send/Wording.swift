import Envelope
import JSON

/// What people read in the chat.
enum Wording {
    static func progress(_ payload: JSONObject) -> String {
        let title = payload["title"]?.string.map { "\n" + $0.limited(toUTF16: 200) } ?? ""
        let share = payload["fraction"]?.double
        let rate = payload["rate_bytes_per_second"]?.double.map { " · \(size($0))/s" } ?? ""
        let amount = share.map { " " + bar($0) } ?? payload["done_bytes"]?.double.map { " \(size($0))" } ?? ""
        let text =
            switch payload["state"]?.string {
            case "queued": "⏳ In the queue…"
            case "waiting": "⏳ Somebody asked for the same: waiting for it…"
            case "downloading": "⬇️ Downloading\(amount)\(rate)"
            case "converting": "🎞 Converting\(amount)"
            case "storing": "📦 Storing\(amount)"
            case "uploading": "⬆️ Uploading\(amount)\(rate)"
            default: "⏳ On it…"
            }
        return text + title
    }

    private static func bar(_ fraction: Double) -> String {
        let share = min(1, max(0, fraction))
        let filled = Int((share * 10).rounded(.down))
        return String(repeating: "▰", count: filled) + String(repeating: "▱", count: 10 - filled)
            + " \(Int((share * 100).rounded(.down)))%"
    }

    static func size(_ given: Double) -> String {
        // Any number may stand in an event; an `Int` does not hold any.
        let bytes = min(1e15, max(0, given))
        for (unit, name) in [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")] where bytes >= unit {
            let tenths = Int((bytes / unit * 10).rounded())
            return tenths >= 100 ? "\(tenths / 10) \(name)" : "\(tenths / 10).\(tenths % 10) \(name)"
        }
        return "\(Int(bytes)) B"
    }

    /// Telegram's HTML: the title, how long it took, and the id to ask the log for.
    static func caption(title: String?, elapsed: Duration?, correlationID: EventID) -> String {
        let head = title.map { escaped($0.limited(toUTF16: 800)) + "\n" } ?? ""
        let taken = elapsed.map { "⏱ \(time($0)) · " } ?? ""
        return head + taken + "<code>\(correlationID)</code>"
    }

    static func time(_ duration: Duration) -> String {
        let milliseconds = max(0, duration.milliseconds)
        // What comes from the cache should not seem to have taken no time.
        if milliseconds < 1000 { return "\(milliseconds) ms" }
        return "\(milliseconds / 1000).\(milliseconds / 100 % 10) s"
    }

    /// Telegram's HTML.
    static func failure(_ reason: String) -> String { "❌ " + escaped(reason.limited(toUTF16: 1000)) }

    /// Telegram's HTML, in which a link of any length takes the room of its words only: a signed URL may have thousands of
    /// characters, and a message has 4096.
    static func tooLarge(_ bytes: Int64?, url: String?) -> String {
        let amount = bytes.map { " (\(size(Double($0))))" } ?? ""
        guard let url else { return "❌ The file is too large for Telegram\(amount)." }
        return "📦 The file is too large for Telegram\(amount). <a href=\"\(escaped(url))\">Here it is</a>."
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
    /// Cut to Telegram's way of counting, between characters.
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
