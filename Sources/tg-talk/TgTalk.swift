package import ArgumentParser
import BotAPI
import ChatCommands
import Envelope
import Options
import Payloads
import Stage
import System
import Texts

/// The command that `tgpipe` runs when it is called as tg-talk.
package let command: any AsyncParsableCommand.Type = TgTalk.self

struct TgTalk: Tool {
    static let configuration = CommandConfiguration(
        commandName: "tg-talk",
        abstract: "Answer /start, /help, /lang, /queue and the like, mistyped commands, bare links and strangers.",
        discussion: """
            Reads the events.telegram.raw and events.access.denied that tg-gate publishes, and answers what is no command for another \
            stage: /start, /help, /lang (the user's language), /ask (whether to ask for the form of media), and mistyped commands, \
            with a suggestion. /stop as an answer to a request or to its progress, and the Cancel button of tg-send, become \
            commands.media.cancel. /queue lists the requests that media-turns knows, and /usage tells what a user has had today. In a private chat with a bot, a message of nothing but a link becomes \
            commands.media.video_download. A stranger gets one line an hour, with the id that an admin needs. Other events are \
            forwarded unchanged.

            With a bot token, the menu of commands is set at the start, in each language, and with the admins' commands for each \
            admin. TGPIPE_TEXTS names a file with texts of your own.

            Example: tg-gate --subscribe 'commands.#' --subscribe events.telegram.raw --subscribe events.access.denied | tg-talk
            """,
        version: tgpipeVersion)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Bot") var bot: BotOptions

    @OptionGroup var administrators: AdminOptions

    @Option(
        help: ArgumentHelp(
            "A command word that another stage carries out, and that is no mistake. May be repeated.", valueName: "word"
        ))
    var known: [String] = []

    @Flag(help: "Do not answer strangers.")
    var ignoreStrangers = false

    @Flag(help: "Do not set the menu of commands.")
    var noMenu = false

    @Flag(help: "Forward the messages and denials as well.")
    var passAll = false

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let texts = try Texts.ofEnvironment()
        try await runtime.requireRedis()
        let admins = try administrators.ids().sorted()
        let talk = Talk(
            texts: texts, settings: TalkSettings(runtime: runtime),
            cancelling: Cancelling(
                runtime: runtime, texts: texts,
                key: try ButtonKey(path: "\(try runtime.directory("ask"))/key")),
            queries: Queries(runtime: runtime, texts: texts),
            knownWords: Set(known.map { $0.lowercased() }),
            answersStrangers: !ignoreStrangers, passesAll: passAll)
        let api = noMenu ? nil : try bot.apiIfConfigured(runtime)
        return try await withThrowingTaskGroup(of: ExitStatus?.self) { group in
            if let api {
                group.addTask {
                    await CommandMenu(runtime: runtime, api: api, texts: texts, admins: admins).set()
                    return nil
                }
            }
            group.addTask {
                try await runtime.filter(
                    input, output, accepting: { $0 == TelegramUpdate.type || $0 == AccessDenied.type },
                    decide: talk.decide)
            }
            defer { group.cancelAll() }
            while let status = try await group.next() {
                if let status { return status }
            }
            throw CancellationError()
        }
    }
}
