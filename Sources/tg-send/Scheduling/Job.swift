import Envelope
import JSON
import Payloads
import Queue
import Stage
import System

/// Represents one action for an event: one or two calls to Telegram. The raw values are part of the records
/// in Redis.
enum Step: String, Sendable {
    /// Carries out a command.
    case command
    /// Creates or edits the placeholder reply.
    case showProgress = "show_progress"
    /// Sends the media of a finished request.
    case deliver
    case removeReply = "remove_reply"
    case showFailure = "show_failure"
    /// Notes the end of one request of a group, and ends the group with its last one.
    case endItem = "end_item"
}

/// Stores an event with the steps that remain to be carried out for it.
struct Job: Sendable {
    enum Content: Sendable {
        case progress(MediaProgress)
        /// The media of `events.dl.*.ready` or `events.media.fetched`.
        case media(DownloadReady)
        case failure(DownloadFailed)
        case command(TelegramCommand)
    }

    let event: Envelope
    let content: Content
    /// The message that the request came from.
    let origin: EventOrigin?
    /// The chat that the job sends to.
    let chat: ChatID
    /// The place in a group of requests; nil for a single request.
    let group: EventGroup?
    private(set) var steps: [Step]
    /// The transient failures of the current step so far.
    var attempts = 0
    /// Is true if this progress creates the placeholder reply. It is shown at once; newer progress may replace later
    /// progress.
    var isFirstProgress = false
    /// The results of the steps that are done.
    var results: [Envelope] = []
    /// The reason that `showFailure` shows to the user.
    private(set) var failureReason: String?
    /// The kind of the failure that `showFailure` shows; nil for a failure of tg-send itself.
    var failureCode: String? {
        if case .failure(let failure) = content, failure.reason == failureReason { failure.code } else { nil }
    }
    /// The reason why the job's message was not sent, if all attempts are used up.
    private(set) var givenUpReason: String?
    /// Is true if the record of an earlier attempt has been read.
    var isRestored = false
    /// The stage's data about the event; nil for one-off sends.
    let context: WorkContext?
    /// The time just before the queue was asked for the event; nil for pipes.
    var askedAt: ContinuousClock.Instant?
    /// The job's outcome, once it is known. The stage waits for it.
    let outcome = Promise<Outcome>()

    /// Names the job's message, so that a second attempt, by any process, is recognised as the same message.
    var messageKey: String { event.id.description }

    /// - Throws: `MalformedInput` for an event that can never be sent, and for types that tg-send does not handle.
    init(_ event: Envelope, _ context: WorkContext? = nil) throws(MalformedInput) {
        self.event = event
        self.context = context
        askedAt = context?.lease?.askedAt
        origin = event.origin
        // A script may name the chat in the payload of any event.
        var group = event.group
        let chat = event.payload["chat_id"].flatMap { ChatID($0) } ?? origin?.chat
        switch event.type {
        case MediaProgress.type:
            content = .progress(MediaProgress(event.payload))
            steps = [.showProgress]
        case MediaFetched.type,
            _ where DownloadReady.types.contains(event.type):
            content = .media(try DownloadReady(event))
            steps = [.deliver] + Job.lastStep(of: group, .removeReply)
        case _ where DownloadFailed.types.contains(event.type):
            let failure = DownloadFailed(event.payload, type: event.type)
            content = .failure(failure)
            failureReason = failure.reason
            steps = Job.lastStep(of: group, .showFailure)
        default:
            let command = try TelegramCommand(event)
            content = .command(command)
            steps = [.command]
            group = nil
        }
        self.group = group
        guard let chat else {
            throw MalformedInput(.invalidPayload, "\(event.type): no chat_id, and no meta.origin to take it from")
        }
        self.chat = chat
    }

    /// The part of a request that the event belongs to: one correlation id may cover a video and its sound. It is the word
    /// of the payload, known or not, because it separates keys in Redis.
    var kind: String { event.payload["kind"]?.string ?? "" }

