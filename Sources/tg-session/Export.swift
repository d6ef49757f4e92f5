import Accounts
import ArgumentParser
import Glibc
import Logging
import Options
import Stage
import System

/// `tg-session export NAME`
struct Export: SessionCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write a session as a string that Telethon or Pyrogram takes.",
        discussion: """
            Whoever has the string is the account. It goes to standard output, and to a terminal only with --yes. The session must \
            not be used in both places at the same time.

            Example: (umask 077; tg-session export me --telethon > secret)
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var session: SessionArgument

    @Flag(help: "In the form of Telethon.")
    var telethon = false

    @Flag(help: "In the form of Pyrogram, Hydrogram and Kurigram.")
    var pyrogram = false

    @Flag(help: "Also when standard output is a terminal.")
    var yes = false

    @OptionGroup(title: "For Pyrogram, whose sessions hold the application's number") var connection: ConnectionOptions

    func validate() throws {
        guard telethon != pyrogram else { throw ValidationError("give one of --telethon and --pyrogram") }
    }

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let place = try session.place(runtime)
        let kept = try place.store.load(place.name)
        guard yes || isatty(STDOUT_FILENO) == 0 else {
            throw ToolError(
                .usage, "the session would be shown on the terminal: redirect standard output, or give --yes")
        }
        let text = telethon ? kept.telethonString : kept.pyrogramString(apiID: try connection.settings().apiID)
        guard let text else {
            throw ToolError(
                .configuration,
                "the session '\(place.name)' cannot be written in that form: \(telethon ? "its address is a name" : "who it is, is not known yet (tg-session status \(place.name) --check)")"
            )
        }
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        try await output.write(Array("\(text)\n".utf8))
        if let user = place.user {
            runtime.log.warning("process \(user) uses the session now: end it before the session is used elsewhere")
        }
        return .success
    }
}
