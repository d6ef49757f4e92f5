import BotAPI
import ChatCommands
import Envelope
import Logging
import Options
import Payloads
import Stage
import System
import Texts

/// Carries out jobs step by step, as a bot or as an account.
struct Sender: Sendable {
    private let runtime: Runtime
    private let api: any MessagingAPI
    private let shared: SharedState
    private let scheduler: SharedScheduler
    private let limits: CallLimits
    private let commands: CommandSender
    private let replies: PlaceholderReplies
    private let groups: Groups
    private let delivery: MediaDelivery
    private let albums: Albums
    private let isFromQueue: Bool
    private let retries: Int
    private let texts: Texts

    /// Longer waits of events from a queue go back to the queue, so that other events take their place here.
    private static let longestWait = Duration.seconds(60)

    init(
        runtime: Runtime, api: any MessagingAPI, shared: SharedState, scheduler: SharedScheduler, copies: LocalCopies,
        options: SendingOptions, input: InputOptions, texts: Texts, cancelKey: ButtonKey? = nil
    ) {
        let api = FencedAPI(api)
        (self.runtime, self.api, self.shared, self.scheduler) = (runtime, api, shared, scheduler)
        self.texts = texts
        isFromQueue = input.isFromQueue
        retries = options.retries
        limits = CallLimits(scheduler: scheduler, shared: shared, limitsRates: !options.noPacing)
        let messages = NewMessages(runtime: runtime, api: api, shared: shared)
        commands = CommandSender(runtime: runtime, api: api, messages: messages)
        replies = PlaceholderReplies(
            api: api, shared: shared, limits: limits, messages: messages, texts: texts, cancelKey: cancelKey)
        groups = Groups(runtime: runtime, shared: shared, limits: limits, replies: replies, texts: texts)
        delivery = MediaDelivery(
            runtime: runtime, messages: messages, shared: shared, limits: limits, copies: copies, options: options,
            input: input, texts: texts)
        albums = Albums(runtime: runtime, shared: shared, groups: groups, delivery: delivery)
    }

    enum Verdict: Sendable {
        case done([Envelope])
        /// No attempt is left to send the job's message.
        case givenUp([Envelope], reason: String)
        /// The job with its remaining steps, and when it can go on.
        case notBefore(NotBefore, Job)
    }

    /// Carries out a job's remaining steps, up to the first one that has to wait.
    ///
    /// - Throws: failures that end the tool, for instance a refused token; from a queue also transient failures.
    func perform(_ job: Job) async throws -> Verdict {
        try await FencedAPI.$lease.withValue(job.context?.lease) { try await performLeased(job) }
    }

    private func performLeased(_ job: Job) async throws -> Verdict {
        var job = job
        await restore(&job)
        do {
            while let step = job.steps.first {
                // Newer progress will exist by the time that edits are allowed again.
                if job.isReplaceable, scheduler.hasFloodWait(chat: job.chat, .edit) { break }
                try await checkLease(of: job)
                do {
                    try await carryOut(step, &job)
                    runtime.outages.succeeded(.telegram, step.rawValue)
                    job.endStep()
                } catch let error as TelegramError {
                    try await handle(error, of: step, &job)
                }
                if isFromQueue, !job.isProgress { await shared.record(job) }
            }
            guard let reason = job.givenUpReason else { return .done(job.results) }
            // A dead letter that is redriven is to be sent.
            if isFromQueue { await shared.forgetRecord(job) }
            return .givenUp(job.results, reason: reason)
        } catch let wait as NotBefore {
            let isLong = isFromQueue && wait.place == .scheduler && wait.time - .now > Sender.longestWait
            // The steps of a request have no order with the chat's other messages, which Telegram may accept meanwhile.
            let place: NotBefore.Place = job.isInOrderOfChat ? .queue : .stage
            return .notBefore(isLong ? NotBefore(wait.time, in: place) : wait, job)
        }
    }

    /// - Throws: `PutBack` if another process has the chat now, which may be further.
    private func checkLease(of job: Job) async throws {
        if let lease = job.context?.lease, try await !lease.isHeld() { throw PutBack() }
    }

    /// Restores the results of an earlier attempt, and records the end of a request before the user sees it.
    private func restore(_ job: inout Job) async {
        guard !job.isRestored else { return }
        job.isRestored = true
        if isFromQueue, !job.isProgress { await shared.restore(&job) }
        if job.endsRequest { await shared.noteEnd(of: job.event.correlationID, kind: job.endKind) }
        // A limit counts meaningful actions only. A group is one action, most of which may have succeeded.
        if job.endsRequest, job.group == nil, job.failureReason != nil {
            await shared.giveBack(job.event.correlationID)
        }
    }

