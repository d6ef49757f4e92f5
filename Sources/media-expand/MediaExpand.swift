package import ArgumentParser
import Crypto
import Media
import Options
import Payloads
import Stage
import System

/// The command that `tgpipe` runs when it is called as media-expand.
package let command: any AsyncParsableCommand.Type = MediaExpand.self

struct MediaExpand: Tool {
    static let configuration = CommandConfiguration(
        commandName: "media-expand",
        abstract: "Make a request of its own for each video of a list, and for each picture of a gallery.",
        discussion: """
            A request for a playlist, a channel, a feed, or a post with several videos becomes one request for each video, with its place \
            in meta.group. The range 1-5 in the command (.vdl 1-5 LINK) selects videos; without one, and for a longer range, the number \
            is limited by --max-items. tg-send shows one progress message for the whole group, sends the results in the order of the \
            list, and names at the end what failed. Requests for single videos and all other events are forwarded unchanged.

            A request for pictures (.img LINK) becomes one for each file of the gallery, which gallery-dl lists. So does a request for \
            a video at whose link there are only pictures.

            Example: tg-gate | media-expand --max-items 10 | media-fetch | blob-put | tg-send
            """,
        version: tgpipeVersion)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Lists") var lists: ListOptions
    @OptionGroup(title: "Pictures") var gallery: GalleryOptions

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        Hash.loadLibrary()
        let fetcher = MediaFetcher(
            try lists.settings(
                directory: runtime.directory("media/expand"), ytDlpFolder: runtime.stateFolder("yt-dlp"), gallery))
        let stage = ExpandStage(
            runtime: runtime, fetcher: fetcher, maxItems: Int64(lists.maxItems), onlyAsked: lists.onlyRanges)
        return try await runtime.work(
            input, output, concurrency: ListOptions.handledAtOnce, accepting: { MediaDownload.types.contains($0) },
            givingUp: stage.giveUp, handle: stage.handle)
    }
}

struct ListOptions: ParsableArguments, Sendable {
    /// The number of requests handled at once.
    static let handledAtOnce = 8

    @Option(help: ArgumentHelp("The most videos of one request, from 1 to 500.", valueName: "n"))
    var maxItems: Int = 20

    @Flag(help: "Expand only requests with a range (.vdl 1-5 LINK). Other links are not looked at.")
    var onlyRanges = false

    @Option(
        help: ArgumentHelp(
            "The yt-dlp program. Default: as for media-fetch. [env: TGPIPE_YT_DLP]", valueName: "program"))
    var ytDlp: String?

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("An additional argument for yt-dlp. May be repeated.", valueName: "argument"))
    var ytDlpArg: [String] = []

    @Option(help: ArgumentHelp("Cookies for yt-dlp, in Netscape format. [env: TGPIPE_COOKIES]", valueName: "file"))
    var cookies: String?

    @Flag(
        help:
            "Allow links to loopback, private and link-local addresses. A stranger's link can then reach your network."
    )
    var allowPrivate = false

    func validate() throws {
        guard (1...Int(EventGroup.largest)).contains(maxItems) else {
            throw ValidationError("--max-items must be from 1 to \(EventGroup.largest)")
        }
    }

    func settings(directory: String, ytDlpFolder: String, _ gallery: GalleryOptions) throws -> MediaSettings {
        var settings = MediaSettings(directory: directory)
        settings.deadline = .seconds(120)
        settings.jail = HelperJail()
        settings.ytDlp = ExtractorSettings(
            program: InstalledYtDlp.chosen(ytDlp, folder: ytDlpFolder), extraArguments: ytDlpArg)
        settings.galleryDl = ExtractorSettings(
            program: InstalledYtDlp.chosenGallery(gallery.galleryDl, folder: ytDlpFolder),
            extraArguments: gallery.galleryDlArg)
        try settings.reachSites(allowsPrivate: allowPrivate, cookies: cookies)
        return settings
    }
}
