import JSON

/// Represents the address of a Redis server.
package enum RedisAddress: Sendable, Hashable {
    case unix(path: String, database: Int)
    case tcp(host: String, port: Int, database: Int, user: String?, password: String?)

    /// The longest path that a Unix socket address can hold.
    static let longestSocketPath = 107

    /// Reads `unix:/path`, `/path`, `unix:/path?db=1`, or `redis://[user[:password]@]host[:port][/db]`.
    ///
    /// User and password may be percent-encoded; an IPv6 host stands in brackets.
    /// - Throws: `.configuration`, in words that do not repeat the text, which may hold a password.
    package init(parsing text: String) throws(RedisError) {
        if text.utf8.contains(where: { $0 < 32 || $0 == 127 }) {
            throw RedisError(.configuration, "a Redis address cannot hold control characters")
        } else if text.hasPrefix("unix:") {
            self = try Self.socket(text.dropFirst(5))
        } else if text.hasPrefix("/") {
            self = try Self.socket(text[...])
        } else if text.hasPrefix("redis://") {
            self = try Self.network(text.dropFirst(8))
        } else if text.hasPrefix("rediss://") {
            throw RedisError(
                .configuration,
                "rediss:// is not supported: use a Unix socket, redis://, or a TLS tunnel such as stunnel")
        } else {
            throw RedisError(
                .configuration, "not a Redis address: use unix:/path or redis://[user:password@]host[:port][/database]")
        }
    }

    private static func socket(_ text: Substring) throws(RedisError) -> RedisAddress {
        let parts = text.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        var path = parts[0]
        if path.hasPrefix("///") { path = path.dropFirst(2) }
        guard path.hasPrefix("/") else {
            throw RedisError(.configuration, "a Redis socket needs an absolute path, such as unix:/run/redis.sock")
        }
        try checkLength(of: String(path))
        guard parts.count == 2 else { return .unix(path: String(path), database: 0) }
        guard parts[1].hasPrefix("db=") else {
            throw RedisError(.configuration, "a Redis socket's only option is ?db=NUMBER")
        }
        return .unix(path: String(path), database: try database(parts[1].dropFirst(3)))
    }

    static func checkLength(of path: String) throws(RedisError) {
        guard path.utf8.count <= longestSocketPath else {
            throw RedisError(
                .configuration,
                "the path of the Redis socket has \(path.utf8.count) bytes, more than the \(longestSocketPath)"
                    + " that the system allows: \(path.singleLine)")
        }
    }

    private static func network(_ text: Substring) throws(RedisError) -> RedisAddress {
        var rest = text
        var user: String?
        var password: String?
        if let at = rest.lastIndex(of: "@") {
            (user, password) = try credentials(rest[..<at])
            rest = rest[rest.index(after: at)...]
        }
        let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let (host, port) = try endpoint(parts[0])
        let number = parts.count == 2 && !parts[1].isEmpty ? try database(parts[1]) : 0
        return .tcp(host: host, port: port, database: number, user: user, password: password)
    }

    private static func credentials(_ text: Substring) throws(RedisError) -> (String?, String?) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let user = strictlyPercentDecoded(parts[0]),
            let password = strictlyPercentDecoded(parts[1]), !password.isEmpty
        else {
            throw RedisError(.configuration, "a Redis address with a user needs user:password@, percent-encoded")
        }
        return (user.isEmpty ? nil : user, password)
    }

    private static func endpoint(_ text: Substring) throws(RedisError) -> (String, Int) {
        var host = text
        var port: Substring?
        if text.hasPrefix("["), let end = text.firstIndex(of: "]") {
            host = text[text.index(after: text.startIndex)..<end]
            let after = text[text.index(after: end)...]
            guard after.isEmpty || after.hasPrefix(":") else { throw badEndpoint }
            port = after.isEmpty ? nil : after.dropFirst()
        } else if let colon = text.firstIndex(of: ":") {
            host = text[..<colon]
            port = text[text.index(after: colon)...]
        }
        guard !host.isEmpty else { throw badEndpoint }
        guard let port else { return (String(host), 6379) }
        guard let number = Int(port), (1...65535).contains(number) else { throw badEndpoint }
        return (String(host), number)
    }

    private static var badEndpoint: RedisError {
        RedisError(.configuration, "a Redis address needs a host and, after a colon, a port from 1 to 65535")
    }

    private static func database(_ text: Substring) throws(RedisError) -> Int {
        guard let number = Int(text), (0...65535).contains(number) else {
            throw RedisError(.configuration, "a Redis database is a number, 0 in most cases")
        }
        return number
    }
}

extension RedisAddress: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    package var database: Int {
        switch self {
        case .unix(_, let database): database
        case .tcp(_, _, let database, _, _): database
        }
    }

    /// The address in its written form, without the password.
    package var description: String {
        switch self {
        case .unix(let path, let database):
            return "unix:\(path)" + (database == 0 ? "" : "?db=\(database)")
        case .tcp(let host, let port, let database, let user, _):
            let name = host.contains(":") ? "[\(host)]" : host
            return "redis://" + (user.map { "\($0)@" } ?? "") + "\(name):\(port)"
                + (database == 0 ? "" : "/\(database)")
        }
    }

    package var debugDescription: String { description }
    /// An empty mirror, so that `dump` does not show the password.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
