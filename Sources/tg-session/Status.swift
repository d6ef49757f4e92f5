import ArgumentParser
import Accounts
import JSON
import Options
import Stage
import System

/// `tg-session status NAME`
struct Status: SessionCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Print a session's state as JSON; with --check, ask Telegram whether the session is valid.",
        discussion: "Example: tg-session status me --check && echo logged in")

    @OptionGroup(title: "Log, state and Redis") var common: CommonOptions
    @OptionGroup var session: SessionArgument

    @Flag(help: "Ask Telegram whether the session is logged in; the exit status is 77 if it is not.")
    var check = false

    @OptionGroup(title: "Reaching Telegram") var connection: ConnectionOptions

    func run(_ runtime: Runtime) async throws -> ExitStatus {
        let place = try session.place(runtime)
        _ = try place.store.load(place.name)
        if check { try await ask(place, runtime) }
        let output = try await EventOutput(endpoint: "-", shutdown: runtime.shutdown)
        var status = SessionSummary(place).json.object ?? [:]
        if place.isShared { status["owner"] = try await place.status() }
        try await output.write(JSON.object(status).bytes + [UInt8(ascii: "\n")])
        return .success
    }

    private func ask(_ place: NamedSession, _ runtime: Runtime) async throws {
        let isDone = try await runtime.shutdown.interrupting {
            try await place.withAccount(connection) { account in
                var options = CallOptions()
                options.deadline = .seconds(30)
                _ = try await account.call("users.getUsers", ["id": .array([.object(["_": "inputUserSelf"])])], options)
                return true
            }
        }
        guard isDone == true else { throw CancellationError() }
    }
}
