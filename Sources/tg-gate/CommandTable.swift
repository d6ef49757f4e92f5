import ArgumentParser
import Envelope
import BotAPI
import JSON

/// One entry of `--command`.
struct CommandWord: ExpressibleByArgument, Sendable {
    let word: String
    /// nil takes the word away.
    let type: String?

    init?(argument: String) {
        let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[0].isEmpty, !parts[0].contains(where: \.isWhitespace) else { return nil }
        word = parts[0].lowercased()
        type = parts[1].isEmpty ? nil : parts[1]
        if let type, TopicPattern(type) == nil || type.contains(where: { "*#".contains($0) }) { return nil }
    }
}

/// What the command words mean.
struct CommandTable: Sendable {
    static let defaults = [
        ".vdl": "commands.media.video_download",
        ".adl": "commands.media.audio_download",
    ]

    private let types: [String: String]

    init(changes: [CommandWord]) {
        var types = CommandTable.defaults
        for change in changes { types[change.word] = change.type }
        self.types = types
    }

    func type(of word: String) -> String? { types[word] }
}

/// A command as it was written: its word, in lower case and without a bot's name, and what follows it.
struct WrittenCommand: Sendable {
    let word: String
    let arguments: [String]

    /// nil when it is no command, or one for another bot.
    ///
    /// - Parameter bot: the name of the bot that reads it, as far as that is known.
    init?(_ text: String, bot: String?) {
        let words = text.split(whereSeparator: \.isWhitespace).map(String.init)
        guard let first = words.first, first.utf8.count <= 64 else { return nil }
        // `/vdl@some_bot` is how a menu writes `/vdl` in a group.
        let parts = first.hasPrefix("/") ? first.split(separator: "@", maxSplits: 1).map(String.init) : [first]
        if parts.count > 1, let bot, parts[1].lowercased() != bot.lowercased() { return nil }
        word = parts[0].lowercased()
        arguments = Array(words.dropFirst())
    }
}

/// What a media command is about.
enum MediaSource {
    /// `url` or `file` of the payload; nil when the message names neither.
    static func payload(of message: Message, _ command: WrittenCommand) -> JSONObject? {
        if let url = command.arguments.first.flatMap(url(fromWord:)) ?? linkBehindText(message) {
            return ["url": .string(url)]
        }
        if let file = message.file, command.arguments.isEmpty { return ["file": .object(file)] }
        guard let reply = message.repliedTo else { return nil }
        // A picture beside a link is most likely the link's preview.
        let file = reply.file
        if let file, file["type"] != "photo" { return ["file": .object(file)] }
        if let url = firstURL(of: reply) { return ["url": .string(url)] }
        return file.map { ["file": .object($0)] }
    }

    /// A URL, also one that was typed without its scheme.
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