    /// - Throws: `NotBefore` when the step has to wait.
    private func carryOut(_ step: Step, _ job: inout Job) async throws {
        // Progress that is shown already needs no call, and a delivery may need none.
        if step == .showProgress, replies.isShown(job) { return }
        if step != .deliver, let kind = Sender.callKind(of: step, job) { try await limits.admit(kind, for: job) }
        switch step {
        case .command: job.results.append(try await commands.send(job))
        case .showProgress: try await replies.show(job)
        case .deliver:
            switch try await albums.awaitTurn(of: job) {
            case .sentByAnother: job.keepCurrentStep()
            case .sentBefore:
                // A worker that died has sent the album, and its answer is lost.
                job.results.append(.derived(TelegramSent(.sendAlbum, chat: job.chat, isConfirmed: false)))
            case .alone: try await deliver(&job)
            case .first(let members):
                if let event = try await albums.send(members, for: job) {
                    job.results.append(event)
                } else {
                    try await deliver(&job)
                }
            }
        case .removeReply: try await replies.remove(job)
        case .endItem: if let event = try await groups.end(job) { job.results.append(event) }
        case .showFailure:
            let wording = Wording(texts, for: job.event)
            try await end(&job, wording.failure(job.failureReason ?? wording.unknownFailure, code: job.failureCode))
        }
    }

    /// Returns what Telegram counts a step's call as; nil for calls that it always accepts.
    private static func callKind(of step: Step, _ job: Job) -> CallKind? {
        switch step {
        case .command where [.delete, .react, .answer].contains(job.action): nil
        case .command where job.action == .edit: .edit
        case .removeReply, .endItem: nil
        case .showProgress: job.isFirstProgress ? .message : .edit
        default: .message
        }
    }

    private func deliver(_ job: inout Job) async throws {
        guard case .media(let media) = job.content else { return }
        switch try await delivery.deliver(media, for: job) {
        case .sent(let event): job.results.append(event)
        case .tooLarge(let sizeBytes):
            let text = Wording(texts, for: job.event).tooLarge(
                sizeBytes, url: media.url, until: media.urlExpiresAt)
            guard job.group == nil else {
                job.results.append(try await replies.say(job, text))
                return
            }
            // The message with the link takes the placeholder reply's place.
            try await end(&job, text)
            job.keepCurrentStep()
        case .noCopy(let reason):
            job.results.append(failed(.deliver, TelegramError(.localIO, reason), job))
            job.showFailure(reason.capitalizedFirst + ".")
        }
    }

    /// Ends a request for the user, with a message in Telegram's HTML.
    private func end(_ job: inout Job, _ html: String) async throws {
        job.results.append(try await replies.end(job, html))
    }

    /// Decides what a failed step means for its job: a wait, or that the step is given up.
    ///
    /// - Throws: `NotBefore` when the step is to be tried again here; the failure itself when it ends the tool or is
    ///   the queue's to retry.
    private func handle(_ error: TelegramError, of step: Step, _ job: inout Job) async throws {
        try await checkLease(of: job)
        if error.code == .notMade { throw PutBack() }
        if error.code == .unauthorized { throw error }
        if let wait = error.retryAfter { return try await handleFloodWait(wait, error, of: step, &job) }
        if error.isOutcomeUnknown { return noteDoubt(step, error, &job) }
        // The attempts are for what is wrong with this event.
        if let service = try await runtime.outages.outage(behind: error, in: step.rawValue) {
            return try await wait(for: service)
        }
        if isFromQueue, error.isTransient, !job.isProgress, job.context?.isLastAttempt == false { throw error }
        // No later attempt of the queue would tell the user.
        let isRetriedHere = !isFromQueue || step == .showFailure || step == .endItem
        if isRetriedHere, error.isTransient, job.attempts < retries, !job.isReplaceable {
            job.attempts += 1
            runtime.log.warning(
                "\(error.message); trying again", metadata: ["attempt": .stringConvertible(job.attempts)])
            let backoff = Backoff(first: .seconds(1), longest: .seconds(32))
            throw NotBefore(.now + backoff.pause(after: job.attempts))
        }
        giveUp(step, error, &job)
    }

