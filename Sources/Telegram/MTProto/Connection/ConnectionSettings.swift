/// Where and how to connect, and with what key.
package struct ConnectionSettings: Sendable {
    /// Of one data centre; tried in turn. Not used with an MTProxy, which knows where it is.
    package var addresses: [ServerAddress]
    /// 1 to 5; 10000 more for a test server; negative for one that serves media.
    package var dataCenter: Int
    /// The server's keys that are trusted.
    package var serverKeys: [ServerKey] = [.telegram]
    package var transport = TransportSettings()
    package var proxy: Proxy?
    /// Told before the first call of a session; nil: never, which only the methods of the protocol itself do without.
    package var client: ClientDescription?
    /// The authorization; nil makes a new one.
    package var key: AuthKey?
    /// The number that the server wants in messages, as the event `salt` told it; 0 when it is not known.
    package var salt: Int64 = 0
    /// Speak under keys that last a day only: who steals one cannot read what was said before.
    package var usesTemporaryKeys = false
    package var wantsQuickAcks = false
    /// For the way to the server, until the session begins.
    package var patience: Duration = .seconds(20)
    /// Calls that wait at once, and their bytes.
    package var maxCalls = 4096
    package var maxCallBytes = 64 << 20
    /// Updates that nobody has taken yet, and their bytes; beyond, they are dropped and an event `gap` takes their place.
    package var maxUpdates = 10_000
    package var maxUpdateBytes = 16 << 20

    package init(addresses: [ServerAddress], dataCenter: Int) {
        (self.addresses, self.dataCenter) = (addresses, dataCenter)
    }
}

/// A name, or an address of IPv4 or IPv6, and a port.
package struct ServerAddress: Sendable, Hashable, CustomStringConvertible {
    package let host: String
    package let port: Int

    package init(_ host: String, _ port: Int) { (self.host, self.port) = (host, port) }

    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// What stands between.
package enum Proxy: Sendable, Equatable {
    case socks5(ServerAddress, user: String?, password: String?)
    case mtproxy(ServerAddress, ProxySecret)

    package var address: ServerAddress {
        switch self {
        case .socks5(let address, _, _), .mtproxy(let address, _): address
        }
    }

    var secret: ProxySecret? {
        if case .mtproxy(_, let secret) = self { secret } else { nil }
    }
}
