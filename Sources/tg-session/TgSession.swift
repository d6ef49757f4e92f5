package import ArgumentParser
import Accounts
import Options
import Stage
import System

/// The tool's command, which the program with all tools runs.
package let command: any AsyncParsableCommand.Type = TgSession.self

struct TgSession: AsyncParsableCommand {
    static let toolName = "tg-session"

    static let configuration = CommandConfiguration(
        commandName: toolName,
        abstract:
            "Manage Telegram accounts: log in, share an account with other tools, import, export and end sessions.",
        discussion: """
            A session is a file in the state folder, readable by its owner only, whose keys give access to an account. Telegram ends \
            a session that two processes use at the same time. Therefore one process, tg-session run, owns the session, and the other \
            tools connect through it. Without an owner, a tool uses the session alone, and other tools wait for it to end.

            To log in, you need an api_id and an api_hash of your own (https://my.telegram.org) in TG_API_ID and TG_API_HASH. \
            tg-session asks for codes and passwords on the terminal; without a terminal, it reads them from standard input or files.

            Examples: tg-session login me
                      tg-session login shop --bot          (token from TG_BOT_TOKEN)
                      tg-session login me --qr
                      tg-session import me --telethon old.session
                      tg-session run me &
                      tg-session list
            """,
        version: tgpipeVersion,
        subcommands: [Run.self, LogIn.self, Import.self, Export.self, List.self, Status.self, LogOut.self])
}

/// A command of tg-session.
protocol SessionCommand: Tool {}

extension SessionCommand {
    static var name: String { TgSession.toolName }
}

/// The argument that names a session.
struct SessionArgument: ParsableArguments, Sendable {
    @Argument(help: "The session's name: letters, digits, '-', '_' and '.'.")
    var name: String

    func place(_ runtime: Runtime) throws -> NamedSession { try NamedSession(name, runtime) }
}

/// `tg-session run NAME`
struct Run: SessionCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Own an account's connection, and share it with other tools until SIGTERM.",
        discussion: """
            Keeps one connection to Telegram, and serves every tool that uses the same session, through the socket NAME.sock beside \
            the session file. Only processes of the same user can use it. Scripts can use it too, with lines of JSON: see docs/session.md.

            Example: tg-session run me & tg-listen --session me | tg-gate --admin 42
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var session: SessionArgument
    @OptionGroup(title: "Reaching Telegram") var connection: ConnectionOptions

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        try await session.place(runtime).own(connection, until: runtime.shutdown)
        return .success
    }
}
