import JSON
import System

/// Represents the address of a Redis server, of the sentinels that know one, or of a cluster; with the login and the certificates if
/// there are any.
package struct RedisAddress: Sendable, Hashable {
    package enum Server: Sendable, Hashable {
        case unix(path: String)
        case tcp(host: String, port: Int)
        /// The primary server that sentinels know under a name.
        case sentinel([Endpoint], primary: String)
        /// A cluster, which is found through any of its nodes.
        case cluster([Endpoint])
    }

    package struct Endpoint: Sendable, Hashable {
        package let host: String
        package let port: Int

        package init(host: String, port: Int) {
            self.host = host
            self.port = port
        }
    }

    package struct Login: Sendable, Hashable {
        /// Nil for the default user.
        package let user: String?
        package let password: String
    }

    /// Holds the settings of an encrypted connection. All files are in the format PEM.
    package struct TLS: Sendable, Hashable {
        /// The file with the certificates of the authorities that this side trusts; nil for those that the system trusts.
        package var authorities: String?
        /// The file with the certificate that this side shows, and the file with its key. Either both are nil or neither is.
        package var certificate: String?
        package var key: String?
        /// The name that the server's certificate must hold; nil for the host of the address.
        package var serverName: String?
    }

    package let server: Server
    package let database: Int
    package let login: Login?
    package let tls: TLS?
    /// The login at the sentinels.
    package let sentinelLogin: Login?
    /// The number of replicas that must have each write before it counts as done.
    package let replicas: Int

    package init(
        _ server: Server, database: Int = 0, login: Login? = nil, tls: TLS? = nil, sentinelLogin: Login? = nil,
        replicas: Int = 0
    ) {
        self.server = server
        self.database = database
        self.login = login
        self.tls = tls
        self.sentinelLogin = sentinelLogin
        self.replicas = replicas
    }

    /// Is true if another server may take the place of the one that the address leads to, which then need not know it yet.
    package var mayMove: Bool {
        if case .sentinel = server { true } else { false }
    }

    /// Is true if another server takes the place of one that is lost, within seconds.
    package var hasFailOver: Bool {
        switch server {
        case .sentinel, .cluster: true
        case .tcp, .unix: false
        }
    }

    /// Returns the address of one server that belongs to this address.
    func member(_ endpoint: Endpoint) -> RedisAddress {
        RedisAddress(
            .tcp(host: endpoint.host, port: endpoint.port), database: database, login: login, tls: tls,
            replicas: replicas)
    }

    /// Returns the address of one of the sentinels.
    func sentinel(_ endpoint: Endpoint) -> RedisAddress {
        RedisAddress(.tcp(host: endpoint.host, port: endpoint.port), login: sentinelLogin, tls: tls)
    }
}

extension RedisAddress.Endpoint: CustomStringConvertible {
    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

extension RedisAddress: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The address in its written form, without passwords and options.
    package var description: String {
        let user = login?.user.map { "\($0)@" } ?? ""
        let scheme = tls == nil ? "redis" : "rediss"
        let number = database == 0 ? "" : "/\(database)"
        switch server {
        case .unix(let path):
            return (user.isEmpty ? "unix:" : "unix://\(user)") + path + (database == 0 ? "" : "?db=\(database)")
        case .tcp(let host, let port):
            return "\(scheme)://\(user)\(Endpoint(host: host, port: port))\(number)"
        case .sentinel(let sentinels, let primary):
            return "\(scheme)+sentinel://\(user)\(Self.list(sentinels))/\(primary.printable(atMost: 100))\(number)"
        case .cluster(let nodes): return "\(scheme)+cluster://\(user)\(Self.list(nodes))"
        }
    }

    private static func list(_ endpoints: [Endpoint]) -> String {
        endpoints.map(\.description).joined(separator: ",")
    }

    package var debugDescription: String { description }
    /// An empty mirror, so that `dump` does not show the password.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
