package import ArgumentParser
import Crypto
import AccountAPI
import Accounts
import Blob
import BotAPI
import HTTP
import Logging
import Media
import Options
import Payloads
import Redis
import Stage
import System
import Texts

/// The tool's command, for the program that contains all tools.
package let command: any AsyncParsableCommand.Type = MediaFetch.self

struct MediaFetch: Tool {
    static let configuration = CommandConfiguration(
        commandName: "media-fetch",
        abstract: "Fetch the media that commands name, once for each source.",
        discussion: """
            Reads commands.media.video_download, audio_download, image_download and large_download. Media that the store already has become \
            events.dl.*.ready at once. A plain file is downloaded directly to disk, and resumed after an interruption; yt-dlp \
            fetches all other links, and gallery-dl pictures. The result is events.media.fetched with a local file, or events.dl.*.failed with the reason \
            in one line. Several requests for the same media share one fetch, even across processes with the same Redis and \
            store. Files of Telegram messages need TG_BOT_TOKEN, or --session with the account that received them. Other events \
            are forwarded unchanged.

            commands.media.cancel ends requests, in whichever process they are worked on. commands.media.cookies stores, lists and \
            removes the cookies of the sites in --sites, and the admins are told when a site refuses them.

            With --to-store, media-fetch also does the work of blob-put: it puts the media into the store and writes events.dl.*.ready. \
            Machines that fetch then share only Redis and the store.

            Media larger than --max-direct-size become commands.media.large_download, for a media-fetch without that option, \
            which can read from a queue.

            With links as arguments, media-fetch fetches them into a folder, prints the paths of the files, and ends. This needs \
            neither Redis nor a store. With --session, a link to a message (https://t.me/name/12, https://t.me/c/1234567890/12) fetches \
            its file, all files of its album, or those of a range (https://t.me/name/12-40). With --to-store, the media go into the \
            store, and the URLs of the objects are printed.

            Examples: media-fetch https://example.com/watch/42
                      media-fetch --audio -o ~/Music https://example.com/watch/42
                      media-fetch --images -o ~/Pictures https://example.com/gallery/7
                      media-fetch --to-store --store s3://media https://example.com/talk.mp4
                      media-fetch --session me https://t.me/c/1234567890/12-40
                      tg-listen --bot | tg-gate | media-fetch --concurrency 4 | blob-put | tg-send
                      media-fetch --from queue:media --to queue:send --store s3://media --to-store
                      media-fetch --from queue:large --max-size 2G --timeout 12h | blob-put | tg-send
            """,
        version: tgpipeVersion)

    @OptionGroup(title: "Fetching links into a folder") var single: LinkOptions
    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var speaker: SpeakerOptions
    @OptionGroup(title: "Fetching") var fetching: FetchOptions
    @OptionGroup(title: "Pictures") var gallery: GalleryOptions
    @OptionGroup(title: "Work folder and slow sites") var work: WorkOptions
    @OptionGroup(title: "Jail") var jail: JailOptions
    @OptionGroup(title: "Store") var storing: StoreOptions
    @OptionGroup(title: "Putting media into the store") var putting: PutOptions
    @OptionGroup(title: "Telling about refused cookies") var administrators: AdminOptions

    /// The number of commands handled at once. It exceeds the number of fetches, because commands that need no fetch must not
    /// wait for those that do. It is smaller for a queue, because no other worker can take the events that are taken here.
    private var handledAtOnce: Int { input.isFromQueue ? fetching.concurrency + 16 : 256 }

    func validate() throws {
        try single.validateTogether(putsIntoStore: putting.toStore, isAccount: speaker.isAccount)
    }