    /// Puts a job off until a service is back.
    ///
    /// - Throws: `NotBefore`; `ServiceAway` at the shutdown.
    private func wait(for service: SharedService) async throws {
        // Nothing at all can be sent without Telegram; the dispatcher waits for it.
        guard service != .telegram else { throw NotBefore(.now) }
        guard try await runtime.outages.waitUntilBack(service, endsAtShutdown: isFromQueue) else {
            throw ServiceAway(service)
        }
        throw NotBefore(.now)
    }

    /// Ends a step whose message may have been sent: it is not sent again, and no failure is reported.
    private func noteDoubt(_ step: Step, _ error: TelegramError, _ job: inout Job) {
        runtime.log.warning(
            "a message may not have been sent: \(error.message)",
            metadata: ["chat": job.chat.logged, "action": "\(job.action.rawValue)"])
        if step == .deliver || step == .command || step == .showFailure {
            job.results.append(.derived(TelegramSent(job.sendingAction, chat: job.chat, isConfirmed: false)))
        }
        job.endStep()
    }

    private func handleFloodWait(
        _ wait: Duration, _ error: TelegramError, of step: Step, _ job: inout Job
    ) async throws {
        let end = ContinuousClock.now + wait
        await limits.setFloodWait(chat: job.chat, Sender.callKind(of: step, job) ?? .other, for: wait)
        runtime.log.notice(
            "Telegram requires a wait",
            metadata: ["seconds": .stringConvertible(wait.components.seconds), "chat": job.chat.logged])
        if let event = error.waitingReport(speaker: api.speakerID, chat: job.chat) {
            try await job.context?.publisher.publish(event)
        }
        guard job.isReplaceable else { throw NotBefore(end) }
        // Newer progress will exist by then.
        job.dropSteps()
    }

    private func giveUp(_ step: Step, _ error: TelegramError, _ job: inout Job) {
        if error.isTransient, !job.isProgress, step != .removeReply { job.giveUp(error.message) }
        switch step {
        // The placeholder reply is not a result, so the request continues without it.
        case .showProgress, .removeReply: runtime.log.debug("\(error.message)")
        case .deliver:
            job.results.append(failed(.deliver, error, job))
            job.showFailure(Wording(texts, for: job.event).refusedFile(error))
        case .showFailure, .endItem: job.results.append(failed(.reply, error, job))
        case .command: job.results.append(failed(job.action, error, job))
        }
        job.endStep()
    }

    private func failed(_ action: TelegramAction, _ error: TelegramError, _ job: Job) -> Envelope {
        runtime.log.error("unable to \(action.rawValue): \(error.message)", metadata: ["chat": job.chat.logged])
        return .derived(
            TelegramFailed(action, chat: job.chat, code: Int64(error.number), reason: error.message))
    }
}

/// Applies Telegram's rates and flood waits to calls: those that this process has met, and for a queue also those of
/// the other processes.
struct CallLimits: Sendable {
    let scheduler: SharedScheduler
    /// The records of all processes.
    let shared: SharedState
    let limitsRates: Bool

    /// Counts a call that a job is about to make.
    ///
    /// - Throws: `NotBefore` when it has to wait.
    func admit(_ kind: CallKind, for job: Job) async throws(NotBefore) {
        if let wait = scheduler.admit(kind, for: job) { throw wait }
        let room = MessageRates.perSecond - (job.isReplaceable ? MessageRates.reserve : 0)
        switch await shared.admit(kind, chat: job.chat, perSecond: limitsRates ? room : nil) {
        case .now: return
        case .afterFlood(let wait, let isForAll):
            scheduler.takeBack(job)
            if isForAll {
                scheduler.hold(until: .now + wait)
            } else {
                scheduler.setFloodWait(chat: job.chat, kind, until: .now + wait)
            }
            throw NotBefore(.now + wait)
        case .after(let wait):
            scheduler.takeBack(job)
            throw NotBefore(.now + wait)
        }
    }

    /// Notes a flood wait, also for the other processes.
    func setFloodWait(chat: ChatID, _ kind: CallKind, for wait: Duration) async {
        let isForAll = scheduler.setFloodWait(chat: chat, kind, until: .now + wait) != nil
        await shared.setFloodWait(chat: chat, kind, for: wait, isForAll: isForAll)
    }
}

extension ChatID {
    /// The chat as a value of the log: a number, unless it is a name.
    fileprivate var logged: Logger.MetadataValue { number.map { .stringConvertible($0) } ?? .string(description) }
}
