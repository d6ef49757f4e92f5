import Blob
import Envelope
import HTTP
import JSON
import BotAPI
import Logging
import Stage
import System

extension Sender {
    /// Carries out a `commands.telegram.*`; what it came to.
    func command(_ action: String, _ event: Envelope) async throws -> Envelope {
        let call: BotCall
        do throws(MalformedInput) { call = try BotCall(action, event) } catch { throw ToolError(.usage, error.reason) }
        // What is as it should be already is done.
        let fine: Set<TelegramError.Code> = action == "delete" ? [.messageNotFound] : [.notModified]
        let result = try await accepting(fine) { () throws(TelegramError) in try await perform(call, event) } ?? .null
        let file = SentFile(result)
        if let file, let key = event.payload["key"]?.string { await shared.cache(file.cached, for: key) }
        runtime.log.info("sent", metadata: ["action": "\(action)"])
        return sent(
            action, call.parameters["chat_id"], result, messageID: call.parameters["message_id"],
            ["file_id": file.map { .string($0.cached.fileID) }])
    }

    /// Makes a call whose refusals of some kinds are as good as success.
    ///
    /// - Returns: nil after such a refusal.
    @discardableResult
    private func accepting(
        _ codes: Set<TelegramError.Code>, _ call: () async throws(TelegramError) -> JSON
    ) async throws(TelegramError) -> JSON? {
        do {
            return try await call()
        } catch {
            if codes.contains(error.code) { return nil }
            throw error
        }
    }

    private func perform(_ call: BotCall, _ event: Envelope) async throws(TelegramError) -> JSON {
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

    /// Makes the optimistic reply, or changes it.
    func showProgress(_ job: Job) async throws {
        guard let chat = job.origin?["chat_id"] else { return }
        let text = Wording.progress(job.event.payload)
        if let reply = await shared.replyID() {
            try await accepting([.notModified]) { () throws(TelegramError) in
                try await api.call(
                    "editMessageText", ["chat_id": chat, "message_id": .integer(reply), "text": .string(text)])
            }
            return shared.noteShown(text)
        }
        // Another process may be making it right now, or have ended the request.
        guard await shared.claimReply(job.kind) else { return }
        var parameters: JSONObject = ["chat_id": chat, "text": .string(text), "disable_notification": true]
        BotCall.addReply(&parameters, job.event, byDefault: true)
        if let id = try await makeReply(parameters) { await shared.setReplyID(id) }
        shared.noteShown(text)
        if await shared.hasEnded(job.kind) { try await removeReply(job) }
    }

    private func makeReply(_ parameters: JSONObject) async throws -> Int64? {
        do {
            return try await api.call("sendMessage", parameters)["message_id"]?.int
        } catch {
            await shared.forgetReply()
            throw error
        }
    }

    func removeReply(_ job: Job) async throws {
        guard let chat = job.origin?["chat_id"], let reply = await shared.replyID() else { return }
        try await accepting([.messageNotFound]) { () throws(TelegramError) in
            try await api.call("deleteMessage", ["chat_id": chat, "message_id": .integer(reply)])
        }
        await shared.forgetReply()
    }

    /// Says how a request ended, in place of the optimistic reply if there is one.
    ///
    /// - Parameter html: see `Wording`.
    func tell(_ html: String, _ job: inout Job) async throws {
        guard let chat = job.chat else { return }
        if let reply = await shared.replyID(), let message = try await edited(reply, html, chat, job) {
            return job.results.append(sent("edit", chat, message))
        }
        var parameters: JSONObject = [
            "chat_id": chat, "text": .string(html), "parse_mode": "HTML", "link_preview_options": ["is_disabled": true],
        ]
        BotCall.addReply(&parameters, job.event, byDefault: true)
        let message = try await api.call("sendMessage", parameters)
        job.results.append(sent("reply", chat, message))
    }

    /// Turns the optimistic reply into its end.
    ///
    /// - Returns: nil when that has to be a new message.
    private func edited(_ reply: Int64, _ html: String, _ chat: JSON, _ job: Job) async throws(TelegramError) -> JSON? {
        var message: JSON?
        do {
            message = try await api.call(
                "editMessageText",
                [
                    "chat_id": chat, "message_id": .integer(reply), "text": .string(html), "parse_mode": "HTML",
                    "link_preview_options": ["is_disabled": true],
                ])
        } catch {
            switch error.code {
            // Somebody deleted it, or it is too old.
            case .messageNotFound: break
            case .floodWait:
                // Edits may have to wait for hours, new messages need not.
                if let wait = error.retryAfter { await hold(job, .edit, for: wait) }
                _ = try? await api.call("deleteMessage", ["chat_id": chat, "message_id": .integer(reply)])
            default: throw error
            }
        }
        await shared.forgetReply()
        return message
    }
}

/// The file of a sent message, as Telegram calls it.
struct SentFile: Sendable {
    let cached: SharedState.CachedFile

    init?(_ message: JSON) {
        // A video without sound comes back as an animation, with a document beside it for old clients.
        for type in ["animation", "video", "audio", "voice", "document"] {
            if let id = message[type]?["file_id"]?.string {
                cached = SharedState.CachedFile(fileID: id, type: type)
                return
            }
        }
        return nil
    }
}

/// File names from outside, fit to be shown and saved.
enum FileName {
    static func safe(_ name: String) -> String {
        let kept = name.unicodeScalars.map { scalar -> Character in
            switch scalar {
            case "/", "\\", "\"", ":", "*", "?", "<", ">", "|": "_"
            default: scalar.properties.generalCategory == .control ? "_" : Character(scalar)
            }
        }
        let text = String(kept).trimmingDots.fileName(cutToBytes: 200)
        return text.isEmpty ? "file" : text
    }
}

extension String {
    fileprivate var trimmingDots: String { String(drop { $0 == "." || $0 == " " }) }
}