    var isOneShot: Bool { !single.links.isEmpty }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        guard single.links.isEmpty || putting.toStore else {
            Hash.loadLibrary()
            guard speaker.isAccount, single.links.contains(where: { MessageLink($0) != nil }) else {
                return try await fetchLinks(runtime, nil)
            }
            return try await speaker.account.withAccount(runtime) { try await fetchLinks(runtime, $0) }
        }
        return try await speaker.withAPIIfConfigured(runtime) { api in try await run(runtime, api) }
    }

    private func fetchLinks(_ runtime: Runtime, _ account: (any Account)?) async throws -> ExitStatus {
        try await LinkFetch(runtime: runtime, options: single, account: account).run { folder in
            var settings = try fetching.settings(
                directory: folder, ytDlpFolder: try? runtime.stateFolder("yt-dlp"), gallery)
            settings.jail = try jail.jail()
            try work.apply(to: &settings)
            return MediaFetcher(settings)
        }
    }

    private func run(_ runtime: Runtime, _ api: (any MessagingAPI)?) async throws -> ExitStatus {
        Hash.loadLibrary()
        if putting.toStore { Linux.returnLargeMemory() }
        try jail.report(to: runtime)
        let store = try storing.open(common, s3: putting.upload.s3)
        let uploadLimit = try await api?.uploadLimit(runtime)
        let limits = try fetching.limits(store, uploadLimit)
        var settings = try fetching.settings(
            directory: runtime.directory("media/fetch"), ytDlpFolder: runtime.stateFolder("yt-dlp"), gallery)
        (settings.maxBytes, settings.delivery) = (limits.maxBytes, limits.delivery)
        if fetching.overLimit != .best { settings.fitBytes = uploadLimit }
        if fetching.overLimit == .reencode { settings.reencode = try fetching.reencode(store, uploadLimit) }
        settings.jail = try jail.jail()
        try work.apply(to: &settings)
        settings.isDurable = output.isDurable
        // An event of a queue can wait in the queue, where it occupies no place.
        if input.isFromQueue { settings.longestRetryAfter = .seconds(2) }
        let stage = FetchStage(
            runtime: runtime, store: store, putsIntoStore: putting.toStore,
            uploads: putting.toStore
                ? store.uploads.map { UploadBook(runtime: runtime, area: $0, store: $0.place) } : nil,
            direct: MediaFetcher(settings.limited(to: limits.directBytes)),
            large: MediaFetcher(settings),
            places: FetchPlaces(fetching.concurrency, maxPerUser: fetching.fetchesPerUser),
            shared: SharedWork(runtime, name: "fetch", lease: input.queue.lease.duration),
            api: api,
            cache: MediaCache(directory: try runtime.directory("media/cache")), aliases: Aliases(runtime: runtime),
            limits: limits, partialsKeptFor: try work.partialsKeptFor, expires: storing.expires.duration,
            cancellations: Cancellations(runtime: runtime),
            cookies: CookieKeeping(
                runtime, sites: settings.sites, texts: try Texts.ofEnvironment(),
                admins: try administrators.ids().sorted(), api: api, folder: try runtime.directory("media/fetch")),
            turns: TurnReports(runtime: runtime, places: fetching.concurrency), isFromQueue: input.isFromQueue)
        if isOneShot { return try await LinkFetch(runtime: runtime, options: single, account: nil).put(stage) }
        runtime.outages.watch(.store) { _ = try await store.head(BlobProbe.key) }
        runtime.outages.watch(.network, probe: NetworkProbe().check)
        if let api { runtime.outages.watch(.telegram) { _ = try await api.call("getMe") } }
        let commands = KnownCommands(
            "commands.media.", MediaRequest.types + [MediaCancel.type, MediaCookies.type], runtime.log)
        return try await withThrowingTaskGroup(of: ExitStatus?.self) { group in
            group.addTask {
                await stage.sweep()
                return nil
            }
            group.addTask {
                await stage.cancellations.watch()
                return nil
            }
            group.addTask {
                await stage.turns.run()
                return nil
            }
            group.addTask {
                await stage.sweepUploads()
                return nil
            }
            defer { group.cancelAll() }
            return try await runtime.work(
                input, output, concurrency: handledAtOnce, accepting: commands.accepts, givingUp: stage.giveUp,
                handle: stage.handle)
        }
    }
}

struct PutOptions: ParsableArguments, Sendable {
    @Flag(
        help: ArgumentHelp(
            "Put the media into the store here, in place of blob-put, and write events.dl.*.ready. A plain file goes to S3 while it is downloaded, and is never on the disk."
        ))
    var toStore = false

