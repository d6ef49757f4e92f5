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
        abstract: "Write a session as a string for Telethon or Pyrogram.",
        discussion: """
            The string gives full access to the account. It is written to standard output, and to a terminal only with --yes. Do not \
            use the session in both places at the same time.

            Example: (umask 077; tg-session export me --telethon > secret)
            """)

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var session: SessionArgument

    @Flag(help: "Write a Telethon string.")
    var telethon = false

    @Flag(help: "Write a string for Pyrogram, Hydrogram and Kurigram.")
    var pyrogram = false

    @Flag(help: "Write the string even if standard output is a terminal.")
    var yes = false

    @OptionGroup(title: "For Pyrogram, whose sessions contain the api_id") var connection: ConnectionOptions

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
        let servers = try connection.readServers()
        let text =
            telethon
            ? kept.telethonString(servers: servers)
            : kept.pyrogramString(apiID: try connection.settings().apiID)
        guard let text else {
            throw ToolError(
                .configuration,
                "the session '\(place.name)' cannot be written in this form: \(telethon ? "its server's IP address is not known; TG_SERVERS may give it" : "its account is not known yet; run tg-session status \(place.name) --check")"
            )
        }
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        try await output.write(Array("\(text)\n".utf8))
        if pyrogram, !servers.isEmpty {
            runtime.log.warning(
                "the string contains no address: programs that read it connect to Telegram's own servers, and not to those of TG_SERVERS"
            )
        }
        if let user = place.user {
            runtime.log.warning("process \(user) uses the session now: stop it before you use the session elsewhere")
        }
        return .success
    }
}
