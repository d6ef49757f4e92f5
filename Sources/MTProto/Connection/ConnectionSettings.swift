/// Where and how to connect, and with what key.
public struct ConnectionSettings: Sendable {
    /// Of one data centre; tried in turn. Not used with an MTProxy, which knows where it is.
    public var addresses: [ServerAddress]
    /// 1 to 5; 10000 more for a test server; negative for one that serves media.
    public var dataCenter: Int
    /// The server's keys that are trusted.
    public var serverKeys: [ServerKey] = [.telegram]
    public var transport = TransportSettings()
    public var proxy: Proxy?
    /// Told before the first call of a session; nil: never, which only the methods of the protocol itself do without.
    public var client: ClientDescription?
    /// The authorization; nil makes a new one.
    public var key: AuthKey?
    /// The number that the server wants in messages, as the event `salt` told it; 0 when it is not known.
    public var salt: Int64 = 0
    /// Speak under keys that last a day only: who steals one cannot read what was said before.
    public var usesTemporaryKeys = false
    public var wantsQuickAcks = false
    /// For the way to the server, until the session begins.
    public var patience: Duration = .seconds(20)
    /// Calls that wait at once, and their bytes.
    public var maxCalls = 4096
    public var maxCallBytes = 64 << 20
    /// Updates that nobody has taken yet, and their bytes; beyond, they are dropped and an event `gap` takes their place.
    public var maxUpdates = 10_000
    public var maxUpdateBytes = 16 << 20

    public init(addresses: [ServerAddress], dataCenter: Int) {
        (self.addresses, self.dataCenter) = (addresses, dataCenter)
    }
}

/// A name, or an address of IPv4 or IPv6, and a port.
public struct ServerAddress: Sendable, Hashable, CustomStringConvertible {
    public let host: String
    public let port: Int

    public init(_ host: String, _ port: Int) { (self.host, self.port) = (host, port) }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// What stands between.
public enum Proxy: Sendable, Equatable {
    case socks5(ServerAddress, user: String?, password: String?)
    case mtproxy(ServerAddress, ProxySecret)

    public var address: ServerAddress {
        switch self {
        case .socks5(let address, _, _), .mtproxy(let address, _): address
        }
    }

    var secret: ProxySecret? {
        if case .mtproxy(_, let secret) = self { secret } else { nil }
    }
}
