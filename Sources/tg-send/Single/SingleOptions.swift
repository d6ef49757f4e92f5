import ArgumentParser
import JSON
import Options
import Payloads
import Stage
import System

/// The options that send a single message, in place of events on the input.
struct SingleOptions: ParsableArguments, Sendable {
    /// Selects how a text that is too long for one message is sent.
    enum LongText: String, CaseIterable, ExpressibleByArgument {
        case split, document, refuse
    }

    /// Selects the output after a message has been sent.
    enum Report: String, CaseIterable, ExpressibleByArgument {
        case link, json, none
    }

    // Ids of groups begin with a minus sign, as options do.
    @Option(
        name: [.customShort("c"), .long], parsing: .unconditional,
        help: ArgumentHelp(
            "Send one message to this chat (an id or a public @name) and end. Without a text or a file, the text is standard input. Default, if a text or another option of this group is given: TG_CHAT from the environment.",
            valueName: "chat"))
    var chat: String?

    @Argument(help: ArgumentHelp("The text to send; - stands for standard input.", valueName: "text"))
    var words: [String] = []

    // Texts and paths may begin with a minus sign, too.
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Send this text, or with --edit replace a message's text by it; - stands for standard input.",
            valueName: "text"))
    var text: String?

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Send this photo; here and below, - stands for standard input. Several files become an album.",
            valueName: "file"))
    var photo: [FileArgument] = []

    @Option(parsing: .unconditionalSingleValue, help: ArgumentHelp("Send this video file.", valueName: "file"))
    var video: [FileArgument] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Send this file, a GIF or a silent MP4, as an animation.", valueName: "file"))
    var animation: [FileArgument] = []

    @Option(parsing: .unconditionalSingleValue, help: ArgumentHelp("Send this audio file.", valueName: "file"))
    var audio: [FileArgument] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Send this file, Opus in Ogg, as a voice message.", valueName: "file"))
    var voice: [FileArgument] = []

    @Option(
        name: [.customShort("f"), .long, .customLong("file")], parsing: .unconditionalSingleValue,
        help: ArgumentHelp("Send this file as a document.", valueName: "file"))
    var document: [FileArgument] = []

    @Option(
        parsing: .unconditional, help: ArgumentHelp("The file's name in Telegram. Default: its own.", valueName: "name")
    )
    var name: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("The caption of the file.", valueName: "text"))
    var caption: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("The title of the video or audio.", valueName: "text"))
    var title: String?

    @Option(help: ArgumentHelp("The width of the video. Default: ffprobe finds it out.", valueName: "pixels"))
    var width: Int64?

    @Option(help: ArgumentHelp("The height of the video. Default: ffprobe finds it out.", valueName: "pixels"))
    var height: Int64?

    @Option(
        help: ArgumentHelp("The length of the video or audio. Default: ffprobe finds it out.", valueName: "seconds"))
    var duration: Double?

    @Option(
        help: ArgumentHelp(
            "The format of the text or caption: HTML, MarkdownV2 or Markdown. Default: plain text.", valueName: "mode"))
    var parseMode: String?

    @Flag(help: "Show the text as code, in a typeface of fixed width.")
    var code = false

    @Option(
        help: ArgumentHelp(
            "What to do with a text that is too long for one message: split it at the ends of lines, send it as a document, or refuse it. Default: split.",
            valueName: "way"))
    var long: LongText?

    @Option(help: ArgumentHelp("Reply to the message with this id.", valueName: "message"))
    var replyTo: Int64?

    @Option(
        help: ArgumentHelp("Write into the topic of a forum that the message with this id opened.", valueName: "topic"))
    var thread: Int64?

    @Flag(help: "Send without a notification.")
    var silent = false

    @Flag(help: "Let nobody forward or save the message. Only bots can do this.")
    var protect = false

    @Flag(help: "Show a preview of the first link.")
    var linkPreview = false

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "Put a button that opens a link below the message: 'Text=https://…'. It can be repeated. Only bots can do this.",
            valueName: "button"))
    var button: [ButtonArgument] = []

    @Option(
        help: ArgumentHelp(
            "Let Telegram send the message later: after a time (2h), or at a time of day (18:30) or a date and time (2027-01-31T18:30) of this machine. Only accounts can do this.",
            valueName: "time"))
    var schedule: ScheduledTime?

    @Flag(help: "Pin the message in the chat, without a notification.")
    var pin = false

    @Option(
        help: ArgumentHelp(
            "Edit the message with this id. Without a text, it is standard input.", valueName: "message"))
    var edit: Int64?

    @Option(help: ArgumentHelp("Delete the message with this id.", valueName: "message"))
    var delete: Int64?

    @Option(help: ArgumentHelp("React to the message with this id.", valueName: "message"))
    var react: Int64?

    @Option(
        help: ArgumentHelp(
            "The emoji of the reaction; 'none' removes the reaction. Default: 👍.", valueName: "emoji"))
    var emoji: String?

    @Option(
        help: ArgumentHelp(
            "What to print when the message has been sent: its link, the event events.telegram.sent as JSON, or none. Default: link on a terminal, else json.",
            valueName: "what"))
    var print: Report?

    /// The files in the order in which they were given.
    var files: [(kind: FileMessage.Kind, path: String)] {
        let kinds: [(FileMessage.Kind, [FileArgument])] = [
            (.photo, photo), (.video, video), (.animation, animation), (.audio, audio), (.voice, voice),
            (.document, document),
        ]
        return kinds.flatMap { kind, files in files.map { (kind, $0) } }.sorted { $0.1.place < $1.1.place }
            .map { ($0, $1.path) }
    }

    /// The text that was given; nil if there is none. `-` stands for standard input.
    private var givenText: String? { text ?? words.first }

    /// The options given that each name an action.
    private var actions: [String] {
        let all: [(String, Bool)] = [
            (text != nil ? "--text" : "the text", givenText != nil && edit == nil),
            (files.first.map { "--\($0.kind.rawValue)" } ?? "", !files.isEmpty),
            ("--edit", edit != nil), ("--delete", delete != nil), ("--react", react != nil),
        ]
        return all.filter(\.1).map(\.0)
    }

    /// The options of a file that the user gave.
    private var fileOptions: [String] {
        let all: [(String, Bool)] = [
            ("--title", title != nil), ("--width", width != nil), ("--height", height != nil),
            ("--duration", duration != nil),
        ]
        return all.filter(\.1).map(\.0)
    }

    /// The options of a new message that the user gave.
    private var messageOptions: [String] {
        let all: [(String, Bool)] = [
            ("--button", !button.isEmpty), ("--schedule", schedule != nil), ("--protect", protect), ("--pin", pin),
            ("--reply-to", replyTo != nil), ("--thread", thread != nil), ("--silent", silent),
            ("--link-preview", linkPreview), ("--caption", caption != nil), ("--name", name != nil),
        ]
        return all.filter(\.1).map(\.0)
    }

    /// All options of a single message that the user gave, but `--chat`.
    private var given: [String] {
        let others: [(String, Bool)] = [
            ("--code", code), ("--parse-mode", parseMode != nil), ("--emoji", emoji != nil), ("--print", print != nil),
            ("--long", long != nil),
        ]
        return actions + messageOptions + fileOptions + others.filter(\.1).map(\.0)
    }

    /// The chat to write to; nil if no single message is wanted.
    var target: ChatID? {
        if let chat { return ChatID(chat) }
        return given.isEmpty ? nil : Settings.environment("TG_CHAT").map { ChatID($0) }
    }

    /// Is true if the text has to be read from standard input.
    var readsText: Bool {
        guard target != nil, files.isEmpty, delete == nil, react == nil else { return false }
        return givenText == nil || givenText == "-"
    }

    /// - Throws: `ValidationError` for options that do not go together.
    func validateTogether() throws {
        guard target != nil else {
            if let what = given.first { throw ValidationError("\(what) needs --chat, or the variable TG_CHAT") }
            return
        }
        if chat == "" { throw ValidationError("--chat is empty: it needs an id or a @name") }
        if words.count > 1 {
            throw ValidationError(
                files.isEmpty
                    ? "the text has several words: quote it, as in tg-send --chat 42 'the backup is done'"
                    : "unexpected argument '\(words[0])': write --\(files[0].kind.rawValue) before each file")
        }
        if let word = words.first {
            if text != nil { throw ValidationError("the text is given twice: '\(word)', and by --text") }
            if let file = files.first {
                throw ValidationError(
                    "unexpected argument '\(word)': write --\(file.kind.rawValue) before each file, and --caption before a text"
                )
            }
        }
        guard actions.count < 2 else { throw ValidationError("\(actions[0]) and \(actions[1]) exclude each other") }
        if react == nil, emoji != nil { throw ValidationError("--emoji needs --react") }
        try validateIDs()
        try validateNewMessage()
        try validateFiles()
    }

    private func validateIDs() throws {
        for (name, id) in [
            ("--reply-to", replyTo), ("--thread", thread), ("--edit", edit), ("--delete", delete), ("--react", react),
        ]
        where id.map({ $0 <= 0 }) == true {
            throw ValidationError("\(name) needs the id of a message: a number from 1")
        }
    }

    private func validateNewMessage() throws {
        if code {
            guard files.isEmpty else { throw ValidationError("--code is for a text, not for a file") }
            guard parseMode == nil else { throw ValidationError("--code and --parse-mode exclude each other") }
        }
        if schedule != nil, pin {
            throw ValidationError("--schedule and --pin exclude each other: only a message that was sent can be pinned")
        }
        guard let changing = ["--edit", "--delete", "--react"].first(where: actions.contains) else { return }
        if let option = messageOptions.first {
            throw ValidationError("\(option) is for a new message, and \(changing) makes none")
        }
        if edit == nil, code || parseMode != nil {
            throw ValidationError("\(code ? "--code" : "--parse-mode") is for a text, and \(changing) has none")
        }
    }

    private func validateFiles() throws {
        let files = files
        if let width, !(1...100_000).contains(width) { throw ValidationError("--width must be from 1 to 100000") }
        if let height, !(1...100_000).contains(height) { throw ValidationError("--height must be from 1 to 100000") }
        if let duration, !(0...1e7).contains(duration) {
            throw ValidationError("--duration must be from 0 to 10000000")
        }
        if let option = fileOptions.first, !files.contains(where: { ![.photo, .document].contains($0.kind) }) {
            throw ValidationError("\(option) needs a video, an animation or a sound file")
        }
        guard !files.isEmpty else {
            if caption != nil { throw ValidationError("--caption needs a file, such as --photo") }
            // A long text may become a document.
            if name != nil, long != .document { throw ValidationError("--name needs a file, such as --document -") }
            return
        }
        guard files.count > 1 else { return }
        guard files.count <= 10 else {
            throw ValidationError("an album has at most 10 files, and these are \(files.count)")
        }
        if name != nil { throw ValidationError("--name is for a single file") }
        if !button.isEmpty { throw ValidationError("an album cannot have buttons") }
        let kinds = Set(files.map(\.kind))
        guard kinds.isSubset(of: [.photo, .video]) || kinds == [.audio] || kinds == [.document] else {
            throw ValidationError("an album has photos and videos, or only audio files, or only documents")
        }
        guard files.filter({ $0.path == "-" }).count < 2 else {
            throw ValidationError("standard input is only one file")
        }
    }

    /// Returns the commands that the options stand for, in the order in which they are to be carried out, and a file that they need as
    /// long as they are carried out.
    ///
    /// - Parameter input: the text of standard input, if `readsText`.
    /// - Throws: `ToolError` (64) for a text that is empty or too long, (74) if a temporary file cannot be written.
    func commands(input: String? = nil) throws(ToolError) -> (commands: [TelegramCommand], file: GivenFile?) {
        guard let chat = target else { return ([], nil) }
        let (bodies, file) = try bodies(input)
        return (bodies.map { TelegramCommand($0, chat: chat) }, file)
    }

    private func bodies(_ input: String?) throws(ToolError) -> (bodies: [TelegramCommand.Body], file: GivenFile?) {
        if let delete { return ([.delete(messageID: delete)], nil) }
        if let react { return ([.react(emoji: emoji == "none" ? "" : emoji ?? "👍", messageID: react)], nil) }
        let content = SingleContent(
            text: readsText ? input : givenText, caption: caption, files: files.map { file($0.kind, $0.path) },
            options: MessageOptions(
                parseMode: parseMode, replyTo: replyTo, threadID: thread, isSilent: silent, isProtected: protect,
                buttons: button.map(\.button), scheduledAt: schedule?.unixSeconds),
            isCode: code, showsLinkPreview: linkPreview, long: long ?? .split, name: name)
        if let edit { return ([try content.edit(of: edit)], nil) }
        return try content.bodies
    }

    private func file(_ kind: FileMessage.Kind, _ path: String) -> FileMessage {
        FileMessage(
            kind, .path(path == "-" ? "/dev/stdin" : path), fileName: name,
            description: MediaDescription(
                title: title, durationSeconds: duration.map { JSONNumber($0) }, width: width, height: height))
    }
}
