import Envelope
import JSON
import Stage

/// One call to Telegram that an event asks for.
enum Step: Sendable {
    /// A command of `commands.telegram.*`; the word behind that prefix.
    case command(String)
    /// Makes the optimistic reply, or edits it.
    case showProgress
    /// Sends the media of `events.dl.*.ready` or `events.media.fetched`.
    case deliver
    case removeReply
    case showFailure
}

/// An event and what is left to do for it. A step that must wait goes back into the schedule with the rest.
struct Job: Sendable {
    var event: Envelope
    var steps: [Step]
    /// Temporary failures of the current step.
    var attempts = 0
    /// Progress that makes the optimistic reply, which must appear at once; later progress may be skipped for newer.
    var isFirstProgress = false
    /// What came of it so far.
    var results: [Envelope] = []
    /// Whether what an earlier attempt did has been looked up.
    var isRecalled = false
    /// What the stage knows of the event; nil for one-off sends.
    let context: WorkContext?
    let completion = Completion()

    /// nil for events that are none of this stage's business.
    init?(_ event: Envelope, _ context: WorkContext? = nil) {
        self.event = event
        self.context = context
        switch event.type {
        case "events.media.progress": steps = [.showProgress]
        case "events.dl.video.ready", "events.dl.audio.ready", "events.media.fetched": steps = [.deliver, .removeReply]
        case "events.dl.video.failed", "events.dl.audio.failed": steps = [.showFailure]
        default:
            guard event.type.hasPrefix(Job.commandPrefix) else { return nil }
            steps = [.command(String(event.type.dropFirst(Job.commandPrefix.count)))]
        }
    }

    private static let commandPrefix = "commands.telegram."
    private static let commands: Set<String> = [
        "send", "reply", "edit", "delete", "react", "send_video", "send_audio", "send_document",
    ]

    static func accepts(_ type: String) -> Bool {
        switch type {
        case "events.media.progress", "events.dl.video.ready", "events.dl.audio.ready", "events.dl.video.failed",
            "events.dl.audio.failed", "events.media.fetched":
            true
        default: type.hasPrefix(commandPrefix) && commands.contains(String(type.dropFirst(commandPrefix.count)))
        }
    }

    /// Of which request: one correlation may ask for both the video and its sound.
    var kind: String { event.payload["kind"]?.string ?? "" }

    var isProgress: Bool { event.type == "events.media.progress" }

    /// After it there is nothing more to tell about the request.
    var endsRequest: Bool { event.type.hasPrefix("events.dl.") }

    var maySkip: Bool { isProgress && !isFirstProgress }

    /// What must stay in order: the commands to one chat, and all that one request causes.
    var lane: String {
        if event.type.hasPrefix(Job.commandPrefix) { return "chat \(chatName)" }
        return event.correlationID.description
    }

    /// An id, or `@name` of a channel.
    var chat: JSON? { event.payload["chat_id"] ?? origin?["chat_id"] }

    var origin: JSON? { event.meta["origin"] }

    /// What the pacing knows the chat by.
    var chatName: String { chat?.string ?? chat?.text ?? "" }
}
