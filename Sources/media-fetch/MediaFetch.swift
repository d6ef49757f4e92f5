package import ArgumentParser
import Blob
import HTTP
import Media
import Options
import Redis
import Stage
import BotAPI
import AccountAPI
import System

/// The tool, as the program that holds all tools runs it.
package let command: any AsyncParsableCommand.Type = MediaFetch.self

struct MediaFetch: Tool {
    static let configuration = CommandConfiguration(
        commandName: "media-fetch",
        abstract: "Fetch the media that commands ask for, once a source.",
        discussion: """
            Reads commands.media.video_download, audio_download and large_download. What the store has already becomes \
            events.dl.*.ready at once; a plain file is downloaded straight to disk, resumed where it stopped; everything else \
            goes through yt-dlp. The result is events.media.fetched with a local file, or events.dl.*.failed with one line that \
            says why. What several ask for, also through other processes with the same Redis and store, is fetched once. Files \
            of Telegram messages need TG_BOT_TOKEN, or the account that they came to, by --session. Everything else passes through unchanged.

            What is over --max-direct-size becomes commands.media.large_download, which a media-fetch without that option fetches, \
            from a queue for instance.

            Examples: tg-listen --bot | tg-gate | media-fetch --concurrency 4 | blob-put | tg-send
                      media-fetch --from queue:large --max-size 2G --timeout 12h | blob-put | tg-send
            """,
        version: tgpipeVersion)

    @OptionGroup var common: CommonOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var speaker: SpeakerOptions
    @OptionGroup(title: "Fetching") var fetching: FetchOptions
    @OptionGroup(title: "Store") var storing: StoreOptions

    /// Commands taken at once: those that need no fetch must not wait for those that do. What is taken from a queue nobody else
    /// can take.
    private var handledAtOnce: Int { input.isFromQueue ? fetching.concurrency + 16 : 256 }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        try await speaker.withAPIIfConfigured(runtime) { api in try await run(runtime, api) }
    }

    private func run(_ runtime: Runtime, _ api: (any MessagingAPI)?) async throws -> ExitStatus {
        let store = try storing.open(common)
        let limits = fetching.limits
        var settings = try fetching.settings(directory: runtime.directory("media/fetch"))
        settings.isDurable = output.isDurable
        // An event of a queue can wait there, without a place.
        if input.isFromQueue { settings.longestRetryAfter = .seconds(2) }
        let stage = FetchStage(
            runtime: runtime, store: store, direct: MediaFetcher(settings.limited(to: limits.directBytes)),
            large: MediaFetcher(settings), places: FetchPlaces(fetching.concurrency),
            shared: SharedWork(runtime, name: "fetch", lease: input.queue.lease.duration),
            api: api,
            cache: MediaCache(directory: try runtime.directory("media/cache")), aliases: Aliases(runtime: runtime),
            limits: limits, expires: storing.expires.duration, isFromQueue: input.isFromQueue)
        return try await withThrowingTaskGroup(of: ExitStatus?.self) { group in
            group.addTask {
                await stage.sweep()
                return nil
            }
            defer { group.cancelAll() }
            return try await runtime.work(
                input, output, concurrency: handledAtOnce, accepting: MediaRequest.accepts, givingUp: stage.giveUp,
                handle: stage.handle)
        }
    }
}

struct FetchOptions: ParsableArguments, Sendable {
    @Option(help: ArgumentHelp("How many fetches run at once.", valueName: "n"))
    var concurrency: Int = 2

    @Option(help: ArgumentHelp("The largest file fetched.", valueName: "size"))
    var maxSize: ByteSize = ByteSize(2000 << 20)

    @Option(
        help: ArgumentHelp(
            "What is larger becomes commands.media.large_download, for a worker of its own. Default: nothing does.",
            valueName: "size"))
    var maxDirectSize: ByteSize?

    @Option(help: ArgumentHelp("How long one fetch may take.", valueName: "duration"))
    var timeout: Span = Span(.seconds(7200))

    @Option(help: ArgumentHelp("How long a server may be silent.", valueName: "duration"))
    var stallTimeout: Span = Span(.seconds(30))

    @Option(help: ArgumentHelp("The yt-dlp program. [env: TGPIPE_YT_DLP]", valueName: "program"))
    var ytDlp: String?

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("One more argument for yt-dlp. May be repeated.", valueName: "argument"))
    var ytDlpArg: [String] = []

    @Option(help: ArgumentHelp("Cookies for yt-dlp, in Netscape's format. [env: TGPIPE_COOKIES]", valueName: "file"))
    var cookies: String?

    @Option(help: ArgumentHelp("The ffmpeg program; ffprobe is looked for beside it.", valueName: "program"))
    var ffmpeg: String = "ffmpeg"

    @Flag(
        help:
            "Fetch from loopback, private and link-local addresses too. A stranger's link can then reach your network.")
    var allowPrivate = false

    @Option(
        help: ArgumentHelp(
            "A host of short links, beside the known ones: their redirects are followed to learn what they stand for. May be repeated.",
            valueName: "host"))
    var shortHost: [String] = []

    func validate() throws {
        guard (1...64).contains(concurrency) else { throw ValidationError("--concurrency must be from 1 to 64") }
        guard maxSize.bytes > 0 else { throw ValidationError("--max-size must be more than 0") }
        if let maxDirectSize, maxDirectSize.bytes <= 0 {
            throw ValidationError("--max-direct-size must be more than 0")
        }
    }

    var limits: FetchLimits { FetchLimits(direct: maxDirectSize?.bytes, max: maxSize.bytes) }

    func settings(directory: String) throws -> MediaSettings {
        var settings = MediaSettings(directory: directory)
        settings.addressPolicy = allowPrivate ? .any : .publicOnly
        settings.maxBytes = maxSize.bytes
        settings.stallTimeout = stallTimeout.duration
        settings.deadline = timeout.duration
        settings.ytDlp = YtDlpSettings(
            program: ytDlp ?? Settings.environment("TGPIPE_YT_DLP") ?? "yt-dlp", extraArguments: ytDlpArg,
            cookiesFile: cookies ?? Settings.environment("TGPIPE_COOKIES"))
        settings.ffmpeg = ffmpeg
        settings.shortLinkHosts = shortHost
        return settings
    }
}

extension MediaSettings {
    fileprivate func limited(to bytes: Int64) -> MediaSettings {
        var settings = self
        settings.maxBytes = bytes
        return settings
    }
}
