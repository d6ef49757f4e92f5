import JSON
import System

extension RedisAddress {
    /// The forms of an address, for messages.
    private static let forms = """
        unix:/path, redis://[user:password@]host[:port][/database], rediss://… for TLS, \
        redis+sentinel://host[:port],…/primary or redis+cluster://host[:port],…
        """

    /// The longest path that a Unix socket address can hold.
    static let longestSocketPath = 107

    /// Reads `/path`, `unix:/path[?db=1]`, `unix://[user]:password@/path[?db=1]`, or
    /// `redis://[[user]:password@]host[:port][/db][?option=value&…]`.
    ///
    /// `rediss` stands for TLS. `redis+sentinel://…host[:port],host[:port]/primary[/db]` names sentinels and their primary server,
    /// `redis+cluster://…host[:port],host[:port]` nodes of a cluster, both also with `rediss`. The options are `cacert`, `cert`, `key`
    /// and `servername` with TLS, `sentinel-user` and `sentinel-password` with sentinels, and `replicas`. All parts but hosts may be
    /// percent-encoded; an IPv6 host stands in brackets.
    /// - Throws: `.configuration`, in words that do not repeat the text, which may hold a password.
    package init(parsing text: String) throws(RedisError) {
        if text.utf8.contains(where: { $0 < 32 || $0 == 127 }) {
            throw RedisError(.configuration, "a Redis address cannot hold control characters")
        } else if text.hasPrefix("unix:") {
            try self.init(socket: text.dropFirst(5))
        } else if text.hasPrefix("/") {
            try self.init(socket: text[...])
        } else if let end = text.firstRange(of: "://"), let scheme = Scheme(text[..<end.lowerBound]) {
            try self.init(network: text[end.upperBound...], scheme)
        } else {
            // A word is most likely a host; anything else may hold a password, and is not repeated.
            let isHost = text.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x2D...0x39).contains($0) && $0 != 0x2F
            }
            throw RedisError(
                .configuration,
                "not a Redis address: use \(Self.forms)"
                    + (isHost && !text.isEmpty ? "; did you mean redis://\(text)?" : ""))
        }
    }

    private struct Scheme {
        enum Kind { case server, sentinel, cluster }
        let kind: Kind
        let usesTLS: Bool

        init?(_ text: Substring) {
            let parts = text.split(separator: "+", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts[0] == "redis" || parts[0] == "rediss" else { return nil }
            usesTLS = parts[0] == "rediss"
            guard parts.count == 2 else {
                kind = .server
                return
            }
            switch parts[1] {
            case "sentinel": kind = .sentinel
            case "cluster": kind = .cluster
            default: return nil
            }
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

    private init(network text: Substring, _ scheme: Scheme) throws(RedisError) {
        var (rest, options) = try Self.options(of: text)
        var login: Login?
        if let at = rest.lastIndex(of: "@") {
            login = try Self.login(rest[..<at])
            rest = rest[rest.index(after: at)...]
        }
        let parts = rest.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let path = parts.count == 2 ? parts[1] : ""
        let server: Server
        var database = path
        switch scheme.kind {
        case .server:
            let endpoint = try Self.endpoint(parts[0], port: 6379)
            server = .tcp(host: endpoint.host, port: endpoint.port)
        case .sentinel:
            let words = path.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = strictlyPercentDecoded(words.first ?? ""), !name.isEmpty else {
                throw RedisError(
                    .configuration,
                    "an address of sentinels needs the name of the primary server after the hosts, such as /mymaster")
            }
            database = words.count == 2 ? words[1] : ""
            server = .sentinel(try Self.endpoints(parts[0], port: 26379), primary: name)
        case .cluster:
            guard path.isEmpty || path == "0" else {
                throw RedisError(.configuration, "a Redis cluster has no databases: leave out what follows the hosts")
            }
            database = ""
            server = .cluster(try Self.endpoints(parts[0], port: 6379))
        }
        let tls = try options.tls(isUsed: scheme.usesTLS)
        self.init(
            server, database: database.isEmpty ? 0 : try Self.database(database), login: login, tls: tls,
            sentinelLogin: try options.sentinelLogin(isUsed: scheme.kind == .sentinel),
            replicas: try options.replicas())
        try options.end()
    }

    /// Splits the options from the rest of an address. A question mark that no name of an option follows belongs to the password.
    private static func options(of text: Substring) throws(RedisError) -> (Substring, AddressOptions) {
        guard let mark = text.lastIndex(of: "?") else { return (text, AddressOptions()) }
        let options = text[text.index(after: mark)...]
        let name = options.prefix { $0 != "=" }
        guard name.count < options.count, name.utf8.allSatisfy({ (0x61...0x7A).contains($0) || $0 == 0x2D }) else {
            return (text, AddressOptions())
        }
        return (text[..<mark], try AddressOptions(parsing: options))
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

    private static func endpoints(_ text: Substring, port: Int) throws(RedisError) -> [Endpoint] {
        var endpoints: [Endpoint] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            endpoints.append(try endpoint(part, port: port))
        }
        return endpoints
    }

    private static func endpoint(_ text: Substring, port standard: Int) throws(RedisError) -> Endpoint {
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
        guard let port else { return Endpoint(host: String(host), port: standard) }
        guard let number = Int(port), (1...65535).contains(number) else { throw badEndpoint }
        return Endpoint(host: String(host), port: number)
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

/// Holds the options at the end of an address until each has been used.
private struct AddressOptions {
    private var values: [String: String] = [:]

    init() {}

    /// - Throws: `.configuration` for an option that occurs twice or has no value.
    init(parsing text: Substring) throws(RedisError) {
        for part in text.split(separator: "&", omittingEmptySubsequences: false) {
            let words = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard words.count == 2, let value = strictlyPercentDecoded(words[1]), !value.isEmpty,
                values.updateValue(value, forKey: String(words[0])) == nil
            else {
                throw RedisError(
                    .configuration,
                    "the options of a Redis address have the form name=value, each once, separated by &")
            }
        }
    }

    mutating func tls(isUsed: Bool) throws(RedisError) -> RedisAddress.TLS? {
        let names = ["cacert", "cert", "key", "servername"]
        guard isUsed else {
            if names.contains(where: { values[$0] != nil }) {
                throw RedisError(
                    .configuration, "the options cacert, cert, key and servername are for addresses with rediss://")
            }
            return nil
        }
        let taken = names.map { values.removeValue(forKey: $0) }
        guard (taken[1] == nil) == (taken[2] == nil) else {
            throw RedisError(.configuration, "the options cert and key of a Redis address are given together")
        }
        return RedisAddress.TLS(
            authorities: taken[0], certificate: taken[1], key: taken[2], serverName: taken[3])
    }

    mutating func sentinelLogin(isUsed: Bool) throws(RedisError) -> RedisAddress.Login? {
        guard isUsed else { return nil }
        let user = values.removeValue(forKey: "sentinel-user")
        guard let password = values.removeValue(forKey: "sentinel-password") else {
            guard user == nil else {
                throw RedisError(.configuration, "the option sentinel-user needs sentinel-password beside it")
            }
            return nil
        }
        KnownSecrets.remember(password)
        return RedisAddress.Login(user: user, password: password)
    }

    mutating func replicas() throws(RedisError) -> Int {
        guard let text = values.removeValue(forKey: "replicas") else { return 0 }
        guard let number = Int(text), (0...100).contains(number) else {
            throw RedisError(.configuration, "the option replicas of a Redis address is a number from 0 to 100")
        }
        return number
    }

    /// - Throws: `.configuration` if an option is left that nothing has used.
    func end() throws(RedisError) {
        guard values.isEmpty else {
            throw RedisError(
                .configuration,
                "a Redis address has an unknown option, or one for another kind of address: the options are cacert, cert,"
                    + " key, servername, replicas, sentinel-user and sentinel-password (a question mark in a password is"
                    + " written %3F)")
        }
    }
}