    @OptionGroup var upload: UploadOptions

    func validate() throws {
        if !toStore, !upload.isDefault {
            throw ValidationError(
                "--multipart-threshold, --part-size, --parallel-parts, --create-bucket and --unsigned-payload need --to-store"
            )
        }
    }
}

/// Says what becomes of a video that the bot cannot send.
enum OverLimit: String, ExpressibleByArgument, CaseIterable, Sendable {
    case smaller, best, reencode
}

struct FetchOptions: ParsableArguments, Sendable {
    @Option(help: ArgumentHelp("The number of fetches that run at once.", valueName: "n"))
    var concurrency: Int = 2

    @Option(
        help: ArgumentHelp(
            "The number of fetches of one user that run at once. Default: half of --concurrency, at least 1. [env: TGPIPE_FETCHES_PER_USER]",
            valueName: "n"))
    var perUser: Int?

    @Option(
        help: ArgumentHelp(
            "The size of the largest file to fetch. Default: 2000M, or 4000M for an account with Telegram Premium; for videos and pictures 50 MB if a bot could not deliver more, because the store makes no links and Telegram's own server takes no larger files.",
            valueName: "size"))
    var maxSize: ByteSize?

    @Option(help: ArgumentHelp("The longest time that media may play. Default: no limit.", valueName: "duration"))
    var maxDuration: Span?

    @Option(
        help: ArgumentHelp(
            "Refuse media that their site rates for older viewers: 17 refuses what is rated 18. Default: no limit.",
            valueName: "years"))
    var ageLimit: Int64?

    @Option(
        help: ArgumentHelp(
            "Larger media become commands.media.large_download, for a separate worker. Default: no such limit.",
            valueName: "size"))
    var maxDirectSize: ByteSize?

    @Option(
        help:
            "What becomes of a video that is known to exceed what Telegram takes from the bot: the best smaller picture that fits (smaller), or the best in any case, which is sent as a link if the store makes links (best); or the best smaller picture, and if there is none, the video encoded anew so that it fits (reencode)."
    )
    var overLimit: OverLimit = .smaller

    @Option(
        help: ArgumentHelp(
            "The most time for one video that is encoded anew (--over-limit reencode). A video that would take longer is not.",
            valueName: "duration"))
    var reencodeTime: Span = Span(.seconds(600))

    @Option(help: ArgumentHelp("The time limit for a whole fetch.", valueName: "duration"))
    var timeout: Span = Span(.seconds(7200))

    @Option(help: ArgumentHelp("The longest time for which a server may send nothing.", valueName: "duration"))
    var stallTimeout: Span = Span(.seconds(30))

    @Option(
        help: ArgumentHelp(
            "The yt-dlp program. Default: the one that 'tgpipe update-yt-dlp' has installed, else yt-dlp. [env: TGPIPE_YT_DLP]",
            valueName: "program"))
    var ytDlp: String?

    @Option(
        parsing: .unconditionalSingleValue,
        help: ArgumentHelp("An additional argument for yt-dlp. May be repeated.", valueName: "argument"))
    var ytDlpArg: [String] = []

    @Option(help: ArgumentHelp("Cookies for yt-dlp, in Netscape format. [env: TGPIPE_COOKIES]", valueName: "file"))
    var cookies: String?

    @Option(
        help: ArgumentHelp(
            "A TOML file with cookies, a proxy and arguments for yt-dlp for single sites. [env: TGPIPE_SITES]",
            valueName: "file"))
    var sites: String?

    @Option(help: ArgumentHelp("The ffmpeg program; ffprobe is expected in the same folder.", valueName: "program"))
    var ffmpeg: String = "ffmpeg"

    @Flag(
        help:
            "Allow fetches from loopback, private and link-local addresses. A stranger's link can then reach your network."
    )
    var allowPrivate = false

    @Option(
        help: ArgumentHelp(
            "An address, or a network such as 192.0.2.0/24, that no link may lead to. May be repeated. [env: TGPIPE_DENY_ADDRESSES, with commas]",
            valueName: "range"))
    var denyAddress: [String] = []

