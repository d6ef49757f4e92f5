package import ArgumentParser
import Accounts
import JSON
import Options
import Payloads
import Redis
import Stage
import BotAPI
import System

/// The tool's command, for the program that contains all tools.
package let command: any AsyncParsableCommand.Type = TgListen.self

struct TgListen: Tool {
    static let configuration = CommandConfiguration(
        commandName: "tg-listen",
        abstract: "Emit Telegram updates as events.telegram.raw envelopes.",
        discussion: """
            Writes one envelope per update, each with an id, a new correlation id and the time of its arrival. The updates are \
            those of a bot, from the Bot API, or with --session those of a user's account. The position is saved only after \
            the output has accepted an update, so a restart loses nothing. A bot's token comes from TG_BOT_TOKEN or --token-file.

            In groups, a bot in BotFather's privacy mode (the default) receives only messages that begin with a slash, replies to \
            its own messages, and mentions. Turn it off with /setprivacy, and add the bot to the group again.

            Examples:
              tg-listen --bot | tg-gate --admin 42
              tg-listen --session alice --to queue:updates
              tg-listen --session alice --once | jq -r '.payload.message.text // empty'
            """,
        version: tgpipeVersion)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var bot: BotOptions
    @OptionGroup var account: AccountOptions

    @Flag(name: .customLong("bot"), help: "Listen as a bot: the default without --session.")
    var asBot = false

    @Option(
        help: ArgumentHelp("Save the offset, or an account's state, in this file instead of Redis.", valueName: "file"))
    var state: String?

    @Option(
        help: ArgumentHelp(
            "Update types to request, separated by commas: message,callback_query. Default: all but chat_member, message_reaction, message_reaction_count and (accounts) deleted_messages.",
            valueName: "types"))
    var allowedUpdates: String = ""

    @Option(
        help: ArgumentHelp("The time that one poll of a bot waits for updates, from 1s to 50s.", valueName: "duration"))
    var pollTimeout: Span = Span(.seconds(50))

    @Flag(help: "End when no update is waiting, instead of waiting for more.")
    var once = false

    @Flag(
        name: .customLong("raw-tl"), help: "Attach an account's update as Telegram sent it, as payload.tl (docs/tl.md)."
    )
    var attachesTL = false

    func validate() throws {
        // Telegram counts whole seconds; with zero, polls would follow each other without a pause.
        guard (.seconds(1)...(.seconds(50))).contains(pollTimeout.duration) else {
            throw ValidationError("--poll-timeout must be from 1s to 50s")
        }
        let known = allowedUpdates.utf8.allSatisfy { ($0 >= 0x61 && $0 <= 0x7A) || $0 == 0x5F || $0 == 0x2C }
        guard known else { throw ValidationError("--allowed-updates takes names such as message,callback_query") }
        guard !asBot || account.session == nil else { throw ValidationError("--bot and --session exclude each other") }
        guard !attachesTL || !isBot else { throw ValidationError("--raw-tl needs --session") }
    }

    private var isBot: Bool { asBot || account.name == nil }
    private var allowed: [String] { allowedUpdates.split(separator: ",").map(String.init) }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        if !once { runtime.readerWatch.noteWaiting() }
        if isBot { try await listenAsBot(runtime) } else { try await listenAsAccount(runtime) }
        return .success
    }

    private func listenAsBot(_ runtime: Runtime) async throws {
        let api = try bot.api(runtime)
        let id = api.token.botID
        let progress: any ProgressStore =
            if let state { try OffsetFile(path: state) } else {
                try await RedisProgress(
                    runtime: runtime, "\(id):offset",
                    file: try OffsetFile(path: runtime.directory("listen") + "/\(id).offset"), newer: Listener.newer)
            }
        let emitted =
            output.to == "-" ? nil : LastEmitted.updates(in: output.to, of: \.bot, id) { _ in true }.first
        let listener = Listener(
            runtime: runtime, api: api,
            output: ListenOutput(
                runtime: runtime, output: try await EventOutput(output, runtime: runtime), progress: progress),
            allowed: allowed, pollSeconds: once ? 0 : Int(pollTimeout.duration.components.seconds),
            emitted: emitted?.updateID)
        try await listener.run(once: once)
    }

    private func listenAsAccount(_ runtime: Runtime) async throws {
        try await account.withAccount(runtime) { account in
            let id = account.userID
            let progress: any ProgressStore =
                if let state { try StateFile(path: state) } else {
                    try await RedisProgress(
                        runtime: runtime, "\(id):state",
                        file: try StateFile(path: runtime.directory("listen") + "/\(id).state"),
                        newer: AccountProgress.newer)
                }
            var kept = ListenOutput(
                runtime: runtime, output: try await EventOutput(output, runtime: runtime), progress: progress)
            let file = output.to != "-" && LastEmitted.canSearch(output.to) ? output.to : nil
            kept.isCompared = file != nil
            let listener = try await AccountListener(
                account, kept, allowed: allowed, attachesTL: attachesTL, file: file)
            try await listener.run(once: once)
        }
    }
}
