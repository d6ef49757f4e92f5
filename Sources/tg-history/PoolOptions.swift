import Accounts
import ArgumentParser
import Options
import Stage
import System

/// Selects the accounts of a pool.
struct PoolOptions: ParsableArguments, Sendable {
    @Option(
        name: .customLong("session"),
        help: ArgumentHelp(
            "The name of an account's session, as given to tg-session login; repeat it for several accounts. Default: the names in the variable, separated by spaces. [env: TGPIPE_SESSION]",
            valueName: "name"))
    var names: [String] = []

    @Option(
        name: .customLong("pace"),
        help: ArgumentHelp(
            "The shortest time between two calls of an account. Default: none, since Telegram demands waits itself. [env: TGPIPE_HISTORY_PACE]",
            valueName: "duration"))
    var paceFlag: Span?

    func validate() throws {
        if let repeated = names.first(where: { name in names.count { $0 == name } > 1 }) {
            throw ValidationError("--session \(repeated) is given twice: an account can be in the pool only once")
        }
    }

    /// - Throws: `ToolError` (78) for an environment variable that is no duration.
    var pace: Span? {
        get throws {
            try paceFlag ?? Settings.value("TGPIPE_HISTORY_PACE", expected: "a duration", Span.init(argument:))
        }
    }

    /// Returns the sessions, after a check that each belongs to another account.
    ///
    /// - Throws: `AccountError` for a session that does not exist or cannot be read; `ToolError` (78) for one account twice.
    func sessions(_ runtime: Runtime) throws -> [NamedSession] {
        var names = names
        if names.isEmpty {
            names = (Settings.environment("TGPIPE_SESSION") ?? "").split(separator: " ").map(String.init)
        }
        guard !names.isEmpty else {
            throw AccountError(.configuration, "no session: name one with --session, or set TGPIPE_SESSION")
        }
        var owners: [Int64: String] = [:]
        return try names.map { name in
            let session = try NamedSession(name, runtime)
            if let account = try session.store.load(name).userID, let other = owners.updateValue(name, forKey: account)
            {
                throw ToolError(
                    .configuration,
                    other == name
                        ? "TGPIPE_SESSION names '\(name)' twice: an account can be in the pool only once"
                        : "the sessions '\(other)' and '\(name)' belong to the same account (\(account)): name one of them"
                )
            }
            return session
        }
    }
}
