import ArgumentParser
import BotAPI
import Envelope
import JSON
import Payloads

/// Represents one value of `--command`.
struct CommandWord: ExpressibleByArgument, Sendable {
    let word: String
    /// The event type of the command; nil removes the word.
    let type: String?

    init?(argument: String) {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[0].isEmpty, !parts[0].contains(where: \.isWhitespace) else { return nil }
        word = parts[0].lowercased()
        type = parts[1].isEmpty ? nil : parts[1]
        if let type, TopicPattern(type) == nil || type.contains(where: { "*#".contains($0) }) { return nil }
    }
}

/// Maps command words to event types.
struct CommandTable: Sendable {
    static let defaults = [
        ".vdl": MediaDownload.type(of: .video),
        ".adl": MediaDownload.type(of: .audio),
    ]

    private let types: [String: String]

    init(changes: [CommandWord]) {
        var types = CommandTable.defaults
        for change in changes { types[change.word] = change.type }
        self.types = types
    }

    func type(of word: String) -> String? { types[word] }
}

/// Represents a command as it was written: its word, in lower case and without a bot's name, and its arguments.
struct WrittenCommand: Sendable {
    let word: String
    let arguments: [String]

    /// Reads a message's text; returns nil if it is empty, or a command for another bot.
    ///
    /// - Parameter bot: the user name of the bot that received the message; nil if it is not known.
    init?(_ text: String, bot: String?) {
        let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
        guard let first = words.first, first.utf8.count <= 64 else { return nil }
        // In a group, a menu writes `/vdl` as `/vdl@some_bot`.
        let parts = first.hasPrefix("/") ? first.split(separator: "@", maxSplits: 1).map(String.init) : [first]
        if parts.count > 1, let bot, parts[1].lowercased() != bot.lowercased() { return nil }
        word = parts[0].lowercased()
        arguments = Array(words.dropFirst())
    }
}

/// Builds the payload of a command event.
struct CommandPayload: Sendable {
    let type: String
    let source: DownloadSource?
    /// The words after the command.
    let words: [String]

    /// Returns whether events of a type request media, so that they need a source.
    static func isMediaCommand(_ type: String) -> Bool { type.hasPrefix("commands.media.") }

    /// The payload: the source, and the words for types that are not media commands.
    var json: JSONObject {
        let source = source?.json ?? [:]
        guard !CommandPayload.isMediaCommand(type) else { return source }
        return JSONObject(source.members + [.init(key: "text", value: .string(words.joined(separator: " ")))])
    }
}

/// Finds the URL or file that a media command is about.
enum MediaSource {
    /// Returns the source; nil if the message names none.
    static func find(in message: Message, _ command: WrittenCommand) -> DownloadSource? {
        if let url = command.arguments.first.flatMap(url(fromWord:)) ?? linkBehindText(message) { return .url(url) }
        if let file = file(of: message), command.arguments.isEmpty { return .file(file) }
        guard let reply = message.repliedTo else { return nil }
        // A photo beside a link is most likely the link's preview.
        let file = file(of: reply)
        if let file, file.type != "photo" { return .file(file) }
        if let url = firstURL(of: reply) { return .url(url) }
        return file.map { .file($0) }
    }

    private static func file(of message: Message) -> TelegramFile? {
        message.file.flatMap { TelegramFile(.object($0)) }
    }

    /// Returns a word as a URL, and completes one that was typed without its scheme; nil if it is none.
    private static func url(fromWord word: String) -> String? {
        if word.contains("://") { return word }
        let host = word.prefix { $0 != "/" && $0 != "?" && $0 != ":" }
        let labels = host.split(separator: ".", omittingEmptySubsequences: false)
        let isHost =
            labels.count > 1
            && labels.allSatisfy { label in
                !label.isEmpty && label.allSatisfy { $0.isLetter || $0.isNumber || $0 == "-" }
            }
        return isHost ? "https://\(word)" : nil
    }

    private static func linkBehindText(_ message: Message) -> String? {
        message.entities.lazy.compactMap { $0.entity["type"] == "text_link" ? $0.entity["url"]?.string : nil }.first
    }

    private static func firstURL(of message: Message) -> String? {
        for (entity, text) in message.entities {
            if entity["type"] == "text_link", let url = entity["url"]?.string { return url }
            if entity["type"] == "url", let url = url(fromWord: text) { return url }
        }
        return message.text?.split(whereSeparator: \.isWhitespace).map(String.init).first {
            $0.lowercased().hasPrefix("http://") || $0.lowercased().hasPrefix("https://")
        }
    }
}
