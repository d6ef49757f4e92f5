import Accounts
package import BotAPI
package import Options
package import Stage

extension SpeakerOptions {
    /// Runs `body` with the bot, or with the account, which stays connected while `body` runs.
    ///
    /// - Throws: `ToolError` (78) without a token and a session; the errors of `AccountOptions.withAccount` and of `body`.
    package func withAPI<Value: Sendable>(
        _ runtime: Runtime, _ body: @escaping @Sendable (any MessagingAPI) async throws -> Value
    ) async throws -> Value {
        guard isAccount else { return try await body(try bot.api(runtime)) }
        return try await account.withAccount(runtime) { try await body(AccountAPI($0)) }
    }

    /// Runs `body` with the bot or the account, or with nil when neither a token nor a session is given.
    package func withAPIIfConfigured<Value: Sendable>(
        _ runtime: Runtime, _ body: @escaping @Sendable ((any MessagingAPI)?) async throws -> Value
    ) async throws -> Value {
        guard isAccount else { return try await body(try bot.apiIfConfigured(runtime)) }
        return try await account.withAccount(runtime) { try await body(AccountAPI($0)) }
    }
}
