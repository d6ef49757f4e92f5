import BotAPI
import JSON
import Logging
import Payloads
import Stage
import System

/// Sends new messages, each of them once, also if Telegram's answer to a call is lost.
///
/// The Bot API has no key by which Telegram recognises a repeated message. After a lost answer, the messages that may be
/// the lost one are looked for: an edit that changes nothing is refused with one error for an own message, and with
/// another for all others. An own message that no process knows is the lost one.
struct NewMessages: Sendable {
    let runtime: Runtime
    let api: any MessagingAPI
    let shared: SharedState

    /// The time that Telegram may need to carry out a call whose connection broke, and another process to note a message
    /// that it has just sent.
    private static let patience = Duration.seconds(1)
    /// The number of ids that are tried at most.
    private static let maxIDs: Int64 = 40
    /// The number of ids behind the newest known message that are tried.
    private static let reach: Int64 = 10
    private static let maxFailures = 5
    private static let longestWait = Duration.seconds(30)

    /// Sends a message.
    ///
    /// In a topic that is closed or deleted nothing can be sent; the group gets the message instead.
    ///
    /// - Returns: the message; only its id and its chat after a lost answer.
    /// - Throws: `TelegramError`, with `isOutcomeUnknown` if the message may have been sent.
    func send(
        _ method: String, _ parameters: JSONObject, uploads: [MediaUpload] = [], for job: Job
    ) async throws(TelegramError) -> JSON {
        do throws(TelegramError) {
            return try await sendOnce(method, parameters, uploads, job)
        } catch {
            guard error.code == .topicGone, parameters["message_thread_id"] != nil else { throw error }
            runtime.log.notice("the topic is closed or deleted: sending to the group instead")
            var parameters = parameters
            parameters["message_thread_id"] = nil
            // A reply goes to the topic of the message that it answers.
            parameters["reply_parameters"] = nil
            return try await sendOnce(method, parameters, uploads, job)
        }
    }

    private func sendOnce(
        _ method: String, _ parameters: JSONObject, _ uploads: [MediaUpload], _ job: Job
    ) async throws(TelegramError) -> JSON {
        let newest = shared.newestOwnMessage(in: job.chat)
        do throws(TelegramError) {
            let answer =
                if uploads.isEmpty {
                    try await api.call(method, parameters, messageKey: job.messageKey)
                } else {
                    try await api.call(method, parameters, messageKey: job.messageKey, uploads: uploads)
                }
            let messages = answer.array ?? [answer]
            let chat = messages.first.flatMap { ChatID(answer: $0) } ?? job.chat
            await shared.noteOwnMessages(messages.compactMap(\.sentMessageID), in: chat)
            return answer
        } catch {
            guard error.isOutcomeUnknown else { throw error }
            return try await settle(error, method, parameters, job, newest: newest)
        }
    }

    // MARK: After a lost answer

    /// Finds out whether a message was sent.
    ///
    /// - Parameter newest: the newest own message in the chat before the call.
    private func settle(
        _ error: TelegramError, _ method: String, _ parameters: JSONObject, _ job: Job, newest: Int64?
    ) async throws(TelegramError) -> JSON {
        if let id = error.sentMessageID {
            await shared.noteOwnMessages([id], in: job.chat)
            return found(id, method, job)
        }
        // An edit that changes nothing else would remove the buttons.
        guard parameters["reply_markup"] == nil else { throw error }
        runtime.log.warning("\(error.message): finding out whether \(method) was carried out")
        switch await search(job, newest: newest) {
        case .sent(let id):
            // The messages of an album follow each other.
            for next in 1..<Int64(max(1, parameters["media"]?.array?.count ?? 1)) {
                _ = await shared.claimOwnMessage(id + next, in: job.chat)
            }
            return found(id, method, job)
        case .notSent: throw error.repeatable
        case .unknown: throw error
        }
    }

    private func found(_ id: Int64, _ method: String, _ job: Job) -> JSON {
        runtime.log.notice("the message was sent", metadata: ["message_id": .stringConvertible(id)])
        var message: JSONObject = ["message_id": .integer(id), "chat": ["id": job.chat.json]]
        // The kind of the file is known, but not its file_id.
        if method != "sendMessage" { message[String(method.dropFirst("send".count)).lowercased()] = [:] }
        return .object(message)
    }

    private enum Finding {
        case sent(Int64)
        case notSent
        case unknown
    }

    private func search(_ job: Job, newest: Int64?) async -> Finding {
        guard (try? await Task.sleep(for: NewMessages.patience)) != nil,
            let known = await shared.ownMessages(near: job.chat),
            let lower = [job.origin?.chat == job.chat ? job.origin?.messageID : nil, newest].compactMap({ $0 })
                .filter(OwnMessages.ids.contains).max()
        else { return .unknown }
        let wanted = max(lower, known.newest ?? lower) + NewMessages.reach
        let upper = min(wanted, lower + NewMessages.maxIDs)
        for id in (lower + 1)...upper where !known.ids.contains(id) {
            switch await isOwn(id, job) {
            case true?: if await isUnclaimed(id, job) { return .sent(id) }
            case false?: continue
            case nil: return .unknown
            }
        }
        return upper == wanted ? .notSent : .unknown
    }

    /// Takes a message for the lost one, unless another process has sent it.
    private func isUnclaimed(_ id: Int64, _ job: Job) async -> Bool {
        // Telegram may have just carried out a call of another process, which has not got its answer yet.
        guard (try? await Task.sleep(for: NewMessages.patience)) != nil else { return false }
        return await shared.claimOwnMessage(id, in: job.chat)
    }

    /// Returns whether a message of the chat is the bot's; nil if that cannot be found out.
    private func isOwn(_ id: Int64, _ job: Job) async -> Bool? {
        for _ in 0..<NewMessages.maxFailures {
            do throws(TelegramError) {
                _ = try await api.call(
                    "editMessageReplyMarkup", ["chat_id": job.chat.json, "message_id": .integer(id)])
                // It had a keyboard, and the lost message has none.
                return false
            } catch {
                if error.code == .notModified { return true }
                if error.code == .notMade { return nil }
                guard error.isTransient else { return false }
                guard await waitAfter(error) else { return nil }
            }
        }
        return nil
    }

    /// Waits until a failed call can be repeated.
    ///
    /// - Returns: false if that takes too long.
    private func waitAfter(_ error: TelegramError) async -> Bool {
        do {
            if let wait = error.retryAfter {
                guard wait <= NewMessages.longestWait else { return false }
                try await Task.sleep(for: wait)
            } else if let service = try await runtime.outages.outage(behind: error) {
                return try await runtime.outages.waitUntilBack(service, endsAtShutdown: shared.waits)
            } else {
                try await Task.sleep(for: NewMessages.patience)
            }
            return true
        } catch {
            return false
        }
    }
}

extension TelegramError {
    /// Is true if the refusal of a cached file_id may be due to the file, in whatever words, so that an upload may
    /// succeed. What is wrong with the chat is wrong for an upload, too.
    var mayConcernFile: Bool {
        if code == .fileRefused { return true }
        guard code == .badRequest, number == 400 else { return false }
        let words = message.lowercased()
        return !["chat", "topic", "thread", "right", "repl", "caption", "entit", "peer", "user"]
            .contains { words.contains($0) }
    }
}
