import ArgumentParser
import Archive
import JSON
import Payloads
import System

/// Names a chat in an argument: `@name`, `name`, a link to t.me, or an id.
struct ChatName: Sendable {
    let chat: ChatID

    /// Checks the chats of the command line.
    ///
    /// - Throws: `ValidationError` for a name that cannot be one. An id may begin with a minus sign, so that the parser takes
    ///   unknown options for chats.
    static func check(_ chats: [String]) throws {
        for chat in chats {
            if chat.hasPrefix("-"), Int64(chat) == nil { throw ValidationError("unknown option '\(chat.printable)'") }
            _ = try ChatName(chat)
        }
    }

    init(_ text: String) throws {
        if let id = Int64(text), id != 0 {
            chat = .id(id)
            return
        }
        var name = text[...]
        for prefix in ["https://", "http://"] where name.hasPrefix(prefix) { name = name.dropFirst(prefix.count) }
        for prefix in ["t.me/", "telegram.me/", "@"] where name.hasPrefix(prefix) {
            name = name.dropFirst(prefix.count)
        }
        let isName =
            (4...32).contains(name.utf8.count)
            && name.utf8.allSatisfy {
                (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0) || $0 == 95
            }
        guard isName else {
            throw ValidationError("\(text.printable): not a chat: give @name, https://t.me/name or an id")
        }
        chat = .name("@\(name)")
    }

    /// The name without `@`; nil for an id.
    var username: String? { if case .name(let name) = chat { String(name.dropFirst()) } else { nil } }

    func fits(_ known: ArchiveReader.KnownChat) -> Bool {
        switch chat {
        case .id(let id): known.key.chatID == id
        case .name(let name): known.username?.lowercased() == String(name.dropFirst()).lowercased()
        }
    }
}

/// Represents a time in an argument: a day, which begins at midnight UTC, or a time of RFC 3339.
struct PointInTime: ExpressibleByArgument, Sendable {
    let seconds: Int64
    var microseconds: Int64 { seconds * 1_000_000 }
    /// The time in the form of RFC 3339.
    let text: String

    init?(argument: String) {
        let text = argument.utf8.count == 10 ? "\(argument)T00:00:00Z" : argument
        guard let time = Timestamp(text) else { return nil }
        (seconds, self.text) = (time.microseconds / 1_000_000, text)
    }
}
