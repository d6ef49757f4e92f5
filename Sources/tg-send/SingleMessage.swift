import ArgumentParser
import BotAPI
import Envelope
import JSON
import Logging
import Payloads
import Stage
import System

/// The options that send a single message, in place of events on the input.
struct SingleOptions: ParsableArguments, Sendable {
    // Ids of groups begin with a minus sign, as options do.
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Send one message to this chat (an id or a public @name) and end.", valueName: "chat"))
    var chat: String?

    // Texts and paths may begin with a minus sign, too.
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Send this text, or with --edit replace a message's text by it.", valueName: "text"))
    var text: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("Send this video file.", valueName: "file"))
    var video: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("Send this audio file.", valueName: "file"))
    var audio: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("Send this file as a document.", valueName: "file"))
    var document: String?

    @Option(
        parsing: .unconditional, help: ArgumentHelp("The caption of the video, audio or document.", valueName: "text"))
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

    @Option(help: ArgumentHelp("Reply to the message with this id.", valueName: "message"))
    var replyTo: Int64?

    @Option(
        help: ArgumentHelp("Write into the topic of a forum that the message with this id opened.", valueName: "topic"))
    var thread: Int64?

    @Option(help: ArgumentHelp("Edit the message with this id; needs --text.", valueName: "message"))
    var edit: Int64?

    @Option(help: ArgumentHelp("Delete the message with this id.", valueName: "message"))
    var delete: Int64?

    @Option(help: ArgumentHelp("React to the message with this id.", valueName: "message"))
    var react: Int64?

    @Option(
        help: ArgumentHelp(
            "The emoji of the reaction; 'none' removes the reaction. Default: 👍.", valueName: "emoji"))
    var emoji: String?

    @Flag(help: "Send without a notification.")
    var silent = false

    /// The options given that each name an action.
    private var chosen: [String] {
        let actions: [(String, Bool)] = [
            ("--text", text != nil && edit == nil), ("--video", video != nil), ("--audio", audio != nil),
            ("--document", document != nil), ("--edit", edit != nil), ("--delete", delete != nil),
            ("--react", react != nil),
        ]
        return actions.filter(\.1).map(\.0)
    }

    /// - Throws: `ValidationError` for options that do not go together.
    func validateTogether() throws {
        guard chat != nil else {
            guard chosen.isEmpty else { throw ValidationError("\(chosen[0]) needs --chat") }
            return
        }
        guard chosen.count == 1 else {
            throw ValidationError("--chat needs one of --text, --video, --audio, --document, --edit, --delete, --react")
        }
        if edit != nil, text == nil { throw ValidationError("--edit needs --text") }
        if react == nil, emoji != nil { throw ValidationError("--emoji needs --react") }
        for (name, id) in [
            ("--reply-to", replyTo), ("--thread", thread), ("--edit", edit), ("--delete", delete), ("--react", react),
        ]
        where id.map({ $0 <= 0 }) == true {
            throw ValidationError("\(name) needs the id of a message: a number from 1")
        }
    }

    /// Returns the command that the options stand for; nil without `--chat`.
    var command: TelegramCommand? { chat.flatMap { chat in body.map { TelegramCommand($0, chat: ChatID(chat)) } } }

    private var body: TelegramCommand.Body? {
        if let edit { return .edit(messageID: edit, text: text ?? "", parseMode: parseMode) }
        if let delete { return .delete(messageID: delete) }
        if let react { return .react(emoji: emoji == "none" ? "" : emoji ?? "👍", messageID: react) }
        if let video { return .file(file(.video, video)) }
        if let audio { return .file(file(.audio, audio)) }
        if let document { return .file(file(.document, document)) }
        return text.map {
            .send(TextMessage($0, parseMode: parseMode, replyTo: replyTo, threadID: thread, isSilent: silent))
        }
    }

    private func file(_ kind: FileMessage.Kind, _ path: String) -> FileMessage {
        FileMessage(
            kind, .path(path), caption: caption, parseMode: parseMode, replyTo: replyTo, threadID: thread,
            isSilent: silent,
            description: MediaDescription(
                title: title, durationSeconds: duration.map { JSONNumber($0) }, width: width, height: height))
    }
}

/// Sends what the flags ask for, without a scheduler: a single call has nothing to be ordered with.
struct SingleMessage: Sendable {
    let runtime: Runtime
    let api: any MessagingAPI
    let retries: Int

    /// Makes the call, waits as long as Telegram requires, and writes the result.
    ///
    /// Results name no cause: the command is never published.
    ///
    /// - Throws: `TelegramError` when no attempt is left; `CancellationError` at a shutdown.
    func send(_ command: TelegramCommand, to output: EventOutput) async throws -> ExitStatus {
        let (command, given) = try await withReadableFile(command)
        // The copy of a pipe exists as long as this object.
        defer { withExtendedLifetime(given) {} }
        let event = Envelope(command)
        let job: Job
        do throws(MalformedInput) { job = try Job(event) } catch { throw ToolError(.usage, error.reason) }
        let commands = CommandSender(
            runtime: runtime, api: api,
            messages: NewMessages(
                runtime: runtime, api: api,
                shared: SharedState(runtime: runtime, redis: nil, speakerID: api.speakerID)))
        var attempts = 0
        let backoff = Backoff(first: .seconds(1), longest: .seconds(32))
        return try await runtime.handling(event, causedBy: Correlation(correlationID: event.correlationID)) {
            while !runtime.shutdown.isRequested {
                do {
                    try await output.write([commands.send(job)])
                    return .success
                } catch let error as TelegramError
                    where error.isTransient && !error.isOutcomeUnknown && attempts < retries
                {
                    attempts += 1
                    let wait = error.retryAfter ?? backoff.pause(after: attempts)
                    runtime.log.warning("\(error.message); trying again in \(wait.spanText)")
                    if let report = error.waitingReport(speaker: api.speakerID, chat: job.chat) {
                        try await output.write([report])
                    }
                    _ = try await runtime.shutdown.interrupting { try await Task.sleep(for: wait) }
                }
            }
            throw CancellationError()
        }
    }

    /// Returns a command whose file can be read again after a failed attempt, also if the user gave a pipe.
    private func withReadableFile(_ command: TelegramCommand) async throws -> (TelegramCommand, GivenFile?) {
        guard case .file(var file) = command.body, case .path(let path) = file.source else { return (command, nil) }
        let given = try await BlockingThread.once { () throws(ToolError) in try GivenFile(path) }
        file.source = .path(given.path)
        file.fileName = file.fileName ?? given.name ?? file.kind.rawValue
        var command = command
        command.body = .file(file)
        return (command, given)
    }
}
