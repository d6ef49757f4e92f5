import ArgumentParser
import ChatCommands
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
        ".img": MediaDownload.type(of: .image),
    ]

    private let types: [String: String]

    init(changes: [CommandWord]) {
        var types = CommandTable.defaults
        for change in changes { types[change.word] = change.type }
        self.types = types
    }

    /// Returns the event type of a command word. A word with a slash, as menus write it, means the same as with a dot.
    func type(of word: String) -> String? { types[word] ?? types[WrittenCommand.dotted(word)] }
}

/// Builds the payload of a command event.
struct CommandPayload: Sendable {
    let type: String
    let source: DownloadSource?
    /// The words after the command.
    let words: [String]
    var wish = MediaWish()

    /// Returns whether events of a type request media, so that they need a source.
    static func isMediaCommand(_ type: String) -> Bool { type.hasPrefix("commands.media.") }

    /// The payload: the source with the wanted form for media commands, and the source with the words for others.
    var json: JSONObject {
        var json = source?.json ?? [:]
        guard CommandPayload.isMediaCommand(type) else {
            json["text"] = .string(words.joined(separator: " "))
            return json
        }
        guard let kind = MediaDownload.kind(of: type) else { return json }
        json["variant"] = wish.variant.of(kind).json
        // Another form than the usual one says by itself that the person has chosen.
        json["ask"] = wish.asks ? true : wish.hasChosen && wish.variant.isStandard ? false : nil
        json["items"] = wish.items?.json
        return json
    }
}
