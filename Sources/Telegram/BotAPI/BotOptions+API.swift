import HTTP
import Logging
package import Options
package import Stage
import System

extension BotOptions {
    /// Makes a client of the Bot API. It sends nothing yet.
    ///
    /// - Throws: `ToolError` (78) when there is no token, when it is malformed, or when the server's address is no URL.
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
            log.notice("the group \(old) has become the supergroup \(new)", metadata: ["chat": .stringConvertible(old)])
        }
    }

    /// Makes a client of the Bot API, or returns nil when no token is given.
    ///
    /// - Throws: `ToolError` (78) as `api`.
    package func apiIfConfigured(_ runtime: Runtime) throws -> BotAPI? { hasToken ? try api(runtime) : nil }
}
