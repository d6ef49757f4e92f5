package import ArgumentParser
package import Stage
import System

/// Which account a tool speaks as.
package struct AccountOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "The account's session, as tg-session login made it. [env: TGPIPE_SESSION]", valueName: "name"))
    package var session: String?

    @OptionGroup(title: "Reaching Telegram, when no tg-session run does") package var connection: ConnectionOptions

    package init() {}

    /// The session's name; nil when none is given.
    package var name: String? { session ?? Settings.environment("TGPIPE_SESSION") }

    /// Runs `body` with the account: through the process that owns its session, or over connections of this one.
    ///
    /// - Throws: `AccountError`: `configuration` without a session's name, `busy` when another process uses the session and does not
    ///   share it; `AccountError`, when there is no such session, or it cannot be read; what `body` throws.
    package func withAccount<Value: Sendable>(
        _ runtime: Runtime, _ body: @escaping @Sendable (any Account) async throws -> Value
    ) async throws -> Value {
        let place = try place(runtime)
        return try await place.withAccount(connection, body)
    }

    // Swift 6.3.1 crashes in release builds when what throws here becomes a part of the function above (splitting coroutines).
    @inline(never)
    private func place(_ runtime: Runtime) throws -> NamedSession {
        guard let name else {
            throw AccountError(.configuration, "no session: name one with --session, or set TGPIPE_SESSION")
        }
        return try NamedSession(name, runtime)
    }
}
