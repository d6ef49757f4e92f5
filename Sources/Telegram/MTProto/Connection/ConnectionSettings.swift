import TL

/// Configures a connection: addresses, transport, key and limits.
package struct ConnectionSettings: Sendable {
    /// The addresses of one data centre, tried in turn. An MTProxy does not need them.
    package var addresses: [ServerAddress]
    /// The data centre's number: 1 to 5, 10000 more for a test server, negative for a media server.
    package var dataCenter: Int
    /// The server keys that are trusted.
    package var serverKeys: [ServerKey] = [.telegram]
    package var transport = TransportSettings()
    package var proxy: Proxy?
    /// The description that precedes a session's first call; nil sends none, which only methods of the protocol itself permit.
    package var client: ClientDescription?
    /// The authorisation key; nil makes a new one.
    package var key: AuthKey?
    /// The salt of the last event `salt`; 0 when there was none.
    package var salt: Int64 = 0
    /// Is true if to use keys that last one day: a stolen key does not decrypt earlier traffic.
    package var usesTemporaryKeys = false
    package var wantsQuickAcks = false
    /// The time limit for connecting, until the session begins.
    package var connectTimeout: Duration = .seconds(20)
    /// The most calls that wait at once, and their bytes together.
    package var maxCalls = 4096
    package var maxCallBytes = 64 << 20
    /// The most updates that wait for the consumer, and their bytes together; beyond that they are dropped, and an event `gap` takes
    /// their place.
    package var maxUpdates = 10_000
    package var maxUpdateBytes = 16 << 20

    package init(addresses: [ServerAddress], dataCenter: Int) {
        (self.addresses, self.dataCenter) = (addresses, dataCenter)
    }
}

/// A host, which is a name or an IPv4 or IPv6 address, and a port.
package struct ServerAddress: Sendable, Hashable, CustomStringConvertible {
    package let host: String
    package let port: Int

    package init(_ host: String, _ port: Int) { (self.host, self.port) = (host, port) }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// Describes this client to Telegram before its first call, with the API layer that it uses.
package struct ClientDescription: Sendable, Equatable {
    package var layer: Int
    /// The application's number (`api_id`) from my.telegram.org.
    package var apiID: Int
    package var deviceModel: String
    package var systemVersion: String
    package var appVersion: String
    package var languageCode: String

    package init(
        layer: Int, apiID: Int, deviceModel: String, systemVersion: String, appVersion: String,
        languageCode: String = "en"
    ) {
        (self.layer, self.apiID) = (layer, apiID)
        (self.deviceModel, self.systemVersion, self.appVersion) = (deviceModel, systemVersion, appVersion)
        self.languageCode = languageCode
    }

    /// The TL bytes of `invokeWithLayer` and `initConnection`, up to where the call begins. Source: https://core.telegram.org/api/invoking
    package var bytes: [UInt8] {
        TLBytes { writer in
            writer.word(0xda9b_0d0d)
            writer.int(Int32(truncatingIfNeeded: layer))
            writer.word(0xc1cd_5ea9)
            writer.word(0)
            writer.int(Int32(truncatingIfNeeded: apiID))
            writer.string(deviceModel)
            writer.string(systemVersion)
            writer.string(appVersion)
            writer.string(languageCode)
            // No language pack: only Telegram's own applications have one.
            writer.string("")
            writer.string(languageCode)
        }
    }
}
