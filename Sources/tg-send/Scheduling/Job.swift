import Envelope
import JSON
import Stage
import System

/// Represents one action that an event asks for, each a call or two to Telegram.
enum Step: Sendable, Equatable {
    /// Carries out a `commands.telegram.*` event; the value is the type's last word.
    case command(String)
    /// Creates or edits the placeholder reply.
    case showProgress
    /// Sends the media of `events.dl.*.ready` or `events.media.fetched`.
    case deliver
    case removeReply
    case showFailure
}

/// Stores an event with the steps that remain to be carried out for it.
struct Job: Sendable {
    var event: Envelope
    var steps: [Step]
    /// The transient failures of the current step so far.
    var attempts = 0
    /// Whether this progress creates the placeholder reply. It is shown at once; newer progress may replace later progress.
    var isFirstProgress = false
    /// The results of the steps that are done.
    var results: [Envelope] = []
    /// The reason that `showFailure` shows to the user.
    var failureReason: String?
    /// Whether the record of an earlier attempt has been read.
    var isRestored = false
    /// The stage's data about the event; nil for one-off sends.
    let context: WorkContext?
    /// The job's outcome, once it is known. The stage waits for it.
    let outcome = Promise<Outcome>()

    /// Returns nil for events that tg-send does not handle.
    init?(_ event: Envelope, _ context: WorkContext? = nil) {
        self.event = event
        self.context = context
        failureReason = event.payload["reason"]?.string
        switch event.type {
        case "events.media.progress": steps = [.showProgress]
        case "events.dl.video.ready", "events.dl.audio.ready", "events.media.fetched": steps = [.deliver, .removeReply]
        case "events.dl.video.failed", "events.dl.audio.failed": steps = [.showFailure]
        default:
            guard event.type.hasPrefix(Job.commandPrefix) else { return nil }
            steps = [.command(String(event.type.dropFirst(Job.commandPrefix.count)))]
        }
    }

    /// Removes the current step, which is done or given up.
    mutating func endStep() {
        steps.removeFirst()
        attempts = 0
    }

    private static let commandPrefix = "commands.telegram."
    private static let commands: Set<String> = [
        "send", "reply", "edit", "delete", "react", "send_video", "send_audio", "send_document",
    ]

    /// Returns whether tg-send handles events of a type.
    static func accepts(_ type: String) -> Bool {
        switch type {
        case "events.media.progress", "events.dl.video.ready", "events.dl.audio.ready", "events.dl.video.failed",
            "events.dl.audio.failed", "events.media.fetched":
            true
        default: type.hasPrefix(commandPrefix) && commands.contains(String(type.dropFirst(commandPrefix.count)))
        }
    }

    /// The part of a request that the event belongs to: one correlation id may cover a video and its sound.
    var kind: String { event.payload["kind"]?.string ?? "" }

    var isProgress: Bool { event.type == "events.media.progress" }

    /// Whether the event is the last one of its request.
    var endsRequest: Bool { event.type.hasPrefix("events.dl.") }

    /// Whether newer progress makes this job unnecessary.
    var isReplaceable: Bool { isProgress && !isFirstProgress }

    /// The name of the group of jobs that stay in order: the commands to one chat, or the events of one request.
    var lane: String {
        if event.type.hasPrefix(Job.commandPrefix) { return "chat \(chatName)" }
        return event.correlationID.description
    }

    /// The chat's id, or the `@name` of a channel.
    var chat: JSON? { event.payload["chat_id"] ?? origin?["chat_id"] }

    /// The message that the request came from.
    var origin: JSON? { event.meta["origin"] }

    /// The chat as text, under which rates and flood waits are kept.
    var chatName: String { chat?.string ?? chat?.text ?? "" }

    /// The action that events about the whole job name.
    var action: String {
        switch steps.first {
        case .command(let action): action
        case .deliver: "deliver"
        default: "reply"
        }
    }
}
