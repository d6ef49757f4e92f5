package import ArgumentParser
import Blob
import Options
import Stage
import BotAPI
import AccountAPI
import System

/// The tool, as the program that holds all tools runs it.
package let command: any AsyncParsableCommand.Type = TgSend.self

struct TgSend: Tool {
    static let configuration = CommandConfiguration(
        commandName: "tg-send",
        abstract: "Speak in Telegram: replies, edits, reactions, media, and the progress of requests.",
        discussion: """
            Reads commands.telegram.*, events.dl.* and events.media.progress, and writes events.telegram.sent and \
            events.telegram.failed; everything else passes through unchanged. Media that Telegram already has is sent by its \
            file_id, else uploaded from disk, once for all who get it. From a queue, an event is acknowledged when Telegram has \
            answered, and is not sent again when it is handed out anew. With --chat it sends one thing and ends. \
            It speaks as the bot whose token is in TG_BOT_TOKEN or --token-file, or with --session as an account: through \
            tg-session run where that is running, else by itself.

            Examples: media-fetch | blob-put | tg-send
                      tg-send --chat 42 --text 'the backup is done'
                      tg-send --chat 42 --video clip.mp4 --caption 'a clip'
                      tg-send --session alice --chat me --text 'a note to myself'
            """,
        version: tgpipeVersion)

    @OptionGroup var common: CommonOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var speaker: SpeakerOptions
    @OptionGroup var sending: SendingOptions
    @OptionGroup(title: "Sending one thing") var single: SingleOptions

    func validate() throws { try single.validateTogether() }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        try await speaker.withAPI(runtime) { api in try await run(runtime, api) }
    }

    private func run(_ runtime: Runtime, _ api: any MessagingAPI) async throws -> ExitStatus {
        if let event = try single.event() {
            let sender = Sender(
                runtime: runtime, api: api,
                shared: SharedState(runtime: runtime, redis: nil, speakerID: api.speakerID),
                cache: nil, options: sending, input: input)
            return try await sender.sendOnce(event, to: EventOutput(output, runtime: runtime))
        }
        try await runtime.requireRedis()
        let cache = MediaCache(directory: try runtime.directory("media/cache"))
        let shared = SharedState(
            runtime: runtime, redis: try await runtime.redis(), waits: input.isFromQueue, speakerID: api.speakerID)
        let sender = Sender(
            runtime: runtime, api: api, shared: shared, cache: cache, options: sending, input: input)
        return try await Dispatcher(runtime: runtime, sender: sender, options: sending).run(input, output)
    }
}

struct SendingOptions: ParsableArguments, Sendable {
    @Option(help: ArgumentHelp("How many calls to Telegram are under way at once.", valueName: "n"))
    var concurrency: Int = 8

    @Option(help: ArgumentHelp("How far apart edits of one progress message are.", valueName: "duration"))
    var progressInterval: Span = Span(.seconds(3))

    @Option(help: ArgumentHelp("How often a temporary failure is tried again.", valueName: "n"))
    var retries: Int = 5

    @Option(help: ArgumentHelp("Clean the local copies after so many deliveries.", valueName: "n"))
    var cleanupEvery: Int = 20

    @Option(help: ArgumentHelp("What the clean-up leaves of the local copies.", valueName: "size"))
    var cacheSize: ByteSize = ByteSize(2 << 30)

    @Flag(help: "Do not keep to Telegram's message rates by itself; wait only when told to.")
    var noPacing = false

    func validate() throws {
        guard (1...100).contains(concurrency) else { throw ValidationError("--concurrency must be from 1 to 100") }
        guard cleanupEvery > 0 else { throw ValidationError("--cleanup-every must be 1 or more") }
        guard (0...100).contains(retries) else { throw ValidationError("--retries must be from 0 to 100") }
    }
}
