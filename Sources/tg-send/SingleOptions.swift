import ArgumentParser
import Envelope
import JSON

/// One message, given by flags instead of an envelope.
struct SingleOptions: ParsableArguments, Sendable {
    /// Ids of groups begin with a minus sign, which is no option's.
    @Option(
        parsing: .unconditional, help: ArgumentHelp("The chat: an id or a channel's @name.", valueName: "chat"))
    var chat: String?

    @Option(help: ArgumentHelp("Send this text; with --edit, change a message to it.", valueName: "text"))
    var text: String?

    @Option(help: ArgumentHelp("Send this video.", valueName: "file"))
    var video: String?

    @Option(help: ArgumentHelp("Send this audio.", valueName: "file"))
    var audio: String?

    @Option(help: ArgumentHelp("Send this file as it is.", valueName: "file"))
    var document: String?

    @Option(help: ArgumentHelp("The media's caption.", valueName: "text"))
    var caption: String?

    @Option(help: ArgumentHelp("The media's title.", valueName: "text"))
    var title: String?

    @Option(help: ArgumentHelp("HTML, MarkdownV2 or Markdown.", valueName: "mode"))
    var parseMode: String?

    @Option(help: ArgumentHelp("Answer this message.", valueName: "message"))
    var replyTo: Int64?

    @Option(help: ArgumentHelp("Edit this message.", valueName: "message"))
    var edit: Int64?

    @Option(help: ArgumentHelp("Delete this message.", valueName: "message"))
    var delete: Int64?

    @Option(help: ArgumentHelp("React to this message, with --emoji.", valueName: "message"))
    var react: Int64?

    @Option(help: ArgumentHelp("The reaction; none takes it back.", valueName: "emoji"))
    var emoji: String?

    @Flag(help: "Notify nobody.")
    var silent = false

    private var chosen: [String] {
        let actions: [(String, Bool)] = [
            ("--text", text != nil && edit == nil), ("--video", video != nil), ("--audio", audio != nil),
            ("--document", document != nil), ("--edit", edit != nil), ("--delete", delete != nil),
            ("--react", react != nil),
        ]
        return actions.filter(\.1).map(\.0)
    }

    func validateTogether() throws {
        guard chat != nil else {
            guard chosen.isEmpty else { throw ValidationError("\(chosen[0]) needs --chat") }
            return
        }
        guard chosen.count == 1 else {
            throw ValidationError("--chat needs one of --text, --video, --audio, --document, --edit, --delete, --react")
        }
        if edit != nil, text == nil { throw ValidationError("--edit needs --text") }
        if react != nil, emoji == nil { throw ValidationError("--react needs --emoji") }
    }

    /// The command that the flags stand for; nil without `--chat`.
    func event() throws -> Envelope? {
        guard let chat else { return nil }
        var payload: JSONObject = [
            "chat_id": Int64(chat).map { .integer($0) } ?? .string(chat), "parse_mode": parseMode.map { .string($0) },
            "reply_to": replyTo.map { .integer($0) }, "silent": silent ? true : nil,
        ]
        let action: String
        if let edit {
            action = "edit"
            payload["message_id"] = .integer(edit)
        } else if let delete {
            action = "delete"
            payload["message_id"] = .integer(delete)
        } else if let react {
            action = "react"
            payload["message_id"] = .integer(react)
            payload["emoji"] = .string(emoji == "none" ? "" : emoji ?? "")
        } else if let (kind, path) = media {
            action = "send_\(kind)"
            payload["path"] = .string(path)
            payload["caption"] = caption.map { .string($0) }
            payload["title"] = title.map { .string($0) }
        } else {
            action = "send"
        }
        if let text { payload["text"] = .string(text) }
        return Envelope(type: "commands.telegram.\(action)", payload: payload)
    }

    private var media: (kind: String, path: String)? {
        if let video { return ("video", video) }
        if let audio { return ("audio", audio) }
        return document.map { ("document", $0) }
    }
}
