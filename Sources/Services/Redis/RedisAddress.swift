import System
import JSON

/// Represents the address of a Redis server, with the login if there is one.
package struct RedisAddress: Sendable, Hashable {
    package enum Server: Sendable, Hashable {
        case unix(path: String)
        case tcp(host: String, port: Int)
    }

    package struct Login: Sendable, Hashable {
        /// Nil for the default user.
        package let user: String?
        package let password: String
    }

    package let server: Server
    package let database: Int
    package let login: Login?

    /// The longest path that a Unix socket address can hold.
    static let longestSocketPath = 107

    package init(_ server: Server, database: Int = 0, login: Login? = nil) {
        self.server = server
        self.database = database
        self.login = login
    }

    /// Reads `/path`, `unix:/path[?db=1]`, `unix://[user]:password@/path[?db=1]`, or
    /// `redis://[[user]:password@]host[:port][/db]`.
    ///
    /// User and password may be percent-encoded; an IPv6 host stands in brackets.
    /// - Throws: `.configuration`, in words that do not repeat the text, which may hold a password.
    package init(parsing text: String) throws(RedisError) {
        if text.utf8.contains(where: { $0 < 32 || $0 == 127 }) {
            throw RedisError(.configuration, "a Redis address cannot hold control characters")
        } else if text.hasPrefix("unix:") {
            try self.init(socket: text.dropFirst(5))
        } else if text.hasPrefix("/") {
            try self.init(socket: text[...])
        } else if text.hasPrefix("redis://") {
            try self.init(network: text.dropFirst(8))
        } else if text.hasPrefix("rediss://") {
            throw RedisError(
                .configuration,
                "rediss:// is not supported: use a Unix socket, redis://, or a TLS tunnel such as stunnel")
        } else {
            // A word is most likely a host; anything else may hold a password, and is not repeated.
            let isHost = text.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x2D...0x39).contains($0) && $0 != 0x2F
            }
            throw RedisError(
                .configuration,
                "not a Redis address: use unix:/path or redis://[user:password@]host[:port][/database]"
                    + (isHost && !text.isEmpty ? "; did you mean redis://\(text)?" : ""))
        }
    }

    private init(socket text: Substring) throws(RedisError) {
        var rest = text.hasPrefix("//") ? text.dropFirst(2) : text
        var login: Login?
        // A path may hold @, so only text before the path is a login.
        if !rest.hasPrefix("/"), let at = rest.firstRange(of: "@/") {
            login = try RedisAddress.login(rest[..<at.lowerBound])
            rest = rest[rest.index(before: at.upperBound)...]
        }
        let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let path = String(parts[0])
        guard path.hasPrefix("/") else {
            throw RedisError(.configuration, "a Redis socket needs an absolute path, such as unix:/run/redis.sock")
        }
        try RedisAddress.checkLength(of: path)
        guard parts.count == 2 else {
            self.init(.unix(path: path), login: login)
            return
        }
        guard parts[1].hasPrefix("db=") else {
            throw RedisError(.configuration, "a Redis socket's only option is ?db=NUMBER")
        }
        self.init(.unix(path: path), database: try RedisAddress.database(parts[1].dropFirst(3)), login: login)
    }

    static func checkLength(of path: String) throws(RedisError) {
        guard path.utf8.count <= longestSocketPath else {
            throw RedisError(
                .configuration,
                "the path of the Redis socket has \(path.utf8.count) bytes, more than the \(longestSocketPath)"
                    + " that the system allows: \(path.printable(atMost: 300))")
        }
    }

    private init(network text: Substring) throws(RedisError) {
        var rest = text
        var login: Login?
        if let at = rest.lastIndex(of: "@") {
            login = try RedisAddress.login(rest[..<at])
            rest = rest[rest.index(after: at)...]
        }
        let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let (host, port) = try RedisAddress.endpoint(parts[0])
        let number = parts.count == 2 && !parts[1].isEmpty ? try RedisAddress.database(parts[1]) : 0
        self.init(.tcp(host: host, port: port), database: number, login: login)
    }

    private static func login(_ text: Substring) throws(RedisError) -> Login {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let user = strictlyPercentDecoded(parts[0]),
            let password = strictlyPercentDecoded(parts[1]), !password.isEmpty
        else {
            throw RedisError(.configuration, "a Redis address with a user needs user:password@, percent-encoded")
        }
        KnownSecrets.remember(password)
        return Login(user: user.isEmpty ? nil : user, password: password)
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
    /// The address in its written form, without the password.
    package var description: String {
        let user = login?.user.map { "\($0)@" } ?? ""
        switch server {
        case .unix(let path):
            return (user.isEmpty ? "unix:" : "unix://\(user)") + path + (database == 0 ? "" : "?db=\(database)")
        case .tcp(let host, let port):
            let name = host.contains(":") ? "[\(host)]" : host
            return "redis://\(user)\(name):\(port)" + (database == 0 ? "" : "/\(database)")
        }
    }

    package var debugDescription: String { description }
    /// An empty mirror, so that `dump` does not show the password.
    package var customMirror: Mirror { Mirror(self, children: []) }
}
