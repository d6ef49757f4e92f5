import ArgumentParser
import Envelope
import HTTP
import Stage
import Telegram

@main struct TgListen: Tool {
    static let configuration = CommandConfiguration(
        commandName: "tg-listen",
        abstract: "Emit Telegram updates as events.telegram.raw envelopes.",
        discussion: """
            Polls the Bot API and writes one envelope an update, each with an id, a new correlation id and the time of its \
            arrival. The offset moves only after the output has accepted an update, so a restart loses nothing. \
            The token comes from TG_BOT_TOKEN or --token-file.

            Example: tg-listen --bot | tg-gate --admin 42
            """,
        version: tgpipeVersion)

    @OptionGroup var common: CommonOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup var bot: BotOptions

    @Flag(name: .customLong("bot"), help: "Listen as a bot: the default, and all that this version knows.")
    var asBot = false

    @Option(help: ArgumentHelp("Keep the offset in this file instead of Redis.", valueName: "file"))
    var state: String?

    @Option(
        help: ArgumentHelp(
            "Update types to ask for, by commas: message,callback_query. Default: all but chat_member, message_reaction and message_reaction_count.",
            valueName: "types"))
    var allowedUpdates: String = ""

    @Option(help: ArgumentHelp("How long one poll waits for updates, from 1s to 50s.", valueName: "duration"))
    var pollTimeout: Span = Span(.seconds(50))

    @Flag(help: "End when no update is waiting, instead of waiting for more.")
    var once = false

    func validate() throws {
        // Telegram counts whole seconds, and with none of them the next poll would follow at once, for ever.
        guard (.seconds(1)...(.seconds(50))).contains(pollTimeout.duration) else {
            throw ValidationError("--poll-timeout must be from 1s to 50s")
        }
        let known = allowedUpdates.utf8.allSatisfy { ($0 >= 0x61 && $0 <= 0x7A) || $0 == 0x5F || $0 == 0x2C }
        guard known else { throw ValidationError("--allowed-updates takes names such as message,callback_query") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let api = try bot.api(runtime)
        let offsets: any OffsetStore =
            if let state { try FileOffset(path: state) } else {
                try await RedisOffset(runtime: runtime, botID: api.token.botID)
            }
        let emitted = output.to == "-" ? nil : LastEmitted.updateID(in: output.to, botID: api.token.botID)
        let listener = Listener(
            runtime: runtime, api: api, offsets: offsets,
            output: try await EventOutput(output, runtime: runtime),
            allowed: allowedUpdates.split(separator: ",").map(String.init),
            pollSeconds: once ? 0 : Int(pollTimeout.duration.components.seconds), emitted: emitted)
        try await listener.run(once: once)
        return .success
    }
}