    /// Returns the step that ends a single request, or one of a group. Of an item in parts, only the last part ends it.
    private static func lastStep(of group: EventGroup?, _ single: Step) -> [Step] {
        guard let group else { return [single] }
        return group.isFollowedByParts ? [] : [.endItem]
    }

    /// Names what ends with one result: the part, or one request of its group.
    var endKind: String { group.map { "\(kind) \($0.item)" } ?? kind }

    var isProgress: Bool { if case .progress = content { true } else { false } }

    /// Is true if the event is the last one of its request.
    var endsRequest: Bool { event.type.hasPrefix("events.dl.") && group?.isFollowedByParts != true }

    /// Is true if newer progress makes this job unnecessary.
    var isReplaceable: Bool { isProgress && !isFirstProgress }

    /// The name of the group of jobs that stay in order: the messages or the reactions of commands to one chat, or the
    /// events of one request.
    var lane: String {
        guard case .command = content else { return event.correlationID.description }
        // Telegram does not count reactions, so none waits behind messages that have to.
        return isInOrderOfChat ? "chat \(chat)" : "reactions \(chat)"
    }

    /// The actions that wait behind nothing: a press of a button waits for its answer, for some seconds.
    private static let unorderedActions: [TelegramAction] = [.answer, .react]

    /// The order that a queue keeps over all processes: that of the lanes whose jobs are ordered.
    static let queueOrder: [QueueOrder.Rule] =
        unorderedActions.map { QueueOrder.Rule(types: "commands.telegram.\($0.rawValue)", paths: []) } + [
            QueueOrder.Rule(types: "commands.telegram.", paths: ["payload.chat_id", "meta.origin.chat_id"]),
            QueueOrder.Rule(types: "events.dl.", paths: ["correlation_id"]),
            QueueOrder.Rule(types: "events.media.", paths: ["correlation_id"]),
        ]

    /// Is true if the job keeps its place in its lane when its event goes back to the queue; see `queueOrder`.
    var isOrdered: Bool {
        guard case .command(let command) = content else { return true }
        return !Job.unorderedActions.contains(command.action)
    }

    /// Is true if the job is a command that keeps its place among the messages to its chat.
    var isInOrderOfChat: Bool {
        guard case .command = content else { return false }
        return isOrdered
    }

    /// The action that results of the whole job name.
    var action: TelegramAction {
        switch content {
        case .command(let command): command.action
        case .media: .deliver
        case .progress, .failure: .reply
        }
    }

    /// The action of the message that the job sends. What Telegram makes of media is not known before its answer.
    var sendingAction: TelegramAction {
        guard case .media(let media) = content else { return action }
        if event.isWantedAsFile { return .sendDocument }
        switch media.kind {
        case .audio: return .sendAudio
        case .image: return .sendPhoto
        case .video, nil: return .sendVideo
        }
    }

    // MARK: Steps

    /// Removes the current step, which is done or given up.
    mutating func endStep() {
        steps.removeFirst()
        attempts = 0
    }

    /// Drops the steps after the current one.
    mutating func keepCurrentStep() { steps = [steps[0]] }

    /// Notes that no attempt is left to send the job's message.
    mutating func giveUp(_ reason: String) { givenUpReason = givenUpReason ?? reason }

    /// Ends the job without its remaining steps.
    mutating func dropSteps() { steps = [] }

    /// Replaces the steps after the current one by a message with the reason of the failure.
    mutating func showFailure(_ reason: String) {
        steps = [steps[0]] + Job.lastStep(of: group, .showFailure)
        failureReason = reason
    }

    /// Continues a job that an earlier attempt has begun.
    mutating func restore(steps: [Step], results: [Envelope], failureReason: String?) {
        (self.steps, self.results) = (steps, results)
        self.failureReason = failureReason ?? self.failureReason
    }
}
