import Accounts
import Blob
import BotAPI
import Envelope
import Glibc
import HTTP
import JSON
import Logging
import Media
import Payloads
import Stage
import System

/// Carries out the events `commands.telegram.*`.
struct CommandSender: Sendable {
    let runtime: Runtime
    let api: any MessagingAPI
    let messages: NewMessages

    /// Makes the call for a job's command.
    ///
    /// - Returns: the result, `events.telegram.sent`.
    /// - Throws: `TelegramError`.
    func send(_ job: Job) async throws(TelegramError) -> Envelope {
        guard case .command(let command) = job.content else { throw TelegramError(.badRequest, "not a command") }
        do {
            return try await send(command, job)
        } catch {
            guard let answer = command.answer(inPlaceOfReactionRefusedWith: error, isOfRequest: job.context != nil)
            else {
                throw error
            }
            runtime.log.notice("a text takes the place of a reaction that is refused: \(error.message)")
            return try await send(answer, job)
        }
    }

    private func send(_ command: TelegramCommand, _ job: Job) async throws(TelegramError) -> Envelope {
        let (command, copies) = try await withCopies(command)
        defer { for copy in copies { unlink(copy) } }
        let call = BotCall(command, origin: job.origin)
        let cut = BotCall.cutUnits(of: command)
        if cut > 0 { runtime.log.warning("the text is too long for Telegram: its last \(cut) characters are not sent") }
        // A message that is as it should be already needs no change.
        let fine: Set<TelegramError.Code> = command.action == .delete ? [.messageNotFound] : [.notModified]
        let result = try await accepting(fine) { () throws(TelegramError) in try await make(call, job) } ?? .null
        let file = SharedState.CachedFile(of: result)
        if let file, case .file(let message) = command.body, let key = message.key {
            await messages.shared.cache(file, for: key)
        }
        // A scheduled message has an id among the scheduled ones, which means another message in the chat.
        let isScheduled = call.parameters["schedule_date"] != nil
        let id = result.firstMessage.sentMessageID ?? JSON.object(call.parameters).sentMessageID
        var notes = result.firstMessage.notes(chat: job.chat, message: isScheduled ? nil : id)
        notes["action"] = "\(command.action.rawValue)"
        runtime.log.info("\(command.action.done)", metadata: notes)
        let album = result.array.map { $0.compactMap(\.sentMessageID) }
        return .derived(
            TelegramSent(
                command.action, chat: ChatID(answer: result.firstMessage) ?? job.chat,
                messageID: isScheduled ? nil : id, messageIDs: isScheduled ? nil : album,
                fileID: file?.fileID))
    }

    /// Returns the command with downloaded files in place of those that an account has to upload again, and their paths.
    ///
    /// - Throws: `TelegramError`, after it has removed the files.
    private func withCopies(_ command: TelegramCommand) async throws(TelegramError) -> (TelegramCommand, [String]) {
        let files = command.files
        guard api.isAccount, files.contains(where: \.reuploads) else { return (command, []) }
        var (copied, paths): ([FileMessage], [String]) = ([], [])
        do throws(TelegramError) {
            for file in files { copied.append(try await withCopy(file, &paths)) }
        } catch {
            for path in paths { unlink(path) }
            throw error
        }
        var command = command
        if case .album = command.body { command.body = .album(copied) } else { command.body = .file(copied[0]) }
        return (command, paths)
    }

    private func withCopy(_ file: FileMessage, _ paths: inout [String]) async throws(TelegramError) -> FileMessage {
        guard file.reuploads, case .fileID(let id) = file.source else { return file }
        guard let path = (try? runtime.directory("media/cache")).flatMap({ MediaCache(directory: $0).temporaryPath() })
        else { throw TelegramError(.localIO, "unable to write to the media folder") }
        guard case .download(let download) = try await api.file(id).source else { return file }
        paths.append(path)
        try await download(path) { _ in }
        var file = file
        file.source = .path(path)
        file.fileName = file.fileName ?? file.kind.rawValue
        return file
    }

    private func make(_ call: BotCall, _ job: Job) async throws(TelegramError) -> JSON {
        guard !call.uploads.isEmpty else {
            guard ["send", "forward", "copy"].contains(where: call.method.hasPrefix) else {
                return try await api.call(call.method, call.parameters, messageKey: job.messageKey)
            }
            return try await messages.send(call.method, call.parameters, for: job)
        }
        var (parameters, media, open) = (call.parameters, [MediaUpload](), [OpenFile]())
        for upload in call.uploads {
            guard let file = OpenFile(path: upload.path, mayLackName: true) else {
                throw TelegramError(.localIO, ToolError.localIO("unable to read \(upload.path)").message)
            }
            let name = FileName.safe(upload.file.fileName ?? lastPathComponent(upload.path)) ?? "file"
            media.append(
                MediaUpload(
                    field: upload.field, kind: upload.file.kind.rawValue, fileName: name,
                    contentType: upload.file.contentType ?? FileType.contentType(of: name),
                    content: FileRange(descriptor: file.descriptor, offset: 0, count: file.sizeBytes), path: file.path,
                    key: file.path))
            open.append(file)
            let isVideo = upload.file.kind == .video
            parameters = BotCall.adding(
                await described(upload.file, at: upload.path),
                isStreamable: isVideo ? await MovieLayout.isStreamable(upload.path) : false, of: upload,
                to: parameters)
        }
        defer { withExtendedLifetime(open) {} }
        let complete = parameters
        // Telegram makes the previews of albums itself.
        guard media.count == 1, call.uploads[0].place == nil else {
            return try await messages.send(call.method, complete, uploads: media, for: job)
        }
        return try await VideoPreview(runtime: runtime).adding(to: media[0]) { media throws(TelegramError) in
            try await messages.send(call.method, complete, uploads: [media], for: job)
        }
    }

