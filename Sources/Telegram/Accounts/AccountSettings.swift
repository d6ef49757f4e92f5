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
    /// - Parameter known: the data centre's addresses according to Telegram.
    func connection(to dataCenter: Int, of session: AccountSession, known: [ServerAddress]) -> ConnectionSettings {
        let addresses =
            servers[dataCenter] ?? (known + session.addresses(of: dataCenter, isIPv6: prefersIPv6)).withoutRepetitions
        let number = session.isTest ? dataCenter + 10_000 : dataCenter
        var settings = ConnectionSettings(addresses: addresses, dataCenter: number)
        settings.serverKeys = [serverKey ?? (session.isTest ? .telegramTest : .telegram)]
        (settings.transport, settings.proxy) = (transport, proxy)
        settings.client = AccountSettings.description(layer: layer, apiID: apiID)
        settings.key = session.keys[dataCenter]
        settings.salt = session.salts[dataCenter] ?? 0
        settings.usesTemporaryKeys = usesTemporaryKeys
        return settings
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

extension [ServerAddress] {
    fileprivate var withoutRepetitions: [ServerAddress] {
        reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }
}
