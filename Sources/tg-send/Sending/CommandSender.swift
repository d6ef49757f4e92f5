import Accounts
import Blob
import BotAPI
import Envelope
import HTTP
import JSON
import Logging
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
        let call = BotCall(command, origin: job.origin)
        // A message that is as it should be already needs no change.
        let fine: Set<TelegramError.Code> = command.action == .delete ? [.messageNotFound] : [.notModified]
        let result: JSON
        do throws(TelegramError) {
            result = try await accepting(fine) { () throws(TelegramError) in try await make(call, job) } ?? .null
        } catch {
            guard let text = replacement(of: command, refusedWith: error, job) else { throw error }
            result = try await make(text, job)
        }
        let file = SharedState.CachedFile(of: result)
        if let file, case .file(let message) = command.body, let key = message.key {
            await messages.shared.cache(file, for: key)
        }
        runtime.log.info("sent", metadata: ["action": "\(command.action.rawValue)"])
        return .derived(
            TelegramSent(
                command.action, chat: ChatID(answer: result) ?? job.chat,
                messageID: result["message_id"]?.int ?? call.parameters["message_id"]?.int, fileID: file?.fileID))
    }

    private func make(_ call: BotCall, _ job: Job) async throws(TelegramError) -> JSON {
        guard let upload = call.upload else {
            guard call.method.hasPrefix("send") else {
                return try await api.call(call.method, call.parameters, messageKey: job.messageKey)
            }
            return try await messages.send(call.method, call.parameters, for: job)
        }
        guard let file = OpenFile(path: upload.path) else {
            throw TelegramError(.localIO, ToolError.localIO("unable to read \(upload.path)").message)
        }
        let name = FileName.safe(upload.file.fileName ?? lastPathComponent(upload.path)) ?? "file"
        return try await messages.send(
            call.method, call.parameters,
            upload: MediaUpload(
                field: upload.field, fileName: name,
                contentType: upload.file.contentType ?? "application/octet-stream",
                content: FileRange(descriptor: file.descriptor, offset: 0, count: file.sizeBytes), path: file.path,
                key: file.path), for: job)
    }

    /// Returns the reply that takes the place of a reaction where reactions are not allowed, so that the user gets an
    /// answer; nil for other refusals, and for a reaction that a person asked for in a shell.
    private func replacement(
        of command: TelegramCommand, refusedWith error: TelegramError, _ job: Job
    ) -> BotCall? {
        guard error.code == .reactionRefused, job.context != nil, case .react(let emoji, let messageID) = command.body,
            !emoji.isEmpty
        else { return nil }
        runtime.log.notice("reactions are not allowed here: replying instead")
        let reply = TextMessage(emoji, replyTo: messageID)
        return BotCall(TelegramCommand(.reply(reply), chat: command.chat), origin: job.origin)
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
