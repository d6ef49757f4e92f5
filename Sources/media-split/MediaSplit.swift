import AccountAPI
package import ArgumentParser
import Blob
import Crypto
import HTTP
import Media
import Options
import Payloads
import Stage
import System

/// The command that `tgpipe` runs when it is called as media-split.
package let command: any AsyncParsableCommand.Type = MediaSplit.self

struct MediaSplit: Tool {
    static let configuration = CommandConfiguration(
        commandName: "media-split",
        abstract: "Cut videos that are too large for Telegram into parts.",
        discussion: """
            A stage between blob-put and tg-send. Of a video (events.dl.video.ready) that is larger than the limit, it makes several mp4 \
            files, cut at key frames without encoding, and writes one event for each part, with its place in meta.group. tg-send \
            sends the parts in order. Other events, and videos that cannot be cut into parts of that size, are forwarded unchanged: \
            tg-send then sends a link, if the store makes links.

            Example: media-fetch | blob-put | media-split | tg-send
            """,
        version: tgpipeVersion)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Bot or account, for its limit") var speaker: SpeakerOptions
    @OptionGroup(title: "Parts") var parts: PartOptions

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        Hash.loadLibrary()
        let stage = SplitStage(
            runtime: runtime, uploadLimit: try UploadLimit(speaker, runtime),
            cache: MediaCache(directory: try runtime.directory("media/cache")),
            workFolder: try runtime.directory("media/split"), options: parts)
        return try await runtime.work(
            input, output, concurrency: parts.concurrency, accepting: { $0 == DownloadReady.type(of: .video) },
            givingUp: { event, _ in [event] }, handle: stage.handle)
    }
}

struct PartOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "The size of the largest part. Default: what the bot or the account can send; 2000M without either.",
            valueName: "size"))
    var maxSize: ByteSize?

    @Option(help: ArgumentHelp("The number of videos that are cut at once.", valueName: "n"))
    var concurrency: Int = 2

    @Option(help: ArgumentHelp("The time limit for one video.", valueName: "duration"))
    var timeout: Span = Span(.seconds(600))

    @Option(help: ArgumentHelp("The ffmpeg program; ffprobe is expected in the same folder.", valueName: "program"))
    var ffmpeg: String = "ffmpeg"

    func validate() throws {
        guard (1...64).contains(concurrency) else { throw ValidationError("--concurrency must be from 1 to 64") }
        guard maxSize?.bytes ?? 1 > 0 else { throw ValidationError("--max-size must be more than 0") }
    }
}
