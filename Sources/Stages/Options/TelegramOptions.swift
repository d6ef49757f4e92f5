package import ArgumentParser
import System

/// Selects the bot that a tool acts as, and the Bot API server. The library BotAPI makes its client from this.
package struct BotOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "A file that holds the bot token. Default: TG_BOT_TOKEN from the environment.", valueName: "file"))
    package var tokenFile: String?

    @Option(
        help: ArgumentHelp(
            "The Bot API server's address. Default: Telegram's own server. [env: TG_BOT_API_URL]", valueName: "url"))
    package var botApiUrl: String?

    package init() {}

    /// Is true if a flag or the environment gives a bot token.
    package var hasToken: Bool { tokenFile != nil || Settings.environment("TG_BOT_TOKEN") != nil }
}

/// Selects the account that a tool acts as. The library Accounts connects with this.
package struct AccountOptions: ParsableArguments, Sendable {
    @Option(
        help: ArgumentHelp(
            "The name of the account's session, as given to tg-session login. [env: TGPIPE_SESSION]", valueName: "name")
    )
    package var session: String?

    @OptionGroup(title: "Reaching Telegram without a running tg-session") package var connection: ConnectionOptions

    package init() {}

    /// The session's name, or nil when neither the flag nor the environment gives one.
    package var name: String? { session ?? Settings.environment("TGPIPE_SESSION") }
}

/// Describes the way to reach Telegram as an account, for a tool that connects on its own. The library Accounts makes its
/// settings from this.
package struct ConnectionOptions: ParsableArguments, Sendable {
    @Option(
        name: .customLong("layer"),
        help: ArgumentHelp(
            "The layer of Telegram's API: 229, 201 or 181. Default: 229. [env: TG_LAYER]", valueName: "number"))
    var layerFlag: Int?

    @Option(
        name: .customLong("schema"),
        help: ArgumentHelp(
            "A file that holds the API's schema in Telegram's TL notation. [env: TG_SCHEMA]", valueName: "file"))
    var schemaFlag: String?

    @Option(help: ArgumentHelp("The application's api_id, from my.telegram.org. [env: TG_API_ID]", valueName: "number"))
    package var apiId: Int?

    @Option(
        help: ArgumentHelp(
            "A file that holds the application's api_hash, which logging in needs. Default: TG_API_HASH from the "
                + "environment.", valueName: "file"))
    package var apiHashFile: String?

    @Option(
        help: ArgumentHelp(
            "A file that holds a proxy's link (tg://proxy?…, tg://socks?…, socks5://…). Default: TG_PROXY from the "
                + "environment.", valueName: "file"))
    package var proxyFile: String?

    @Option(
        name: .customLong("transport"),
        help: ArgumentHelp(
            "The transport: abridged, intermediate, padded or full. The prefix obfuscated- hides it from observers. Default: intermediate. [env: TG_TRANSPORT]",
            valueName: "name"))
    var transportFlag: TransportChoice?

    @Flag(help: "Encrypt with temporary keys that last one day (perfect forward secrecy).")
    package var pfs = false

    @Flag(help: "Use IPv6.")
    package var ipv6 = false

    package init() {}

    /// The path of the schema; nil for one of tgpipe's own.
    package var schema: String? { schemaFlag ?? Settings.environment("TG_SCHEMA") }

    /// The layer that was chosen; nil for that of the schema.
    ///
    /// - Throws: `ToolError` (78) for an environment variable that is no number.
    package var layer: Int? {
        get throws {
            try layerFlag ?? Settings.value("TG_LAYER", expected: "a number") { Int($0) }
        }
    }

    /// - Throws: `ToolError` (78) for an environment variable that names no transport.
    package var transport: TransportChoice {
        get throws {
            let names = TransportChoice.allValueStrings.joined(separator: ", ")
            return try transportFlag
                ?? Settings.value("TG_TRANSPORT", expected: "one of \(names)", TransportChoice.init(argument:))
                ?? TransportChoice(.intermediate)
        }
    }

    package func validate() throws {
        if let apiId, apiId <= 0 { throw ValidationError("--api-id must be a positive number") }
    }
}

/// Represents an MTProto transport argument: `intermediate`, `obfuscated-padded`.
package struct TransportChoice: ExpressibleByArgument, Sendable, CustomStringConvertible {
    /// Names the MTProto transports, which frame messages in different ways.
    package enum Kind: String, Sendable, CaseIterable {
        case abridged, intermediate, padded, full
    }

    package let kind: Kind
    package let isObfuscated: Bool

    package init(_ kind: Kind, isObfuscated: Bool = false) { (self.kind, self.isObfuscated) = (kind, isObfuscated) }

    package init?(argument: String) {
        let prefix = "obfuscated-"
        isObfuscated = argument.hasPrefix(prefix)
        guard let kind = Kind(rawValue: isObfuscated ? String(argument.dropFirst(prefix.count)) : argument) else {
            return nil
        }
        self.kind = kind
    }

    package var description: String { (isObfuscated ? "obfuscated-" : "") + kind.rawValue }
    package var defaultValueDescription: String { description }
    package static var allValueStrings: [String] {
        Kind.allCases.map(\.rawValue) + Kind.allCases.dropLast().map { "obfuscated-\($0.rawValue)" }
    }
}

/// Selects who a tool acts as: a bot or an account. The library AccountAPI opens the connection.
package struct SpeakerOptions: ParsableArguments, Sendable {
    @OptionGroup package var bot: BotOptions
    @OptionGroup(title: "As an account") package var account: AccountOptions

    package init() {}

    package func validate() throws {
        guard bot.tokenFile == nil || account.session == nil else {
            throw ValidationError("--token-file and --session exclude each other")
        }
    }

    /// Is true if the tool acts as an account. A session that only the environment names yields to a token file given by a flag.
    package var isAccount: Bool { bot.tokenFile == nil && account.name != nil }
}

/// Names the admins of a bot.
package struct AdminOptions: ParsableArguments, Sendable {
    @Option(help: ArgumentHelp("User id of an admin. May be repeated. [env: TG_ADMIN_ID]", valueName: "id"))
    var admin: [Int64] = []

    package init() {}

    /// Returns the ids of the flags, or else of the environment; there may be none.
    ///
    /// - Throws: `ToolError` (78) for an id that is no number.
    package func ids() throws -> Set<Int64> {
        if !admin.isEmpty { return Set(admin) }
        let words = Settings.environment("TG_ADMIN_ID")?.split { $0 == "," || $0 == " " } ?? []
        if let wrong = words.first(where: { Int64($0) == nil }) {
            throw ToolError(
                .configuration, "TG_ADMIN_ID: \(String(wrong).printable) is no user id: it must be a number")
        }
        return Set(words.compactMap { Int64($0) })
    }

    /// Returns the ids, of which there is at least one.
    ///
    /// - Throws: `ToolError` (78) as above, and without an id.
    package func required() throws -> Set<Int64> {
        let ids = try ids()
        guard !ids.isEmpty else {
            throw ToolError(.configuration, "no admin: give --admin or set TG_ADMIN_ID to your numeric user id")
        }
        return ids
    }
}
