import AccountAPI
package import ArgumentParser
import BotAPI
import Envelope
import JSON
import Logging
import Options
import Payloads
import Stage
import System

/// The command that `tgpipe` runs when it is called as tg-watch.
package let command: any AsyncParsableCommand.Type = TgWatch.self

struct TgWatch: Tool {
    static let configuration = CommandConfiguration(
        commandName: "tg-watch",
        abstract: "Select new messages of chats, and forward them or download their media.",
        discussion: """
            Reads messages (events.telegram.raw of tg-listen, events.telegram.message of tg-history) and selects those that match all \
            given conditions. Without an action, it writes these events unchanged. --forward writes commands that make tg-send \
            forward them, albums as albums; --copy writes commands that send copies without the name of the source; --download \
            writes commands with which media-fetch gets their files. Each message is acted on once, also when it arrives again.

            A message of a chat that forbids forwarding is sent anew, with its text and the link of the original; an account \
            downloads and uploads its files for that.

            The @name of a target is looked up once, at the start, with the bot token or the session of tg-send, if they are given.

            Examples:
              tg-listen --session me | tg-watch --chat @channel --media photo,video --forward me | tg-send --session me
              tg-listen --session me | tg-watch --chat @channel --text release --download | media-fetch --session me -o ~/Media
            """,
        version: tgpipeVersion)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Conditions") var conditions: Conditions
    @OptionGroup(title: "Actions") var actions: Actions
    @OptionGroup(title: "Looking up the target's @name") var speaker: SpeakerOptions

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        if actions.isEmpty {
            let stage = WatchStage(runtime: runtime, conditions: conditions, actions: actions)
            return try await runtime.work(
                input, output, concurrency: 1, accepting: WatchedMessage.types.contains
            ) { event, _ in .done(stage.selects(event) ? [event] : []) }
        }
        try await runtime.requireRedis()
        let stage = WatchStage(
            runtime: runtime, conditions: conditions, actions: actions, targetID: try await targetID(runtime))
        return try await runtime.work(
            input, output, concurrency: Actions.handledAtOnce, accepting: WatchedMessage.types.contains,
            handle: stage.handle)
    }

    /// Returns the id of the target that is given by its `@name`; nil for other targets, and if nobody is given who could ask Telegram.
    ///
    /// - Throws: `ToolError` (64) for a name that Telegram does not know.
    private func targetID(_ runtime: Runtime) async throws -> Int64? {
        guard let name = actions.target?.description, name.hasPrefix("@") else { return nil }
        return try await speaker.withAPIIfConfigured(runtime) { api in
            guard let api else { return nil }
            do throws(TelegramError) {
                let chat = try await api.call("getChat", ["chat_id": .string(name)], messageKey: nil)
                guard let id = chat["id"]?.int else {
                    throw TelegramError(.protocolBroken, "Telegram returned no id for \(name)")
                }
                runtime.log.info("\(name) is the chat \(id)")
                return id
            } catch {
                guard error.code == .badRequest else { throw error }
                throw ToolError(
                    .usage,
                    "there is no chat \(name) that \(api.isAccount ? "the session" : "the bot") can find (\(error.message))"
                )
            }
        }
    }
}

/// The conditions that a message must meet, all of those that are given.
struct Conditions: ParsableArguments, Sendable {
    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "A chat whose messages count: its id or @name; repeat it for several. Default: all chats.",
            valueName: "chat"))
    var chat: [WatchedChat] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "The id or @name of somebody whose messages count; repeat it for several.", valueName: "user"))
    var sender: [WatchedChat] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp(
            "A text that the message or its caption contains, in upper or lower case; repeat it for several, of which one is enough.",
            valueName: "text"))
    var text: [String] = []

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("A text that the message does not contain; repeat it for several.", valueName: "text"))
    var without: [String] = []

    @Option(
        help: ArgumentHelp(
            "The kinds of media of which the message has one, separated by commas: any, or photo, video, audio, voice, video_note, animation, document.",
            valueName: "kinds"))
    var media: MediaKinds?

    @Option(help: ArgumentHelp("The size of the smallest file that counts.", valueName: "size"))
    var minSize: ByteSize?

    @Option(help: ArgumentHelp("The size of the largest file that counts.", valueName: "size"))
    var maxSize: ByteSize?

    @Option(
        name: .customLong("max-age"),
        help: ArgumentHelp(
            "The age above which a message does not count any more, such as 1h. Default: any age.",
            valueName: "duration"))
    var maxAge: Span?

    func validate() throws {
        guard !(text + without).contains("") else { throw ValidationError("--text and --without need a text") }
        guard minSize?.bytes ?? 0 <= maxSize?.bytes ?? .max else {
            throw ValidationError("--min-size is more than --max-size: no file would count")
        }
    }
}

/// Says what is done with the selected messages.
struct Actions: ParsableArguments, Sendable {
    /// The number of events handled at once. Albums that wait for their other messages do not count.
    static let handledAtOnce = 8

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The chat to which the messages are forwarded.", valueName: "chat"))
    var forward: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The chat to which copies are sent, without the name of the source.", valueName: "chat"))
    var copy: String?

    @Option(help: ArgumentHelp("The topic of the chat of --forward or --copy.", valueName: "id"))
    var thread: Int64?

    @Flag(help: "Forward without a notification.")
    var silent = false

    @Flag(help: "Download the files of the messages.")
    var download = false

    @Option(help: ArgumentHelp("The time for which an album waits for its other messages.", valueName: "duration"))
    var albumWait: Span = Span(.seconds(2))

    /// The chat to which messages are sent, as the user names it.
    var target: ChatID? { (forward ?? copy).map { ChatID($0) } }

    var isEmpty: Bool { forward == nil && copy == nil && !download }

    func validate() throws {
        guard forward == nil || copy == nil else { throw ValidationError("give either --forward or --copy") }
        guard forward != nil || copy != nil || (thread == nil && !silent) else {
            throw ValidationError("--thread and --silent are for --forward and --copy")
        }
        guard thread ?? 1 > 0 else { throw ValidationError("--thread must be more than 0") }
        guard (Duration.milliseconds(100)...Duration.seconds(60)).contains(albumWait.duration) else {
            throw ValidationError("--album-wait must be from 100ms to 60s")
        }
        for chat in [forward, copy].compactMap({ $0 }) where chat.isEmpty {
            throw ValidationError("a chat is an id, an @name, or me")
        }
    }
}
