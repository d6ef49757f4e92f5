import AccountAPI
package import ArgumentParser
import ChatCommands
import Crypto
import Envelope
import HTTP
import Media
import Options
import Payloads
import Stage
import System
import Texts

/// The command that `tgpipe` runs when it is called as media-ask.
package let command: any AsyncParsableCommand.Type = MediaAsk.self

struct MediaAsk: Tool {
    static let configuration = CommandConfiguration(
        commandName: "media-ask",
        abstract: "Ask people in which form they want the media that they request.",
        discussion: """
            A request that asks (.vdl? LINK), or comes from a person or group that wants to be asked (/ask on), gets a keyboard with \
            what the site offers: pictures with their sizes, sound, subtitles. What does not fit Telegram's limit is marked. The \
            request goes on with the chosen form, or after --wait with the best. Only the person who asked can choose: the buttons \
            are signed, and of no use to others. The presses arrive as events.telegram.raw, which tg-gate has to publish. Other events are \
            forwarded unchanged.

            Only a bot can show a keyboard. An account shows a numbered list, and takes the number that the person writes.

            Example: tg-gate --subscribe 'commands.#' --subscribe events.telegram.raw | media-ask | media-fetch
            """,
        version: tgpipeVersion)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Bot or account, for its limit") var speaker: SpeakerOptions
    @OptionGroup(title: "Asking") var asking: AskOptions

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        Hash.loadLibrary()
        let texts = try Texts.ofEnvironment()
        try await runtime.requireRedis()
        let key = ChoiceKey(try ButtonKey(path: "\(try runtime.directory("ask"))/key"))
        let fetcher = MediaFetcher(
            try asking.settings(directory: runtime.directory("media/ask"), ytDlpFolder: runtime.stateFolder("yt-dlp")))
        let stage = AskStage(
            runtime: runtime, texts: texts, fetcher: fetcher, choices: PendingChoices(runtime: runtime, key: key),
            cancellations: CancellationNotes(runtime),
            maxBytes: asking.maxSize?.bytes, uploadLimit: try UploadLimit(speaker, runtime), wait: asking.wait.duration,
            asksAlways: asking.ask)
        return try await runtime.work(
            input, output, concurrency: AskOptions.handledAtOnce, accepting: stage.accepts, givingUp: stage.giveUp,
            handle: stage.handle)
    }
}

struct AskOptions: ParsableArguments, Sendable {
    /// The number of events handled at once. Those that wait for a choice do not count.
    static let handledAtOnce = 16

    @Flag(help: "Ask about each request, unless the person or group does not want to be asked.")
    var ask = false

    @Option(help: ArgumentHelp("The time that a person has to choose.", valueName: "duration"))
    var wait: Span = Span(.seconds(30))

    @Option(
        help: ArgumentHelp(
            "The size above which a form is marked. Default: what the bot or the account can send.", valueName: "size"))
    var maxSize: ByteSize?

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
        guard (.seconds(1)...(.seconds(600))).contains(wait.duration) else {
            throw ValidationError("--wait must be from 1s to 10m")
        }
    }

    func settings(directory: String, ytDlpFolder: String) throws -> MediaSettings {
        var settings = MediaSettings(directory: directory)
        settings.deadline = .seconds(60)
        settings.jail = HelperJail()
        settings.ytDlp = ExtractorSettings(
            program: InstalledYtDlp.chosen(ytDlp, folder: ytDlpFolder), extraArguments: ytDlpArg)
        try settings.reachSites(allowsPrivate: allowPrivate, cookies: cookies)
        return settings
    }
}