    /// Returns the details of a file, completed by those that ffprobe finds: Telegram looks only into small files.
    private func described(_ file: FileMessage, at path: String) async -> MediaDescription {
        let known = file.description
        let isComplete: Bool =
            switch file.kind {
            case .video, .animation: known.width != nil && known.height != nil && known.durationSeconds != nil
            case .audio, .voice: known.durationSeconds != nil
            case .document, .photo: true
            }
        guard !isComplete, let details = await VideoDetails(of: path) else { return known }
        return details.completing(known)
    }
}

extension TelegramCommand {
    /// Returns the reply to send where a reaction is refused in this chat, so that the user gets an answer: the text that
    /// the command names for that, or the emoji for a request; nil for other commands and refusals.
    fileprivate func answer(inPlaceOfReactionRefusedWith error: TelegramError, isOfRequest: Bool) -> TelegramCommand? {
        guard case .react(let emoji, let messageID, let text) = body, !emoji.isEmpty else { return nil }
        if let text, !text.isEmpty, [.badRequest, .forbidden, .reactionRefused].contains(error.code) {
            return TelegramCommand(.reply(TextMessage(text, MessageOptions(replyTo: messageID))), chat: chat)
        }
        guard isOfRequest, error.code == .reactionRefused else { return nil }
        return TelegramCommand(.reply(TextMessage(emoji, MessageOptions(replyTo: messageID))), chat: chat)
    }
}

extension TelegramCommand {
    /// The files that the command sends.
    fileprivate var files: [FileMessage] {
        switch body {
        case .file(let file): [file]
        case .album(let files): files
        default: []
        }
    }
}

extension TelegramAction {
    /// The word of the log for an action that has succeeded.
    fileprivate var done: String {
        switch self {
        case .edit: "edited"
        case .delete: "deleted"
        case .react: "reacted"
        case .pin: "pinned"
        case .answer: "answered"
        case .forward: "forwarded"
        default: "sent"
        }
    }
}

/// Makes a call, and treats refusals with some codes as success.
///
/// - Returns: nil after such a refusal.
@discardableResult
func accepting(
    _ codes: Set<TelegramError.Code>, _ call: () async throws(TelegramError) -> JSON
) async throws(TelegramError) -> JSON? {
    do {
        return try await call()
    } catch {
        if codes.contains(error.code) { return nil }
        throw error
    }
}

extension ChatID {
    /// Reads the chat of a sent message. It differs from the requested one if a group has become a supergroup.
    init?(answer: JSON) {
        guard let id = answer["chat"]?["id"] else { return nil }
        self.init(id)
    }
}

extension JSON {
    /// The first message of an album, or the message itself.
    var firstMessage: JSON { array?.first ?? self }

    /// Returns what a log line says of a message that was sent, so that the line is found by the message.
    func notes(chat: ChatID?, message: Int64?) -> Logger.Metadata {
        var notes: Logger.Metadata = [:]
        let chat = ChatID(answer: self) ?? chat
        if let id = chat?.number { notes["chat_id"] = .stringConvertible(id) }
        if let name = self["chat"]?["username"]?.string { notes["chat_username"] = "\(name)" }
        if let message { notes["message_id"] = .stringConvertible(message) }
        return notes
    }

    /// The id of the message that an answer of the Bot API describes; nil if it names none, or one that no message can
    /// have.
    var sentMessageID: Int64? { self["message_id"]?.int.flatMap { OwnMessages.ids.contains($0) ? $0 : nil } }
}

extension TelegramError {
    /// Shorter waits are not reported.
    private static let shortestReportedWait = Duration.seconds(3)

    /// Returns the report of a wait that Telegram requires of an account; nil for short waits, and for a bot's.
    func waitingReport(speaker: Int64, chat: ChatID) -> Envelope? {
        guard let wait = retryAfter, let call = waitingCall, wait >= TelegramError.shortestReportedWait else {
            return nil
        }
        return FloodWait(method: call.method, remaining: wait, reason: call.reason)
            .event(account: speaker, chat: chat.number)
    }
}
