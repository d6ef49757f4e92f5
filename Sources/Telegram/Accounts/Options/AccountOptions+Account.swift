package import Options
package import Stage

extension AccountOptions {
    /// Runs `body` with the account: through the process that owns its session, or over connections of this process.
    ///
    /// - Throws: `AccountError` with the code `configuration` without a session's name, `busy` when another process uses the
    ///   session and does not share it, or another code when the session does not exist or cannot be read; the errors of `body`.
    package func withAccount<Value: Sendable>(
        _ runtime: Runtime, _ body: @escaping @Sendable (any Account) async throws -> Value
    ) async throws -> Value {
        let place = try place(runtime)
        return try await place.withAccount(connection, body)
    }

    // Swift 6.3.1 crashes in release builds when this throwing code becomes a part of the function above (splitting coroutines).
    @inline(never)
    private func place(_ runtime: Runtime) throws -> NamedSession {
        guard let name else {
            throw AccountError(.configuration, "no session: name one with --session, or set TGPIPE_SESSION")
        }
        return try NamedSession(name, runtime)
    }
}