    @Option(
        help: ArgumentHelp(
            "An additional host of short links, whose redirects are followed to identify the media. May be repeated.",
            valueName: "host"))
    var shortHost: [String] = []

    func validate() throws {
        guard (1...64).contains(concurrency) else { throw ValidationError("--concurrency must be from 1 to 64") }
        guard perUser ?? 1 >= 1 else { throw ValidationError("--per-user must be 1 or more") }
        guard maxBytes > 0 else { throw ValidationError("--max-size must be more than 0") }
        if let maxDuration, maxDuration.duration < .seconds(1) {
            throw ValidationError("--max-duration must be a second or more")
        }
        guard reencodeTime.duration >= .seconds(1) else {
            throw ValidationError("--reencode-time must be a second or more")
        }
        if let ageLimit, !(0...99).contains(ageLimit) { throw ValidationError("--age-limit must be from 0 to 99") }
        if let maxDirectSize, maxDirectSize.bytes <= 0 {
            throw ValidationError("--max-direct-size must be more than 0")
        }
    }

    /// The number of fetches of one user that run at once.
    var fetchesPerUser: Int {
        perUser ?? Settings.environment("TGPIPE_FETCHES_PER_USER").flatMap { Int($0) }.map { max(1, $0) }
            ?? max(1, concurrency / 2)
    }

    private var maxBytes: Int64 { maxSize?.bytes ?? FetchOptions.usualMaxBytes }

    private static let usualMaxBytes: Int64 = 2000 << 20

    /// Returns the limits for what is fetched into a store, and sent by Telegram or as a link to the store.
    func limits(_ store: any BlobStore, _ uploadLimit: Int64?) throws -> FetchLimits {
        let mustFit = try maxSize == nil && !makesLinks(store)
        return FetchLimits(
            direct: maxDirectSize?.bytes, max: maxSize?.bytes ?? max(FetchOptions.usualMaxBytes, uploadLimit ?? 0),
            delivery: mustFit
                ? uploadLimit.map { DeliveryLimit(bytes: $0, isForPicturesOnly: overLimit == .reencode) } : nil)
    }

    /// Returns how videos are encoded anew; nil if there is no limit that they have to fit.
    func reencode(_ store: any BlobStore, _ uploadLimit: Int64?) throws -> ReencodeSettings? {
        guard let limit = uploadLimit else { return nil }
        return ReencodeSettings(
            limitBytes: limit, budget: reencodeTime.duration, isRequired: try !makesLinks(store))
    }

    private func makesLinks(_ store: any BlobStore) throws -> Bool {
        try store.presignedURL(BlobProbe.key, expires: .seconds(60), contentType: nil, fileName: nil) != nil
    }

    /// - Parameter ytDlpFolder: the folder of `tgpipe update-yt-dlp`; nil without a state folder.
    func settings(
        directory: String, ytDlpFolder: String? = nil, _ gallery: GalleryOptions
    ) throws -> MediaSettings {
        var settings = MediaSettings(directory: directory)
        settings.maxBytes = maxBytes
        (settings.limits.longest, settings.limits.viewerAge) = (maxDuration?.duration, ageLimit)
        settings.stallTimeout = stallTimeout.duration
        settings.deadline = timeout.duration
        settings.ytDlp = ExtractorSettings(
            program: InstalledYtDlp.chosen(ytDlp, folder: ytDlpFolder), extraArguments: ytDlpArg)
        settings.galleryDl = ExtractorSettings(
            program: InstalledYtDlp.chosenGallery(gallery.galleryDl, folder: ytDlpFolder),
            extraArguments: gallery.galleryDlArg)
        try settings.reachSites(allowsPrivate: allowPrivate, denied: denyAddress, sites: sites, cookies: cookies)
        settings.ffmpeg = ffmpeg
        settings.shortLinkHosts = shortHost
        return settings
    }
}

extension MediaSettings {
    fileprivate func limited(to bytes: Int64) -> MediaSettings {
        var settings = self
        settings.largestBytes = settings.maxBytes
        settings.maxBytes = bytes
        return settings
    }
}
