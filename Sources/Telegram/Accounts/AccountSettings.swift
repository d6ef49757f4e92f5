import Glibc
package import MTProto
import System
package import TL

/// The settings for this process's own connections to Telegram.
package struct AccountSettings: Sendable {
    package var schema: TLSchema
    /// The layer to announce to Telegram.
    package var layer: Int
    /// The application's number from my.telegram.org.
    package var apiID: Int
    /// The application's hash from my.telegram.org; only a login needs it. Secret.
    package var apiHash: String?
    package var transport = TransportSettings()
    package var proxy: Proxy?
    /// Addresses by data centre, used instead of Telegram's.
    package var servers: [Int: [ServerAddress]] = [:]
    /// The server's public key; nil for Telegram's own.
    package var serverKey: ServerKey?
    package var usesTemporaryKeys = false
    package var prefersIPv6 = false

    package init(schema: TLSchema, layer: Int, apiID: Int, apiHash: String? = nil) {
        (self.schema, self.layer, self.apiID, self.apiHash) = (schema, layer, apiID, apiHash)
    }

    /// Returns the settings for a connection to a data centre, with the session's key for it.
    ///
    /// - Parameter known: the data centre's addresses according to the servers.
    /// - Throws: `AccountError`, `configuration`, if other servers than Telegram's are given, and none for this data centre.
    func connection(
        to dataCenter: Int, of session: AccountSession, known: [ServerAddress]
    ) throws(AccountError) -> ConnectionSettings {
        let own = session.addresses(of: dataCenter, isIPv6: prefersIPv6)
        let addresses = servers.isEmpty ? (known + own).withoutRepetitions : servers[dataCenter] ?? known
        guard servers.isEmpty || !addresses.isEmpty else {
            throw AccountError(
                .configuration, "TG_SERVERS has no address of data centre \(dataCenter), which the account needs")
        }
        let number = session.isTest ? dataCenter + 10_000 : dataCenter
        var settings = ConnectionSettings(addresses: addresses, dataCenter: number)
        settings.serverKeys = [serverKey(of: session)]
        (settings.transport, settings.proxy) = (transport, proxy)
        settings.client = AccountSettings.description(layer: layer, apiID: apiID)
        settings.key = session.keys[dataCenter]
        settings.salt = session.salts[dataCenter] ?? 0
        settings.usesTemporaryKeys = usesTemporaryKeys
        return settings
    }

    /// Returns the public key of the servers that a session is used with.
    func serverKey(of session: AccountSession) -> ServerKey { serverKey ?? .own(isTest: session.isTest) }

    /// The data centre at which a login begins.
    var firstDataCenter: Int { servers.isEmpty || servers[2] != nil ? 2 : servers.keys.min() ?? 2 }

    /// Refuses a session of other servers: its keys mean nothing to these, and its account is another one.
    ///
    /// - Throws: `AccountError`, `configuration`.
    func check(_ session: AccountSession, name: String) throws(AccountError) {
        guard let known = session.serverKey, known != serverKey(of: session).fingerprint else { return }
        let isTelegram = known == ServerKey.own(isTest: session.isTest).fingerprint
        throw AccountError(
            .configuration,
            "the session '\(name)' \(isTelegram ? "is of Telegram's servers: unset TG_SERVERS and TG_SERVER_KEY" : "is of other servers: set TG_SERVERS and TG_SERVER_KEY to theirs")"
        )
    }

    private static func description(layer: Int, apiID: Int) -> ClientDescription {
        var system = utsname()
        uname(&system)
        let name = withUnsafeBytes(of: &system.sysname) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        let release = withUnsafeBytes(of: &system.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return ClientDescription(
            layer: layer, apiID: apiID, deviceModel: "tgpipe", systemVersion: "\(name) \(release)",
            appVersion: tgpipeVersion)
    }
}

extension ServerKey {
    /// Returns the key of Telegram's own servers.
    static func own(isTest: Bool) -> ServerKey { isTest ? .telegramTest : .telegram }
}

extension [ServerAddress] {
    fileprivate var withoutRepetitions: [ServerAddress] {
        reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }
}
