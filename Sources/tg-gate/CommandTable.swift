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
