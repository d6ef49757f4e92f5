package import ArgumentParser
import Accounts
import Stage
import System

/// The tool, as the program that holds all tools runs it.
package let command: any AsyncParsableCommand.Type = TgSession.self

struct TgSession: AsyncParsableCommand {
    static let toolName = "tg-session"

    static let configuration = CommandConfiguration(
        commandName: toolName,
        abstract: "Accounts of Telegram: log in, share one with other tools, take sessions over, end them.",
        discussion: """
            A session is what it takes to be an account: a file, readable for its owner only, in the folder for state. Telegram ends \
            one that is used twice at the same time; so one process uses it, and the others speak through that: tg-session run. \
            Without it, a tool uses the session by itself, and others wait for its end.

            Logging in takes an api_id and an api_hash of your own (https://my.telegram.org), from TG_API_ID and TG_API_HASH. Codes \
            and passwords are asked for on the terminal; without one, they are lines of standard input, or in files.

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

/// Which session.
struct SessionArgument: ParsableArguments, Sendable {
    @Argument(help: "The session's name: letters, digits, '-', '_' and '.'.")
    var name: String

    func place(_ runtime: Runtime) throws -> NamedSession { try NamedSession(name, runtime) }
}
