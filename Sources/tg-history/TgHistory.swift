package import ArgumentParser
import History
import Options
import Payloads
import Stage
import System

/// The tool's command, for the program that contains all tools.
package let command: any AsyncParsableCommand.Type = TgHistory.self

struct TgHistory: Tool {
    static let configuration = CommandConfiguration(
        commandName: "tg-history",
        abstract: "Read whole histories of chats through one account or several.",
        discussion: """
            Reads commands.telegram.history, which name a chat and a range of messages. Writes each message as \
            events.telegram.message, and after the messages of each answer an events.telegram.history_range, which states what \
            the answer proves. Forwards all other events unchanged. Several accounts share the work on one chat or on many. \
            While one waits because Telegram demands it, the others go on.

            Examples:
              msg-store plan @durov | tg-history --session a --session b | msg-store load
              tg-history --session a --from queue:plan --to queue:messages
            """,
        version: tgpipeVersion)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Accounts") var accounts: PoolOptions
    @OptionGroup(title: "Reaching Telegram without a running tg-session") var connection: ConnectionOptions

    @Flag(name: .customLong("raw-tl"), help: "Attach each message as Telegram sent it, as payload.tl (docs/tl.md).")
    var attachesTL = false

    @Flag(help: "Read only what is newer than the archive: commands without to_id. The others are left out.")
    var newOnly = false

    @Flag(
        help:
            "With a whole channel, also read the group with its comments, or, where no account can read it, the comments of each post."
    )
    var comments = false

    @Flag(
        help:
            "Read within an export of the account's data, for which Telegram allows more calls. It may have to be allowed in the account first."
    )
    var takeout = false

    @Option(
        help: ArgumentHelp(
            "Also write a command for media-fetch for each message with such a file: photo,video,audio,voice,video_note,animation,document,sticker.",
            valueName: "kinds"))
    var media: String = ""

    @Option(
        help: ArgumentHelp(
            "The number of commands to work on at the same time, from 1 to 1000. Default: 4 for each account.",
            valueName: "count"))
    var concurrency: Int?

    private static let kindsOfMedia = [
        "photo", "video", "audio", "voice", "video_note", "animation", "document", "sticker",
    ]

    func validate() throws {
        guard (1...1000).contains(concurrency ?? 1) else {
            throw ValidationError("--concurrency must be from 1 to 1000")
        }
        if let unknown = mediaKinds.first(where: { !TgHistory.kindsOfMedia.contains($0) }) {
            throw ValidationError(
                "--media: \(unknown) is none of \(TgHistory.kindsOfMedia.joined(separator: ", "))")
        }
    }

    private var mediaKinds: [String] { media.split(separator: ",").map(String.init) }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let sessions = try accounts.sessions(runtime)
        var settings = PoolSettings()
        settings.pace = try accounts.pace?.duration
        (settings.attachesTL, settings.media, settings.findsComments) = (attachesTL, mediaKinds, comments)
        let progress = HistoryProgress()
        settings.onWait = { progress.show($1, of: $0) }
        let pool = HistoryPool(runtime, settings)
        let reader = CommandReader(
            runtime: runtime, pool: pool, isFromQueue: input.isFromQueue,
            CommandReader.Choices(readsNewOnly: newOnly, readsComments: comments, progress: progress))
        return try await pool.withAccounts(sessions, connection, takeout: takeout, in: runtime) {
            [input, output, concurrency] in
            let status = try await runtime.work(
                input, output, concurrency: concurrency ?? 4 * sessions.count,
                accepting: { $0 == HistoryCommand.type }, handle: reader.handle)
            return reader.hasFailures && status == .success ? .no : status
        }
    }
}
