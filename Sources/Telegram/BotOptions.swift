public import ArgumentParser
import HTTP
import Stage

/// Which bot a tool speaks as, and through which server.
public struct BotOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "A file that holds the bot token. Default: TG_BOT_TOKEN from the environment.", valueName: "file"))
    public var tokenFile: String?

    @Option(help: ArgumentHelp("Bot API server. [env: TG_BOT_API_URL]", valueName: "url"))
    public var botApiUrl: String?

    public init() {}

    /// - Throws: `StageError` (78) when there is no token, or it is none.
    public func api() throws -> BotAPI {
        let text = try Settings.secret("TG_BOT_TOKEN", file: tokenFile, what: "bot token")
        guard let token = BotToken(text) else {
            throw StageError(
                .configuration, "the bot token is not of the form 123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11")
        }
        let url = botApiUrl ?? Settings.environment("TG_BOT_API_URL") ?? BotAPI.cloudURL
        guard let parsed = WebURL(url), parsed.query == nil, !parsed.hasCredentials else {
            throw StageError(.configuration, "the Bot API server's address must be an http or https URL")
        }
        return BotAPI(token: token, baseURL: url, client: HTTPClient(userAgent: "tgpipe/\(tgpipeVersion)"))
    }

    /// The same, or nil when no token is given: for tools that only may need it.
    public func apiIfConfigured() throws -> BotAPI? {
        guard tokenFile != nil || Settings.environment("TG_BOT_TOKEN") != nil else { return nil }
        return try api()
    }
}
