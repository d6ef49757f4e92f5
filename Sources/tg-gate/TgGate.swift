package import ArgumentParser
import Envelope
import Options
import Payloads
import Stage
import System
import Texts

/// The tool's command, for the program that contains all tools.
package let command: any AsyncParsableCommand.Type = TgGate.self

struct TgGate: Tool {
    static let configuration = CommandConfiguration(
        commandName: "tg-gate",
        abstract: "Drop messages of unauthorised users, and turn command words into command events.",
        discussion: """
            Reads events.telegram.raw. The admin, blessed users and users in graced chats are allowed; their commands become events \
            with actor, role and origin attached, and all other messages are dropped. The admin changes the rules in the chat: \
            .grace, .bless, .smite, .hammer and their opposites; .whoami shows users their own status. \
            Events of other types are forwarded unchanged.

            In groups, a bot in BotFather's privacy mode (the default) receives only messages that begin with a slash, replies to \
            its own messages, and mentions: no .vdl, no .whoami. Turn it off with /setprivacy, and add the bot to the group again.

            Example: tg-listen --bot | tg-gate --admin 42 | media-fetch | blob-put | tg-send
            """,
        version: tgpipeVersion)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var input: InputOptions
    @OptionGroup var output: OutputOptions
    @OptionGroup(title: "Looking up names through an account") var account: AccountOptions

    @OptionGroup var administrators: AdminOptions

    @Option(
        name: .customLong("command"),
        help: ArgumentHelp(
            "Add or change a command word: .vdl=commands.media.video_download. An empty type removes the word. May be repeated.",
            valueName: "word=type"))
    var commands: [CommandWord] = []

    @Option(
        help: ArgumentHelp(
            "Publish only events of these types. May be repeated. Default: commands.#",
            valueName: "pattern"))
    var subscribe: [TopicPattern] = []

    @Flag(help: "Publish all events: raw events of allowed users, denials, and changes of access rules.")
    var passAll = false

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        try await runtime.requireRedis()
        let rules = AccessRules(runtime: runtime)
        let gate = Gate(
            runtime: runtime, admins: try administrators.required(), table: CommandTable(changes: commands),
            rules: rules,
            names: NameLookup(runtime: runtime, account: account, rules: rules), texts: try Texts.ofEnvironment(),
            published: passAll ? TopicPattern.everything : subscribe.isEmpty ? TopicPattern.commands : subscribe)
        let accepts: @Sendable (String) -> Bool = { $0 == TelegramUpdate.type }
        guard gate.readsPlainEvents else {
            return try await runtime.filter(input, output, accepting: accepts, decide: gate.decide)
        }
        let reader = PlainEventReader(admins: gate.admins)
        return try await runtime.filter(
            input, output, reading: EventHeadReader(fields: []), accepting: accepts,
            ask: { heads in gate.ask(heads, reader) })
    }
}
