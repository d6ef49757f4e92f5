package import ArgumentParser
package import Accounts
package import Stage
package import BotAPI

/// Who speaks to Telegram: a bot, or an account.
package struct SpeakerOptions: ParsableArguments, Sendable {
    @OptionGroup package var bot: BotOptions
    @OptionGroup(title: "As an account") package var account: AccountOptions

    package init() {}

    package func validate() throws {
        guard bot.tokenFile == nil || account.session == nil else {
            throw ValidationError("--token-file and --session exclude each other")
        }
    }

    /// A session wins that the environment names, unless a token is given by a flag.
    private var isAccount: Bool { bot.tokenFile == nil && account.name != nil }

    /// Runs `body` with the bot, or with the account for as long as `body` takes.
    ///
    /// - Throws: `ToolError` (78) without either; what `AccountOptions.withAccount` and `body` throw.
    package func withAPI<Value: Sendable>(
        _ runtime: Runtime, _ body: @escaping @Sendable (any MessagingAPI) async throws -> Value
    ) async throws -> Value {
        guard isAccount else { return try await body(try bot.api(runtime)) }
        return try await account.withAccount(runtime) { try await body(AccountAPI($0)) }
    }

    /// The same for tools that only may need it: nil when neither is given.
    package func withAPIIfConfigured<Value: Sendable>(
        _ runtime: Runtime, _ body: @escaping @Sendable ((any MessagingAPI)?) async throws -> Value
    ) async throws -> Value {
        guard isAccount else { return try await body(try bot.apiIfConfigured(runtime)) }
        return try await account.withAccount(runtime) { try await body(AccountAPI($0)) }
    }
}
