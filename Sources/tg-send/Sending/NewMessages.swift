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
/// another for all others. An own message that no process knows is the lost one. Nobody can edit a forwarded message: any unknown
/// message may be it. An answer is also lost if the process is killed that waits for it. Redis therefore knows of each call for an event
/// of a queue before it is made.
struct NewMessages: Sendable {
    let runtime: Runtime
    let api: any MessagingAPI
    let shared: SharedState

    /// The time that Telegram may need to carry out a call whose connection broke, and another process to note a message
    /// that it has just sent.
    private static let patience = Duration.seconds(1)
    /// The number of ids that are tried at most.
    private static let maxIDs = 40
    /// The number of ids behind the lowest one, known ones included, among which the message is looked for.
    private static let longestReach: Int64 = 1000
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
        if let found = try await foundAfterCrash(method, parameters, job) { return found }
        let isRecorded = shared.waits && !api.isAccount && !job.isProgress
        let newest = isRecorded ? await shared.newestMessage(in: job.chat) : shared.newestOwnMessage(in: job.chat)
        let isBegun = isRecorded && canSearch(parameters, job, newest: newest)
        if isBegun { await shared.begin(BegunCall(newest: newest), for: job) }
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
            guard error.isOutcomeUnknown else {
                // The record may be that of the process which has the event now.
                if isBegun, error.code != .notMade { await shared.record(job.withoutBegunCall) }
                throw error
            }
            return try await settle(error, method, parameters, job, newest: newest)
        }
    }

    /// Returns whether a message could be found again: an edit that changes nothing else would remove its buttons, and without a message
    /// before it there is no place to begin.
    private func canSearch(_ parameters: JSONObject, _ job: Job, newest: Int64?) -> Bool {
        parameters["reply_markup"] == nil && NewMessages.start(of: job, newest: newest) != nil
    }

    /// The newest message that is certainly older than the one that a job sends; nil if none is known.
    private static func start(of job: Job, newest: Int64?) -> Int64? {
        [job.origin?.chat == job.chat ? job.origin?.messageID : nil, newest].compactMap(\.self)
            .filter(OwnMessages.ids.contains).max()
    }

    // MARK: After a crash

    /// Finds the message of a call that an earlier process had begun when it was killed.
    ///
    /// - Returns: nil if the message is to be sent.
    /// - Throws: `TelegramError`, with `isOutcomeUnknown` if it may have been sent.
    private func foundAfterCrash(
        _ method: String, _ parameters: JSONObject, _ job: Job
    ) async throws(TelegramError) -> JSON? {
        guard let begun = job.begunCall, !api.isAccount, canSearch(parameters, job, newest: begun.newest) else {
            return nil
        }
        runtime.log.warning("a process ended during \(method): finding out whether it was carried out")
        let count = NewMessages.messageCount(parameters)
        let isForward = NewMessages.isForward(method)
        switch await search(job, newest: begun.newest, count, isForward: isForward) {
        case .sent(let id): return found(id, method, job)
        // The process may have ended before the call: while it waited for a server of Redis to be replaced, or during an upload.
        case .notSent, .unknown: return nil
        case .perhapsSent:
            throw TelegramError.outcomeUnknown("the process that called \(method) has ended without its answer")
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
        guard canSearch(parameters, job, newest: newest) else { throw error }
        runtime.log.warning("\(error.message): finding out whether \(method) was carried out")
        let count = NewMessages.messageCount(parameters)
        switch await search(job, newest: newest, count, isForward: NewMessages.isForward(method)) {
        case .sent(let id): return found(id, method, job)
        case .notSent: throw error.repeatable
        case .perhapsSent, .unknown: throw error
        }
    }

    private func found(_ id: Int64, _ method: String, _ job: Job) -> JSON {
        runtime.log.notice("the message was sent", metadata: ["message_id": .stringConvertible(id)])
        var message: JSONObject = ["message_id": .integer(id), "chat": ["id": job.chat.json]]
        // The kind of the file is known, but not its file_id.
        if method.hasPrefix("send"), method != "sendMessage" {
            message[String(method.dropFirst("send".count)).lowercased()] = [:]
        }
        return .object(message)
    }

    private enum Finding {
        case sent(Int64)
        case notSent
        /// There is a message that may be the one, or somebody else's.
        case perhapsSent
        case unknown
    }

    /// The number of messages that a call sends: the messages of an album follow each other.
    private static func messageCount(_ parameters: JSONObject) -> Int64 {
        Int64(max(1, (parameters["media"] ?? parameters["message_ids"])?.array?.count ?? 1))
    }

    private static func isForward(_ method: String) -> Bool { method.hasPrefix("forward") }

    /// Looks for the first message of a call, and takes all of its messages for found.
    private func search(_ job: Job, newest: Int64?, _ count: Int64, isForward: Bool) async -> Finding {
        guard (try? await Task.sleep(for: NewMessages.patience)) != nil,
            let known = await shared.ownMessages(near: job.chat),
            let lower = NewMessages.start(of: job, newest: newest)
        else { return .unknown }
        let wanted = max(lower, known.newest ?? lower) + NewMessages.reach
        let upper = min(wanted, lower + NewMessages.longestReach)
        // What the bot has sent to other chats takes ids of the same sequence.
        let open = ((lower + 1)...upper).filter { !known.ids.contains($0) }
        for id in open.prefix(NewMessages.maxIDs) {
            switch await look(at: id, job) {
            case .own where !isForward:
                guard await isUnclaimed(id, job) else { continue }
                await claim(id, count, job)
                return .sent(id)
            case .notEditable where isForward:
                guard await isUnclaimed(id, job) else { continue }
                // A missing message is a smaller evil than two.
                await claim(id, count, job)
                return .perhapsSent
            case .own, .notEditable, .other: continue
            case nil: return .unknown
            }
        }
        return upper == wanted && open.count <= NewMessages.maxIDs ? .notSent : .unknown
    }

    /// Takes the messages behind the first one of a call for found, too.
    private func claim(_ first: Int64, _ count: Int64, _ job: Job) async {
        for next in 1..<max(1, count) { _ = await shared.claimOwnMessage(first + next, in: job.chat) }
    }

    /// Takes a message for the lost one, unless another process has sent it.
    private func isUnclaimed(_ id: Int64, _ job: Job) async -> Bool {
        // Telegram may have just carried out a call of another process, which has not got its answer yet.
        guard (try? await Task.sleep(for: NewMessages.patience)) != nil else { return false }
        return await shared.claimOwnMessage(id, in: job.chat)
    }

    /// Says what an edit shows of a message.
    private enum Look {
        /// The bot has sent it, without buttons.
        case own
        /// It is somebody else's, or forwarded.
        case notEditable
        /// There is no such message, or it is another one.
        case other
    }

    /// Looks at a message of the chat; returns nil if that cannot be done.
    private func look(at id: Int64, _ job: Job) async -> Look? {
        for _ in 0..<NewMessages.maxFailures {
            do throws(TelegramError) {
                _ = try await api.call(
                    "editMessageReplyMarkup", ["chat_id": job.chat.json, "message_id": .integer(id)])
                // It had a keyboard, and the lost message has none.
                return .other
            } catch {
                if error.code == .notModified { return .own }
                if error.code == .notEditable { return .notEditable }
                if error.code == .notMade { return nil }
                guard error.isTransient else { return .other }
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

extension Job {
    /// The job without what an earlier process had begun.
    fileprivate var withoutBegunCall: Job {
        var job = self
        job.begunCall = nil
        return job
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
