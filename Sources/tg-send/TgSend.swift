package import ArgumentParser
import Blob
import Options
import Stage
import BotAPI
import ChatCommands
import AccountAPI
import System
import Texts

/// The command that `tgpipe` runs when it is called as tg-send.
package let command: any AsyncParsableCommand.Type = TgSend.self

struct TgSend: Tool {
    static let configuration = CommandConfiguration(
        commandName: "tg-send",
        abstract: "Send messages and media to Telegram, and show users the progress of their requests.",
        discussion: """
            Reads commands.telegram.*, events.dl.*, events.media.fetched and events.media.progress, and writes \
            events.telegram.sent and events.telegram.failed. All other events are forwarded unchanged. Media that Telegram \
            already has is sent by its file_id; other media is uploaded once for all requests. An event from a queue is \
            acknowledged after Telegram has answered, and is not sent again if the queue delivers it again. Several tg-send may read one \
            queue: each chat gets its messages in the order of the queue.

            With --chat, tg-send sends one message and ends. The text is an argument, or else standard input.

            tg-send works as the bot whose token is in TG_BOT_TOKEN or --token-file. With --session it works as an account: \
            through tg-session run if that is running, else with connections of its own.

            Examples: media-fetch | blob-put | tg-send
                      tg-send --chat 42 'the backup is done'
                      uptime | tg-send --chat 42 --code
                      tg-send --chat 42 --video clip.mp4 --caption 'a clip'
                      tg-send --chat @news --photo a.jpg --photo b.jpg
                      tg-send --session alice --chat me 'a note to myself'
            """,
        version: tgpipeVersion)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var speaker: SpeakerOptions
    @OptionGroup var sending: SendingOptions
    @OptionGroup(title: "Sending one message") var single: SingleOptions

    func validate() throws {
        try single.validateTogether()
        guard single.target != nil else { return }
        if input.from != "-" { throw ValidationError("--from is for events, and with --chat tg-send reads none") }
        if speaker.isAccount {
            if !single.button.isEmpty { throw ValidationError("--button needs a bot: an account cannot send buttons") }
            if single.protect { throw ValidationError("--protect needs a bot: an account cannot protect messages") }
        } else if single.schedule != nil {
            throw ValidationError("--schedule needs an account, by --session: a bot cannot schedule messages")
        }
    }

    var isOneShot: Bool { single.target != nil }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        try await speaker.withAPI(runtime) { api in try await run(runtime, api) }
    }

    private func run(_ runtime: Runtime, _ api: any MessagingAPI) async throws -> ExitStatus {
        if single.target != nil {
            return try await SingleMessage(runtime: runtime, api: api, retries: sending.retries)
                .send(single, to: EventOutput(output, runtime: runtime))
        }
        let texts = try Texts.ofEnvironment()
        let way = Settings.environment("TG_CHAT") == nil ? "name a chat, as in 'tg-send --chat ID'" : "call 'tg-send -'"
        runtime.advise(onText: "without --chat, tg-send reads events; to send the input as a message, \(way)")
        try await runtime.requireRedis()
        let copies = LocalCopies(cache: MediaCache(directory: try runtime.directory("media/cache")))
        let scheduler = SharedScheduler(
            progressInterval: sending.progressInterval.duration, limitsRates: !sending.noPacing)
        let shared = SharedState(
            runtime: runtime, redis: try await runtime.redis(), waits: input.isFromQueue, speakerID: api.speakerID)
        runtime.outages.watch(.telegram) { _ = try await api.call("getMe") }
        let sender = Sender(
            runtime: runtime, api: api, shared: shared, scheduler: scheduler, copies: copies, options: sending,
            input: input, texts: texts, cancelKey: try cancelKey(runtime))
        let dispatcher = Dispatcher(
            runtime: runtime, scheduler: scheduler, sender: sender, concurrency: sending.concurrency,
            interrupted: InterruptedRequests(runtime: runtime, shared: shared, scheduler: scheduler))
        return try await dispatcher.run(input, output)
    }
}

extension TgSend {
    /// Returns the key that signs the buttons to cancel requests, or nil for none. An account cannot send buttons.
    private func cancelKey(_ runtime: Runtime) throws -> ButtonKey? {
        guard sending.cancelButtons, !speaker.isAccount else { return nil }
        return try ButtonKey(path: "\(try runtime.directory("ask"))/key")
    }
}

struct SendingOptions: ParsableArguments, Sendable {
    @Option(help: ArgumentHelp("The number of calls to Telegram that run at a time.", valueName: "n"))
    var concurrency: Int = 8

    @Option(help: ArgumentHelp("The time between two edits of a placeholder reply.", valueName: "duration"))
    var progressInterval: Span = Span(.seconds(3))

    @Option(
        help: ArgumentHelp(
            "The number of further attempts after a transient failure, for events from a pipe and for --chat.",
            valueName: "n"))
    var retries: Int = 5

    @Option(help: ArgumentHelp("Clean up the local copies after this number of deliveries.", valueName: "n"))
    var cleanupEvery: Int = 20

    @Option(help: ArgumentHelp("The size to which a clean-up reduces the local copies.", valueName: "size"))
    var cacheSize: ByteSize = ByteSize(2 << 30)

    @Flag(help: "Show a button below the progress of each request that cancels it. tg-talk takes the presses.")
    var cancelButtons = false

    @Flag(help: "Do not limit the message rate; wait only when Telegram requires it.")
    var noPacing = false

    func validate() throws {
        guard (1...100).contains(concurrency) else { throw ValidationError("--concurrency must be from 1 to 100") }
        guard cleanupEvery > 0 else { throw ValidationError("--cleanup-every must be 1 or more") }
        guard (0...100).contains(retries) else { throw ValidationError("--retries must be from 0 to 100") }
    }
}
