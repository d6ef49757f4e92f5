import Blob
import Envelope
import Stage
import Synchronization
import Telegram

/// Carries out jobs against the Bot API, step by step.
struct Sender: Sendable {
    let runtime: Runtime
    let api: BotAPI
    let output: EventOutput
    let shared: SharedState
    let options: SendingOptions
    /// nil for one-off sends, which keep nothing on disk.
    let copies: LocalCopies?
    let pacing: SharedPacing
    let uploads = KeysInUse()

    init(
        runtime: Runtime, api: BotAPI, output: EventOutput, shared: SharedState, cache: MediaCache?,
        options: SendingOptions
    ) {
        self.runtime = runtime
        self.api = api
        self.output = output
        self.shared = shared
        self.options = options
        copies = cache.map { LocalCopies(cache: $0) }
        pacing = SharedPacing(isOn: !options.noPacing)
    }

    /// Refuses what can never be sent, before it waits in the schedule.
    func check(_ job: Job) throws(MalformedInput) {
        if case .command(let action) = job.steps.first { _ = try BotCall(action, job.event) }
        if job.chat == nil {
            throw MalformedInput(.invalidPayload, "\(job.event.type): no chat_id, and no meta.origin to take it from")
        }
        let isMedia = job.event.type.hasSuffix(".ready") || job.event.type == "events.media.fetched"
        if isMedia, job.event.payload["key"]?.string == nil {
            throw MalformedInput(.invalidPayload, "\(job.event.type): no key")
        }
    }

    /// Does what is left of a job, up to where Telegram makes it wait.
    ///
    /// - Throws: only what ends the tool: a refused token, a broken output.
    func perform(_ job: Job) async throws -> Schedule.Outcome {
        var job = job
        while let step = job.steps.first {
            // By the time that an edit may be made again, newer progress has come.
            if job.maySkip, pacing.isHeld(chat: job.chatName, .edit) { return .done }
            if let wait = wait(before: step, job) { return .again(job, after: wait) }
            do {
                if let wait = try await carryOut(step, &job) { return .again(job, after: wait) }
            } catch let error as TelegramError {
                if let wait = try await afterFailure(error, step, &job) { return .again(job, after: wait) }
                continue
            }
            job.steps.removeFirst()
            job.attempts = 0
        }
        return .done
    }

    private func wait(before step: Step, _ job: Job) -> Duration? {
        guard let kind = Sender.kind(of: step, job) else { return nil }
        // Whoever only waits for another's upload of the same takes no turn from those who have something to say.
        if case .deliver = step, let key = job.event.payload["key"]?.string, uploads.contains(key) {
            return Sender.uploadPoll
        }
        return pacing.turn(chat: job.chatName, kind, job.maySkip ? .progress : .reply)
    }

    static let uploadPoll = Duration.milliseconds(100)

    /// What Telegram counts a step as; nil for what it takes at any time.
    private static func kind(of step: Step, _ job: Job) -> Pacing.Kind? {
        switch step {
        case .command("delete"), .command("react"), .removeReply: nil
        case .command("edit"): .edit
        case .showProgress: job.isFirstProgress ? .message : .edit
        default: .message
        }
    }

    /// - Returns: how long to wait when the step could not be done yet.
    private func carryOut(_ step: Step, _ job: inout Job) async throws -> Duration? {
        switch step {
        case .command(let action): try await command(action, job.event)
        case .showProgress: try await showProgress(job.event)
        case .deliver: return try await deliver(&job)
        case .removeReply: try await removeReply(job)
        case .showFailure: try await showFailure(job.event.payload["reason"]?.string ?? "It did not work.", job)
        }
        return nil
    }

    /// Decides what a failed step means for its job.
    ///
    /// - Returns: how long to wait before it is tried again; nil when it was given up, or what it was for is done.
    private func afterFailure(_ error: TelegramError, _ step: Step, _ job: inout Job) async throws -> Duration? {
        if error.code == .unauthorized { throw error }
        if let wait = error.retryAfter {
            runtime.log.notice(
                "Telegram asks to wait", metadata: ["seconds": "\(wait.components.seconds)", "chat": "\(job.chatName)"])
            if let kind = Sender.kind(of: step, job) { pacing.hold(chat: job.chatName, kind, for: wait) }
            return job.maySkip ? dropped(&job) : wait
        }
        if error.isTemporary, job.attempts < options.retries, !job.maySkip {
            job.attempts += 1
            runtime.log.warning("\(error.message); trying again", metadata: ["attempt": "\(job.attempts)"])
            return .milliseconds(Int64(500 * (1 << min(job.attempts, 6)))) * Double.random(in: 0.5...1)
        }
        job.steps.removeFirst()
        job.attempts = 0
        switch step {
        // What is shown meanwhile is no result: that it cannot be changed or is gone already ends nothing.
        case .showProgress, .removeReply: runtime.log.debug("\(error.message)")
        case .deliver:
            try await failed("deliver", error, job)
            job.steps = [.showFailure]
            job.event.payload["reason"] = .string(
                "Telegram did not take the file: \(error.message.withoutPrefix("Telegram: "))")
        case .showFailure: try await failed("reply", error, job)
        case .command(let action): try await failed(action, error, job)
        }
        return nil
    }

