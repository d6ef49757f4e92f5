import Blob
import Accounts
import Envelope
import JSON
import Logging
import Options
import Stage
import Synchronization
import BotAPI
import System

/// Carries out jobs, step by step, as a bot or as an account.
struct Sender: Sendable {
    let runtime: Runtime
    let api: any MessagingAPI
    let shared: SharedState
    let options: SendingOptions
    /// Then what may pass is tried again later, by whoever gets the event then, and goes on where this one stopped.
    let isFromQueue: Bool
    /// One uploads an object, whoever else has to.
    let uploads: SharedWork
    /// nil for one-off sends, which keep nothing on disk.
    let copies: LocalCopies?
    let pacing: SharedPacing

    init(
        runtime: Runtime, api: any MessagingAPI, shared: SharedState, cache: MediaCache?, options: SendingOptions,
        input: InputOptions
    ) {
        self.runtime = runtime
        self.api = api
        self.shared = shared
        self.options = options
        isFromQueue = input.isFromQueue
        uploads = SharedWork(runtime, name: "upload:\(api.speakerID)", lease: input.queue.lease.duration)
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

    /// What came of an attempt at a job.
    enum Performed: Sendable {
        case finished(Outcome)
        /// The rest of it, when its time has come.
        case again(Job, after: Duration)
    }

    /// Why a step was not done.
    enum Delay: Sendable {
        /// Telegram wants it later.
        case later(Duration)
        /// Somebody else is doing what it needs, for so long at most.
        case held(Duration)
    }

    /// Whoever has to wait longer lets others of the queue have its place.
    private static let longestWait = Duration.seconds(60)

    /// Does what is left of a job, up to where it has to wait.
    ///
    /// - Throws: what ends the tool, as a refused token, and from a queue what another attempt may overcome.
    func perform(_ job: Job) async throws -> Performed {
        var job = job
        await recall(&job)
        while let step = job.steps.first {
            // By the time that an edit may be made again, newer progress has come.
            if job.maySkip, pacing.isHeld(chat: job.chatName, .edit) { break }
            do {
                if let delay = try await carryOut(step, &job) { return performed(job, delay) }
                job.steps.removeFirst()
                job.attempts = 0
            } catch let error as TelegramError {
                if let wait = try await afterFailure(error, step, &job) { return performed(job, .later(wait)) }
            }
            if isFromQueue, !job.isProgress { await shared.remember(job) }
        }
        return .finished(.done(job.results))
    }

    private func performed(_ job: Job, _ delay: Delay) -> Performed {
        switch delay {
        case .held(let limit): .finished(.held(for: limit))
        case .later(let wait) where isFromQueue && wait > Sender.longestWait: .finished(.held(for: wait))
        case .later(let wait): .again(job, after: wait)
        }
    }

    /// Takes over what an earlier attempt has done, and notes the end of a request before it shows.
    private func recall(_ job: inout Job) async {
        guard !job.isRecalled else { return }
        job.isRecalled = true
        if isFromQueue, !job.isProgress { await shared.recall(&job) }
        if job.endsRequest { await shared.noteEnd(of: job.kind) }
    }

    /// A turn of the chat, or how long to wait for it.
    func turn(_ job: Job, _ kind: Pacing.Kind?) async -> Duration? {
        guard let kind else { return nil }
        // Telegram may have told another process to wait.
        if isFromQueue, let wait = await shared.held(chat: job.chatName, kind) {
            pacing.hold(chat: job.chatName, kind, for: wait)
        }
        return pacing.turn(chat: job.chatName, kind, job.maySkip ? .progress : .reply)
    }

    /// Keeps to what Telegram said, and has the others do so who work on the queue.
    func hold(_ job: Job, _ kind: Pacing.Kind, for wait: Duration) async {
        pacing.hold(chat: job.chatName, kind, for: wait)
        if isFromQueue { await shared.hold(chat: job.chatName, kind, for: wait) }
    }

    /// What Telegram counts a step as; nil for what it takes at any time.
    private static func kind(of step: Step, _ job: Job) -> Pacing.Kind? {
        switch step {
        case .command("delete"), .command("react"), .removeReply: nil
        case .command("edit"): .edit
        case .showProgress: job.isFirstProgress ? .message : .edit
        default: .message
        }
    }

    /// - Returns: nil when the step is done.
    private func carryOut(_ step: Step, _ job: inout Job) async throws -> Delay? {
        // Media that somebody else is uploading needs no turn.
        if case .deliver = step { return try await deliver(&job) }
        if case .showProgress = step, shared.isShown(Wording.progress(job.event.payload)) { return nil }
        if let wait = await turn(job, Sender.kind(of: step, job)) { return .later(wait) }
        switch step {
        case .command(let action): job.results.append(try await command(action, job.event))
        case .showProgress: try await showProgress(job)
        case .deliver: break
        case .removeReply: try await removeReply(job)
        case .showFailure:
            let reason = job.event.payload["reason"]?.string ?? "It did not work."
            try await tell(Wording.failure(reason), &job)
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
            if let kind = Sender.kind(of: step, job) { await hold(job, kind, for: wait) }
            if let waiting = waiting(error, job.event) { try await job.context?.publisher.publish(waiting) }
            return job.maySkip ? dropped(&job) : wait
        }
        if isFromQueue, error.isTemporary, !job.isProgress, job.context?.isLastAttempt == false { throw error }
        if !isFromQueue, error.isTemporary, job.attempts < options.retries, !job.maySkip {
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
            job.results.append(failed("deliver", error, job))
            job.steps = [.showFailure]
            job.event.payload["reason"] = .string(
                "Telegram did not take the file: \(error.message.withoutPrefix("Telegram: "))")
        case .showFailure: job.results.append(failed("reply", error, job))
        case .command(let action): job.results.append(failed(action, error, job))
        }
        return nil
    }

    /// Waits that somebody may wonder about.
    private static let shortestTold = Duration.seconds(3)

    /// What is told of a wait that Telegram wants of an account.
    private func waiting(_ error: TelegramError, _ event: Envelope) -> Envelope? {
        guard let wait = error.retryAfter, let held = error.held, wait >= Sender.shortestTold else { return nil }
        let chat = event.payload["chat_id"] ?? event.meta["origin"]?["chat_id"]
        return FloodWait(method: held.method, remaining: wait, reason: held.reason)
            .event(account: api.speakerID, chat: chat?.int)
    }

    /// Progress that Telegram does not want now is old by the time it would.
    private func dropped(_ job: inout Job) -> Duration? {
        job.steps = []
        return nil
    }

    func failed(_ action: String, _ error: TelegramError, _ job: Job) -> Envelope {
        runtime.log.error("unable to \(action): \(error.message)", metadata: ["chat": "\(job.chatName)"])
        let payload: JSONObject = [
            "action": .string(action), "chat_id": job.chat, "code": .integer(Int64(error.number)),
            "reason": .string(error.message),
        ]
        return .derived(type: "events.telegram.failed", payload: payload)
    }

    /// - Parameters:
    ///   - chat: that was spoken to; the answer's is another when the group has become a supergroup.
    ///   - answer: the message, where Telegram answered with one.
    func sent(
        _ action: String, _ chat: JSON?, _ answer: JSON, messageID: JSON? = nil, _ details: JSONObject = [:]
    ) -> Envelope {
        var payload: JSONObject = [
            "action": .string(action), "chat_id": answer["chat"]?["id"] ?? chat,
            "message_id": answer["message_id"] ?? messageID,
        ]
        for member in details.members { payload[member.key] = member.value }
        return .derived(type: "events.telegram.sent", payload: payload)
    }

    /// Sends what the flags ask for and tells how it went; waits as long as Telegram asks. The event stands for the flags only:
    /// nobody has seen it, so nothing names it as its cause.
    func sendOnce(_ event: Envelope, to output: EventOutput) async throws -> ExitStatus {
        guard var job = Job(event) else { throw ToolError(.usage, "nothing to send") }
        guard case .command(let action) = job.steps.first else { throw ToolError(.usage, "nothing to send") }
        return try await Correlation.$current.withValue(Correlation(correlationID: event.correlationID)) {
            while !runtime.shutdown.isRequested {
                do {
                    try await output.write([command(action, event)])
                    return .success
                } catch let error as TelegramError where error.isTemporary && job.attempts < options.retries {
                    job.attempts += 1
                    let pause = error.retryAfter ?? .seconds(job.attempts)
                    runtime.log.warning("\(error.message); trying again in \(pause.spanText)")
                    if let waiting = waiting(error, event) { try await output.write([waiting]) }
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
