import Accounts
import Blob
import BotAPI
import Envelope
import HTTP
import JSON
import Logging
import Stage
import System

/// Carries out the events `commands.telegram.*`.
struct CommandSender: Sendable {
    let runtime: Runtime
    let api: any MessagingAPI
    let shared: SharedState

    /// Makes the call that a command asks for.
    ///
    /// - Returns: the result, `events.telegram.sent`.
    /// - Throws: `TelegramError`, and `ToolError` for a malformed command.
    func send(_ action: String, _ event: Envelope) async throws -> Envelope {
        let call: BotCall
        do throws(MalformedInput) { call = try BotCall(action, event) } catch { throw ToolError(.usage, error.reason) }
        // A message that is as it should be already needs no change.
        let fine: Set<TelegramError.Code> = action == "delete" ? [.messageNotFound] : [.notModified]
        let result = try await accepting(fine) { () throws(TelegramError) in try await make(call, event) } ?? .null
        let file = SharedState.CachedFile(of: result)
        if let file, let key = event.payload["key"]?.string { await shared.cache(file, for: key) }
        runtime.log.info("sent", metadata: ["action": "\(action)"])
        return SendEvents.sent(
            action, chat: call.parameters["chat_id"], result, messageID: call.parameters["message_id"],
            details: ["file_id": file.map { .string($0.fileID) }])
    }

    private func make(_ call: BotCall, _ event: Envelope) async throws(TelegramError) -> JSON {
        guard let upload = call.upload else { return try await api.call(call.method, call.parameters) }
        guard let file = OpenFile(path: upload.path) else {
            throw TelegramError(.localIO, "unable to read \(upload.path)")
        }
        let name = FileName.safe(upload.fileName ?? String(upload.path.split(separator: "/").last ?? "file"))
        return try await api.call(
            call.method, call.parameters,
            upload: MediaUpload(
                field: upload.field, fileName: name,
                contentType: event.payload["content_type"]?.string ?? "application/octet-stream",
                content: FileRange(descriptor: file.descriptor, offset: 0, count: file.sizeBytes), path: file.path,
                key: file.path))
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

extension SendEvents {
    /// Shorter waits are not reported.
    private static let shortestReportedWait = Duration.seconds(3)

    /// Returns the report of a wait that Telegram requires of an account; nil for short waits, and for a bot's.
    static func waiting(_ error: TelegramError, _ event: Envelope, speaker: Int64) -> Envelope? {
        guard let wait = error.retryAfter, let call = error.waitingCall, wait >= shortestReportedWait else {
            return nil
        }
        let chat = event.payload["chat_id"] ?? event.meta["origin"]?["chat_id"]
        return FloodWait(method: call.method, remaining: wait, reason: call.reason)
            .event(account: speaker, chat: chat?.int)
    }
}

/// Makes file names from outside fit to be shown and saved.
enum FileName {
    /// Replaces characters that some system refuses in a file name, drops leading dots and spaces, and cuts the name to 200 bytes.
    static func safe(_ name: String) -> String {
        let kept = name.unicodeScalars.map { scalar -> Character in
            switch scalar {
            case "/", "\\", "\"", ":", "*", "?", "<", ">", "|": "_"
            default: scalar.properties.generalCategory == .control ? "_" : Character(scalar)
            }
        }
        let text = String(String(kept).drop { $0 == "." || $0 == " " }).fileName(cutToBytes: 200)
        return text.isEmpty ? "file" : text
    }
}
