package import ArgumentParser
import MTProto
import System
package import TL

/// How a tool reaches Telegram as an account, when it has to do so by itself.
package struct ConnectionOptions: ParsableArguments, Sendable {
    @Option(help: ArgumentHelp("Layer of Telegram's API: 229, 201 or 181. Default: 229.", valueName: "number"))
    package var layer: Int?

    @Option(help: ArgumentHelp("Take the API's schema from a file, as Telegram publishes it.", valueName: "file"))
    package var schema: String?

    @Option(help: ArgumentHelp("The application's number, from my.telegram.org. [env: TG_API_ID]", valueName: "number"))
    package var apiId: Int?

    @Option(
        help: ArgumentHelp(
            "A file that holds the application's hash; needed to log in. Default: TG_API_HASH from the environment.",
            valueName: "file"))
    package var apiHashFile: String?

    @Option(
        help: ArgumentHelp(
            "A file that holds a proxy's link (tg://proxy?…, tg://socks?…, socks5://…). Default: TG_PROXY from the environment.",
            valueName: "file"))
    package var proxyFile: String?

    @Option(
        help: ArgumentHelp("abridged, intermediate, padded or full; obfuscated- before it hides it.", valueName: "name")
    )
    package var transport: TransportChoice = TransportChoice(TransportSettings())

    @Flag(help: "Speak under keys that last a day only, made from the session's own.")
    package var pfs = false

    @Flag(help: "Use IPv6.")
    package var ipv6 = false

    package init() {}

    /// The schema alone, for what needs no connection.
    ///
    /// - Throws: `TLError`; `AccountError`, `configuration`.
    package func readSchema() throws -> TLSchema {
        guard let schema else { return try TLSchema(layer: layer ?? TLSchema.layers[0]) }
        return try TLSchema(text: try SmallText.read(schema, "the schema"))
    }

    /// - Throws: `AccountError`, `configuration`; `TLError`; `MTProtoError` for a proxy's link or a server's key; `ToolError`.
    package func settings() throws -> AccountSettings {
        let schema = try readSchema()
        guard let layer = layer ?? schema.layer else {
            throw AccountError(.configuration, "the schema does not say of which layer it is: give --layer")
        }
        var settings = AccountSettings(schema: schema, layer: layer, apiID: try readAPIID())
        if apiHashFile != nil || Settings.environment("TG_API_HASH") != nil {
            settings.apiHash = try Settings.secret("TG_API_HASH", file: apiHashFile, what: "api_hash")
        }
        if proxyFile != nil || Settings.environment("TG_PROXY") != nil {
            settings.proxy = try Proxy(link: try Settings.secret("TG_PROXY", file: proxyFile, what: "proxy's link"))
        }
        settings.servers = try ServerList.read(Settings.environment("TG_SERVERS") ?? "")
        if let path = Settings.environment("TG_SERVER_KEY") {
            let text = try SmallText.read(path, "the server's key (TG_SERVER_KEY)", atMost: 64 << 10)
            settings.serverKey = try ServerKey(pem: String(decoding: text, as: UTF8.self))
        }
        settings.transport = transport.settings
        (settings.usesTemporaryKeys, settings.prefersIPv6) = (pfs, ipv6)
        return settings
    }

    private func readAPIID() throws -> Int {
        if let apiId { return apiId }
        guard let text = Settings.environment("TG_API_ID") else {
            throw AccountError(
                .configuration,
                "no api_id: get one at https://my.telegram.org, and set TG_API_ID (and TG_API_HASH) in the environment")
        }
        guard let number = Int(text), number > 0 else {
            throw AccountError(.configuration, "TG_API_ID has to be a number")
        }
        return number
    }

    package func validate() throws {
        if let apiId, apiId <= 0 { throw ValidationError("--api-id must be a positive number") }
    }
}

/// How messages travel: `intermediate`, `obfuscated-padded`.
package struct TransportChoice: ExpressibleByArgument, Sendable, CustomStringConvertible {
    let settings: TransportSettings

    init(_ settings: TransportSettings) { self.settings = settings }

    package init?(argument: String) {
        let prefix = "obfuscated-"
        let isObfuscated = argument.hasPrefix(prefix)
        guard let kind = TransportKind(rawValue: isObfuscated ? String(argument.dropFirst(prefix.count)) : argument)
        else { return nil }
        settings = TransportSettings(kind, isObfuscated: isObfuscated)
    }

    package var description: String { (settings.isObfuscated ? "obfuscated-" : "") + settings.kind.rawValue }
    package var defaultValueDescription: String { description }
    package static var allValueStrings: [String] {
        TransportKind.allCases.map(\.rawValue) + TransportKind.allCases.dropLast().map { "obfuscated-\($0.rawValue)" }
    }
}
