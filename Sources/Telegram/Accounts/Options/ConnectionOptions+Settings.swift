import MTProto
package import Options
import System
package import TL

extension ConnectionOptions {
    /// Reads the schema, which needs no connection.
    ///
    /// - Throws: `TLError`; `AccountError` with the code `configuration`.
    package func readSchema() throws -> TLSchema {
        guard let schema else { return try TLSchema(layer: layer ?? TLSchema.layers[0]) }
        return try TLSchema(text: try SmallText.read(schema, "the schema"))
    }

    /// Makes a client's settings from the arguments and the environment.
    ///
    /// - Throws: `AccountError` with the code `configuration`; `TLError`; `MTProtoError` for a proxy's link or a server's key;
    ///   `ToolError` (78) for a secret that cannot be read.
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
        settings.transport = TransportSettings(transport)
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
}

extension TransportSettings {
    init(_ choice: TransportChoice) {
        let kind: TransportKind =
            switch choice.kind {
            case .abridged: .abridged
            case .intermediate: .intermediate
            case .padded: .padded
            case .full: .full
            }
        self.init(kind, isObfuscated: choice.isObfuscated)
    }
}
