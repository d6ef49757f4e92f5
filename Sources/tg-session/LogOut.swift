import ArgumentParser
import Accounts
import JSON
import Logging
import MTProto
import Options
import Stage
import System

/// `tg-session logout NAME`
struct LogOut: SessionCommand {
    static let configuration = CommandConfiguration(
        commandName: "logout",
        abstract: "End a session at Telegram, and delete its file.",
        discussion: "Example: tg-session logout old")

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var session: SessionArgument

    @Flag(help: "Only delete the file. The session stays valid at Telegram, and copies of the file still give access.")
    var local = false

    @OptionGroup(title: "Reaching Telegram") var connection: ConnectionOptions

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let place = try session.place(runtime)
        if !local { try await end(place, runtime) }
        try await place.remove()
        runtime.log.notice("the session '\(place.name)' is \(local ? "removed" : "logged out")")
        return .success
    }

    private func end(_ place: NamedSession, _ runtime: Runtime) async throws {
        do {
            let isDone = try await runtime.shutdown.interrupting {
                try await place.withAccount(connection) { account in
                    _ = try await account.call("auth.logOut", [:], CallOptions())
                    return true
                }
            }
            guard isDone == true else { throw CancellationError() }
        } catch let error as TelegramRPCError where error.exitStatus == .authenticationRefused {
            runtime.log.notice("Telegram had ended the session already: \(error.message)")
        }
    }
}
