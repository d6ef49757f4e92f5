import ArgumentParser
import BotAPI
import Envelope
import JSON
import Options
import Payloads
import System

/// A new message of a chat, live or from its history.
struct WatchedMessage: Sendable {
    static let types: Set<String> = [TelegramUpdate.type, HistoryMessage.type]

    let message: Message
    /// The file of the message; nil if it has none that can be downloaded.
    let file: TelegramFile?

    /// Returns nil for updates that are no new messages, and for messages that only tell what happened in the chat.
    init?(_ event: Envelope) {
        let update: Update
        if event.type == TelegramUpdate.type {
            guard let payload = try? TelegramUpdate(event.payload) else { return nil }
            update = Update(kind: payload.kind, body: payload.body)
        } else {
            guard let payload = try? HistoryMessage(event.payload) else { return nil }
            update = Update(kind: payload.kind, body: payload.body)
        }
        guard update.isNewMessage, let message = update.message, (1...Int64(Int32.max)).contains(message.id) else {
            return nil
        }
        guard WatchedMessage.contents.contains(where: { message.json[$0] != nil }) else { return nil }
        self.message = message
        file = message.file.flatMap { TelegramFile(.object($0)) }
    }

    /// The members of a message that has something of its own; others tell that somebody joined, a message was pinned, and the like.
    private static let contents = [
        "text", "caption", "photo", "video", "audio", "voice", "video_note", "animation", "document", "sticker", "poll",
        "location", "venue", "contact", "dice", "game", "story", "paid_media",
    ]

    var albumID: String? { message.json["media_group_id"]?.string }
    var isProtected: Bool { message.json["has_protected_content"] == true }
    /// Is true if the message has something that a new message can hold.
    var hasContent: Bool { file != nil || message.text?.isEmpty == false }

    /// The link of the message, for those who can see it.
    var link: String {
        if let name = message.json["chat"]?["username"]?.string { return "https://t.me/\(name)/\(message.id)" }
        // Basic groups and private chats have no links.
        guard message.chatID < -1_000_000_000_000 else { return "" }
        let number = String(message.chatID)
        return "https://t.me/c/\(number.dropFirst(4))/\(message.id)"
    }

    /// Returns whether the message meets all conditions.
    func meets(_ conditions: Conditions) -> Bool { isFrom(conditions) && [self].meet(conditions) }

    /// Returns whether the message meets the conditions for its chat, its sender and its age.
    func isFrom(_ conditions: Conditions, now: Timestamp = .now) -> Bool {
        let chat = message.json["chat"].flatMap { Party(chat: $0) }
        guard matches(chat, conditions.chat), matches(message.author, conditions.sender) else { return false }
        guard let age = conditions.maxAge?.duration else { return true }
        guard let date = message.json["date"]?.int, (0...Int64(UInt32.max)).contains(date) else { return false }
        return now.microseconds / 1_000_000 - date <= age.components.seconds
    }

    /// Returns whether the file of the message is of a wanted kind and size.
    fileprivate func hasFile(_ conditions: Conditions) -> Bool {
        if let kinds = conditions.media {
            guard let type = file?.type, kinds.contains(type) else { return false }
        }
        guard conditions.minSize != nil || conditions.maxSize != nil else { return true }
        guard let size = file?.sizeBytes else { return false }
        return (conditions.minSize?.bytes ?? 0) <= size && size <= (conditions.maxSize?.bytes ?? .max)
    }

    private func matches(_ party: Party?, _ wanted: [WatchedChat]) -> Bool {
        guard !wanted.isEmpty else { return true }
        guard let party else { return false }
        return wanted.contains { $0.matches(party) }
    }
}

extension [WatchedMessage] {
    /// Returns whether the messages of an album, or a single one, meet the conditions for text and media. One caption stands for the whole
    /// album, and so does one file.
    func meet(_ conditions: Conditions) -> Bool {
        let text = map { $0.message.text ?? "" }.joined(separator: "\n")
        guard conditions.text.isEmpty || conditions.text.contains(where: { text.contains(ignoringCase: $0) }),
            !conditions.without.contains(where: { text.contains(ignoringCase: $0) })
        else { return false }
        return contains { $0.hasFile(conditions) }
    }
}

/// A chat or a person as the user names it: an id, or an @name.
enum WatchedChat: ExpressibleByArgument, Sendable, Hashable {
    case id(Int64)
    case name(String)

    init?(argument: String) {
        if let id = Int64(argument), id != 0 {
            self = .id(id)
            return
        }
        var name = argument[...]
        for start in ["https://t.me/", "t.me/", "@"] where name.hasPrefix(start) { name = name.dropFirst(start.count) }
        guard (3...64).contains(name.utf8.count), name.utf8.first.map({ $0 > 0x39 }) == true,
            name.utf8.allSatisfy({ $0.isASCIILetter || (0x30...0x39).contains($0) || $0 == 0x5F })
        else { return nil }
        self = .name(name.lowercased())
    }

    func matches(_ party: Party) -> Bool {
        switch self {
        case .id(let id): party.id == id
        case .name(let name): party.username?.lowercased() == name
        }
    }
}

/// The kinds of media of `--media`.
struct MediaKinds: ExpressibleByArgument, Sendable {
    private static let known: Set = ["photo", "video", "audio", "voice", "video_note", "animation", "document"]
    /// Nil for any kind.
    private let kinds: Set<String>?

    init?(argument: String) {
        let words = argument.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        if words == ["any"] {
            kinds = nil
            return
        }
        guard words.allSatisfy(MediaKinds.known.contains) else { return nil }
        kinds = Set(words)
    }

    func contains(_ kind: String) -> Bool { kinds?.contains(kind) ?? true }
}

extension String {
    fileprivate func contains(ignoringCase part: String) -> Bool {
        lowercased().contains(part.lowercased())
    }
}

extension UInt8 {
    fileprivate var isASCIILetter: Bool { (0x41...0x5A).contains(self) || (0x61...0x7A).contains(self) }
}
