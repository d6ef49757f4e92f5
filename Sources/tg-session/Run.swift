import ArgumentParser
import Accounts
import JSON
import Options
import Stage
import System

/// `tg-session run NAME`
struct Run: SessionCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Own an account, and share it with other tools until SIGTERM.",
        discussion: """
            Keeps one connection to Telegram, and serves all tools that are given the same session: at the socket NAME.sock beside \
            the session's file, which is for its user only. Scripts may use it, too: lines of JSON, see docs/session.md.

            Example: tg-session run me & tg-listen --session me | tg-gate --admin 42
            """)

    @OptionGroup var common: CommonOptions
    @OptionGroup var session: SessionArgument
    @OptionGroup(title: "Reaching Telegram") var connection: ConnectionOptions

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        try await session.place(runtime).own(connection, until: runtime.shutdown)
        return .success
    }
}