    /// Progress that Telegram does not want now is old by the time it would.
    private func dropped(_ job: inout Job) -> Duration? {
        job.steps = []
        return nil
    }

    func failed(_ action: String, _ error: TelegramError, _ job: Job) async throws {
        runtime.log.error("unable to \(action): \(error.message)", metadata: ["chat": "\(job.chatName)"])
        let payload: JSONObject = [
            "action": .string(action), "chat_id": job.chat, "code": .integer(Int64(error.number)),
            "reason": .string(error.message),
        ]
        try await output.write([.derived(type: "events.telegram.failed", payload: payload)])
    }

    /// - Parameters:
    ///   - chat: that was spoken to; the answer's is another when the group has become a supergroup.
    ///   - answer: the message, where Telegram answered with one.
    func sent(
        _ action: String, _ chat: JSON?, _ answer: JSON, messageID: JSON? = nil, _ details: JSONObject = [:]
    ) async throws {
        var payload: JSONObject = [
            "action": .string(action), "chat_id": answer["chat"]?["id"] ?? chat,
            "message_id": answer["message_id"] ?? messageID,
        ]
        for member in details.members { payload[member.key] = member.value }
        try await output.write([.derived(type: "events.telegram.sent", payload: payload)])
    }

    /// Sends what the flags ask for and tells how it went; waits as long as Telegram asks. The event stands for the flags only:
    /// nobody has seen it, so nothing names it as its cause.
    func sendOnce(_ event: Envelope) async throws -> ExitStatus {
        guard var job = Job(event) else { throw StageError(.usage, "nothing to send") }
        guard case .command(let action) = job.steps.first else { throw StageError(.usage, "nothing to send") }
        return try await Correlation.$current.withValue(Correlation(correlationID: event.correlationID)) {
            while !runtime.shutdown.isRequested {
                do {
                    try await command(action, event)
                    return .success
                } catch let error as TelegramError where error.isTemporary && job.attempts < options.retries {
                    job.attempts += 1
                    let pause = error.retryAfter ?? .seconds(job.attempts)
                    runtime.log.warning("\(error.message); trying again in \(pause.spanText)")
                    _ = try await runtime.shutdown.interrupting { try await Task.sleep(for: pause) }
                }
            }
            throw CancellationError()
        }
    }
}

extension String {
    func withoutPrefix(_ prefix: String) -> String { hasPrefix(prefix) ? String(dropFirst(prefix.count)) : self }
}

/// The pacing that all workers share.
final class SharedPacing: Sendable {
    private let pacing = Mutex(Pacing(now: .now))
    private let isOn: Bool

    /// - Parameter isOn: false keeps to what Telegram says, and to nothing else.
    init(isOn: Bool) { self.isOn = isOn }

    func turn(chat: String, _ kind: Pacing.Kind, _ priority: Pacing.Priority) -> Duration? {
        pacing.withLock { pacing in
            if let wait = pacing.held(chat: chat, kind, now: .now) { return wait }
            return isOn ? pacing.turn(chat: chat, priority, now: .now) : nil
        }
    }

    func hold(chat: String, _ kind: Pacing.Kind, for wait: Duration) {
        pacing.withLock { $0.hold(chat: chat, kind, for: wait, now: .now) }
    }

    func isHeld(chat: String, _ kind: Pacing.Kind) -> Bool {
        pacing.withLock { $0.held(chat: chat, kind, now: .now) != nil }
    }
}

/// Objects being uploaded right now: whoever asks for the same meanwhile waits, and then finds it cached.
final class KeysInUse: Sendable {
    private let keys = Mutex<Set<String>>([])

    func contains(_ key: String) -> Bool { keys.withLock { $0.contains(key) } }
    func begin(_ key: String) -> Bool { keys.withLock { $0.insert(key).inserted } }
    func end(_ key: String) { _ = keys.withLock { $0.remove(key) } }
}
