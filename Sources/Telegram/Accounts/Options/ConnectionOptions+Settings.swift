import Glibc
package import MTProto
package import Options
import System
package import TL

extension ConnectionOptions {
    /// Reads the schema, which needs no connection.
    ///
    /// - Throws: `TLError`; `AccountError` with the code `configuration`.
    package func readSchema() throws -> TLSchema {
        guard let schema else { return try TLSchema.shared(layer: try layer ?? TLSchema.layers[0]) }
        return try TLSchema(text: try SmallText.read(schema, "the schema"))
    }

    /// Makes a client's settings from the arguments and the environment.
    ///
    /// - Throws: `AccountError` with the code `configuration`; `TLError`; `MTProtoError` for a proxy's link or a server's key;
    ///   `ToolError` (78) for a secret that cannot be read.
    package func settings() throws -> AccountSettings {
        let schema = try readSchema()
        guard let layer = try layer ?? schema.layer else {
            throw AccountError(.configuration, "the schema does not say of which layer it is: give --layer")
        }
        var settings = AccountSettings(schema: schema, layer: layer, apiID: try readAPIID())
        if apiHashFile != nil || Settings.environment("TG_API_HASH") != nil {
            settings.apiHash = try Settings.secret("TG_API_HASH", file: apiHashFile, what: "api_hash")
        }
        if proxyFile != nil || Settings.environment("TG_PROXY") != nil {
            settings.proxy = try Proxy(link: try Settings.secret("TG_PROXY", file: proxyFile, what: "proxy's link"))
        }
        settings.servers = try readServers()
        if let path = Settings.environment("TG_SERVER_KEY") {
            let text = try SmallText.read(path, "the server's key (TG_SERVER_KEY)", atMost: 64 << 10)
            settings.serverKey = try ServerKey(pem: String(decoding: text, as: UTF8.self))
        }
        settings.transport = TransportSettings(try transport)
        (settings.usesTemporaryKeys, settings.prefersIPv6) = (pfs, ipv6)
        return settings
    }

    /// Returns the addresses by data centre that are used instead of Telegram's; none if TG_SERVERS is not set.
    ///
    /// - Throws: `AccountError`, `configuration`.
    package func readServers() throws -> [Int: [ServerAddress]] {
        try ServerList.read(Settings.environment("TG_SERVERS") ?? "")
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

/// `2=127.0.0.1:4430 3=[::1]:4431`: addresses by data centre, for test servers.
enum ServerList {
    /// - Throws: `AccountError`, `configuration`.
    static func read(_ text: String) throws(AccountError) -> [Int: [ServerAddress]] {
        var servers: [Int: [ServerAddress]] = [:]
        for word in text.split(whereSeparator: { $0.isWhitespace || $0 == "," }) {
            let parts = word.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, let number = Int(parts[0]), (1...1000).contains(number),
                let address = address(parts[1])
            else {
                throw AccountError(.configuration, "TG_SERVERS has to be like '2=127.0.0.1:4430 3=[::1]:4431'")
            }
            servers[number, default: []].append(address)
        }
        return servers
    }

    private static func address(_ text: Substring) -> ServerAddress? {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0
        else { return nil }
        let host = text[..<colon]
        let name = host.hasPrefix("[") && host.hasSuffix("]") ? host.dropFirst().dropLast() : host
        return name.isEmpty ? nil : ServerAddress(String(name), Int(port))
    }
}

/// The whole of a text file that somebody named.
enum SmallText {
    /// - Throws: `AccountError`, `configuration`, with `what` in its words.
    static func read(_ path: String, _ what: String, atMost maxBytes: Int = 16 << 20) throws(AccountError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure(path, what) }
        defer { close(descriptor) }
        var text: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        while text.count <= maxBytes {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw failure(path, what) }
            if count == 0 { return text }
            text += buffer.prefix(count)
        }
        throw AccountError(.configuration, "\(path) is too long for \(what)")
    }

    private static func failure(_ path: String, _ what: String) -> AccountError {
        AccountError(.configuration, "unable to read \(what) from \(path): \(String(cString: strerror(errno)))")
    }
}
