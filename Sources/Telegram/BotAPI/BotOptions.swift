package import ArgumentParser
import HTTP
import Logging
package import Stage
import System

/// Which bot a tool speaks as, and through which server.
package struct BotOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "A file that holds the bot token. Default: TG_BOT_TOKEN from the environment.", valueName: "file"))
    package var tokenFile: String?

    @Option(help: ArgumentHelp("Bot API server. [env: TG_BOT_API_URL]", valueName: "url"))
    package var botApiUrl: String?

    package init() {}

    /// - Throws: `ToolError` (78) when there is no token, or it is none.
    package func api(_ runtime: Runtime) throws -> BotAPI {
        let text = try Settings.secret("TG_BOT_TOKEN", file: tokenFile, what: "bot token")
        guard let token = BotToken(text) else {
            throw ToolError(
                .configuration, "the bot token is not of the form 123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11")
        }
        let url = botApiUrl ?? Settings.environment("TG_BOT_API_URL") ?? BotAPI.cloudURL
        guard let parsed = WebURL(url), parsed.query == nil, !parsed.hasCredentials else {
            throw ToolError(.configuration, "the Bot API server's address must be an http or https URL")
        }
        let log = runtime.log
        let client = HTTPClient(userAgent: "tgpipe/\(tgpipeVersion)")
        return BotAPI(token: token, baseURL: url, client: client) { old, new in
            log.notice("the group \(old) has become the supergroup \(new)", metadata: ["chat": "\(old)"])
        }
    }

    /// The same, or nil when no token is given: for tools that only may need it.
    package func apiIfConfigured(_ runtime: Runtime) throws -> BotAPI? {
        guard tokenFile != nil || Settings.environment("TG_BOT_TOKEN") != nil else { return nil }
        return try api(runtime)
    }
}
