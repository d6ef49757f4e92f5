import BotAPI
import ChatCommands
import Envelope
import JSON
import Payloads
import Stage
import Texts

/// Creates, edits and removes the placeholder replies that show users the progress of their requests.
struct PlaceholderReplies: Sendable {
    let api: any MessagingAPI
    let shared: SharedState
    let limits: CallLimits
    let messages: NewMessages
    let texts: Texts
    /// Signs the buttons that cancel requests; nil for none.
    let cancelKey: ButtonKey?

    /// Returns whether the user sees a job's progress already.
    func isShown(_ job: Job) -> Bool {
        guard case .progress(let progress) = job.content else { return false }
        return shared.isShown(text(progress, job), for: job.event.correlationID)
    }

    /// Creates the placeholder reply with a job's progress, or edits it.
    func show(_ job: Job) async throws {
        guard case .progress(let progress) = job.content else { return }
        let (chat, request) = (job.chat.json, job.event.correlationID)
        let text = text(progress, job)
        // Without a keyboard, an edit removes the one that the reply has.
        let keyboard = PlaceholderReplies.keyboard(progress.buttons + cancelRow(job, progress))
        if let reply = await shared.replyID(of: request) {
            // Another process may have turned the reply into the request's last message.
            if await shared.hasEnded(request, kind: job.endKind) { return }
            try await accepting([.notModified]) { () throws(TelegramError) in
                try await api.call(
                    "editMessageText",
                    [
                        "chat_id": chat, "message_id": .integer(reply), "text": .string(text),
                        "reply_markup": keyboard,
                    ])
            }
            return shared.noteShown(text, for: request)
        }
        // Another process may be creating it right now, or have ended the request.
        guard await shared.claimReply(of: request, kind: job.endKind) else { return }
        var parameters: JSONObject = [
            "chat_id": chat, "text": .string(text), "disable_notification": true, "reply_markup": keyboard,
        ]
        parameters.addReply(to: job.origin?.messageID, thread: job.origin?.threadID)
        if let id = try await create(parameters, job) { await shared.setReplyID(id, for: job) }
        shared.noteShown(text, for: request)
        if await shared.hasEnded(request, kind: job.endKind), let late = await shared.withdrawReply(of: request) {
            try await delete(late, chat)
        }
    }

    /// Returns the button that cancels a job's request, unless it would come too late.
    private func cancelRow(_ job: Job, _ progress: MediaProgress) -> [[ChoiceButton]] {
        guard let cancelKey, let user = job.event.actor?.id, let chat = job.chat.number, !progress.isAlmostDone else {
            return []
        }
        let data = CancelPress.data(cancelKey, request: job.event.correlationID, user: user, chat: chat)
        return [[ChoiceButton(texts.text("cancel_button", job.event.actor?.language), data: data)]]
    }

    private func text(_ progress: MediaProgress, _ job: Job) -> String {
        Wording(texts, for: job.event).progress(progress, group: job.group)
    }

    private static func keyboard(_ rows: [[ChoiceButton]]) -> JSON? {
        guard rows.contains(where: { !$0.isEmpty }) else { return nil }
        let buttons: [JSON] = rows.map { row in
            .array(row.map { .object(["text": .string($0.text), "callback_data": .string($0.data)]) })
        }
        return .object(["inline_keyboard": .array(buttons)])
    }

    private func create(_ parameters: JSONObject, _ job: Job) async throws(TelegramError) -> Int64? {
        do throws(TelegramError) {
            return try await messages.send("sendMessage", parameters, for: job).sentMessageID
        } catch {
            if error.isOutcomeUnknown {
                await shared.doubtReply(of: job.event.correlationID)
                throw error
            }
            // The record may be that of the process which has the event now.
            if error.code != .notMade { await shared.forgetReply(of: job.event.correlationID) }
            throw error
        }
    }

    /// Deletes the placeholder reply, if there is one.
    func remove(_ job: Job) async throws {
        let request = job.event.correlationID
        guard let reply = await shared.takeReply(of: request) else { return }
        try await delete(reply, job.chat.json)
        await shared.forgetReply(of: request)
    }

    private func delete(_ reply: Int64, _ chat: JSON) async throws(TelegramError) {
        try await accepting([.messageNotFound]) { () throws(TelegramError) in
            try await api.call("deleteMessage", ["chat_id": chat, "message_id": .integer(reply)])
        }
    }

    /// Shows how a request ended, in place of the placeholder reply if there is one.
    ///
    /// - Parameter html: the message in Telegram's HTML; see `Wording`.
    /// - Returns: the result, `events.telegram.sent`.
    func end(_ job: Job, _ html: String) async throws(TelegramError) -> Envelope {
        if let reply = await shared.takeReply(of: job.event.correlationID),
            let message = try await edit(reply, html, job)
        {
            return result(.edit, message, job)
        }
        return try await say(job, html)
    }

    /// Sends a message of its own about a request, which leaves the placeholder reply as it is.
    ///
    /// - Returns: the result, `events.telegram.sent`.
    func say(_ job: Job, _ html: String) async throws(TelegramError) -> Envelope {
        var parameters: JSONObject = [
            "chat_id": job.chat.json, "text": .string(html), "parse_mode": "HTML",
            "link_preview_options": ["is_disabled": true],
        ]
        parameters.addReply(to: job.origin?.messageID, thread: job.origin?.threadID)
        return result(.reply, try await messages.send("sendMessage", parameters, for: job), job)
    }

    private func result(_ action: TelegramAction, _ message: JSON, _ job: Job) -> Envelope {
        .derived(
            TelegramSent(action, chat: ChatID(answer: message) ?? job.chat, messageID: message.sentMessageID))
    }

    /// Turns the placeholder reply into a request's last message.
    ///
    /// - Returns: nil when a new message is needed instead.
    private func edit(_ reply: Int64, _ html: String, _ job: Job) async throws(TelegramError) -> JSON? {
        let chat = job.chat.json
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
            // The user has deleted it, or it is too old.
            case .messageNotFound: break
            case .floodWait:
                // Edits may have to wait for hours. New messages do not.
                if let wait = error.retryAfter { await limits.setFloodWait(chat: job.chat, .edit, for: wait) }
                _ = try? await api.call("deleteMessage", ["chat_id": chat, "message_id": .integer(reply)])
            default: throw error
            }
        }
        await shared.forgetReply(of: job.event.correlationID)
        return message
    }
}

extension MediaProgress {
    /// Is true from the moment at which the file is complete: the request can no longer be cancelled.
    fileprivate var isAlmostDone: Bool { state == .storing || state == .uploading }
}
