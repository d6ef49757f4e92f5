import System
import Glibc
import HTTP
import JSON
import Process
import Synchronization

/// Runs a forward proxy that connects only to allowed addresses.
///
/// yt-dlp and ffmpeg resolve names and follow redirects themselves. Their jail's network leads only to this proxy, which
/// checks each address at the moment of connecting. The proxy requires a password, which only the child's environment
/// holds.
final class AddressGuardProxy: Sendable {
    private let policy: AddressPolicy
    /// The network that the proxy listens in, which owns the socket.
    private let network: JailNetwork
    /// The proxy through which all connections are made; nil connects directly.
    private let upstream: ServerProxy?
    private let password: String
    /// The open connections, to be shut down by `stop`; nil once stopped.
    private let open = Mutex<Set<Int32>?>([])
    private static let maxConnections = 256
    private let visited = Mutex<Set<String>>([])
    /// More hosts than any page has.
    private static let maxVisited = 4096

    /// The hosts to which connections were asked for.
    var visitedHosts: Set<String> { visited.withLock { $0 } }

    init(policy: AddressPolicy, in network: JailNetwork, through upstream: ServerProxy? = nil) {
        self.policy = policy
        self.network = network
        self.upstream = upstream
        var random = SystemRandomNumberGenerator()
        password = String(random.next(), radix: 36) + String(random.next(), radix: 36)
        BlockingThread.start { [self] in accept() }
    }

    /// The variables that make programs use this proxy, and no other, for everything.
    var environment: [String: String] {
        let url = "http://tgpipe:\(password)@127.0.0.1:\(network.port ?? 0)"
        return Dictionary(uniqueKeysWithValues: HelperEnvironment.proxyNames.map { ($0, url) })
    }

    /// Ends all connections.
    func stop() {
        let connections = open.withLock { open in
            defer { open = nil }
            return open ?? []
        }
        for descriptor in connections { shutdown(descriptor, Int32(SHUT_RDWR)) }
        shutdown(network.listener, Int32(SHUT_RDWR))
    }

    private func accept() {
        while true {
            let descriptor = Glibc.accept(network.listener, nil, nil)
            guard descriptor >= 0 else {
                if isStopped { return }
                // The process may be out of descriptors. Connections that end release theirs.
                usleep(20_000)
                continue
            }
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            guard add(descriptor) else {
                close(descriptor)
                continue
            }
            BlockingThread.start { [self] in serve(descriptor) }
        }
    }

    private var isStopped: Bool { open.withLock { $0 == nil } }

    private func serve(_ client: Int32) {
        defer { removeAndClose(client) }
        guard let request = ProxyRequest.read(from: client) else { return }
        guard request.authorization == expectedAuthorization else {
            return refuse(client, "407 Proxy Authentication Required", "Proxy-Authenticate: Basic realm=\"tgpipe\"\r\n")
        }
        guard let target = request.target else { return refuse(client, "400 Bad Request") }
        visited.withLock { if $0.count < AddressGuardProxy.maxVisited { $0.insert(target.host) } }
        if let upstream { return serve(client, request, target, through: upstream) }
        switch GuardedConnection.open(to: target.host, port: target.port, policy) {
        case .refused: refuseAddress(client)
        case .unreachable: refuse(client, "502 Bad Gateway")
        case .noNetwork: refuse(client, "502 Network Is Unreachable")
        case .open(let server):
            guard add(server) else {
                close(server)
                return
            }
            defer { removeAndClose(server) }
            relay(client, request, server)
        }
    }

    /// Serves a request through the proxy of a site. A name that this machine cannot resolve is left to the proxy.
    private func serve(
        _ client: Int32, _ request: ProxyRequest, _ target: (host: String, port: Int), through upstream: ServerProxy
    ) {
        guard GuardedConnection.mayLead(to: target.host, policy) else { return refuseAddress(client) }
        let limit = GuardedConnection.longest
        guard let connection = try? upstream.connect(to: target.host, port: target.port, within: limit) else {
            return refuse(client, "502 Bad Gateway")
        }
        // The connection closes its own descriptor, so this one can go into the set of those that are closed here.
        let server = fcntl(connection.descriptor, F_DUPFD_CLOEXEC, 0)
        guard server >= 0 else { return }
        guard add(server) else {
            close(server)
            return
        }
        defer { removeAndClose(server) }
        withExtendedLifetime(connection) { relay(client, request, server) }
    }

    private func relay(_ client: Int32, _ request: ProxyRequest, _ server: Int32) {
        let isReady =
            request.isTunnel
            ? Relay.sendAll(client, Array("HTTP/1.1 200 Connection Established\r\n\r\n".utf8))
            : Relay.sendAll(server, request.forwardedHead)
        if isReady, Relay.sendAll(server, request.bytesAfterHead) { Relay.run(between: client, and: server) }
    }

    private func refuseAddress(_ client: Int32) { refuse(client, "403 Not On The Public Internet") }

    private func refuse(_ client: Int32, _ status: String, _ headers: String = "") {
        let head = "HTTP/1.1 \(status)\r\n\(headers)Content-Length: 0\r\nConnection: close\r\n\r\n"
        _ = Relay.sendAll(client, Array(head.utf8))
        // Closing with unread bytes would reset the connection before the client reads the answer.
        shutdown(client, Int32(SHUT_WR))
    }

    private var expectedAuthorization: String {
        "Basic " + Base64.encode(Array("tgpipe:\(password)".utf8))
    }

    private func add(_ descriptor: Int32) -> Bool {
        Linux.setSendTimeout(descriptor, seconds: 120)
        return open.withLock { open in
            guard let count = open?.count, count < AddressGuardProxy.maxConnections else { return false }
            open?.insert(descriptor)
            return true
        }
    }

    /// Closes a connection under the lock, so that `stop` never shuts down a reused descriptor number.
    private func removeAndClose(_ descriptor: Int32) {
        open.withLock { open in
            open?.remove(descriptor)
            close(descriptor)
        }
    }
}

/// Holds the head of a request to the proxy.
struct ProxyRequest {
    private let method: String
    private let requestTarget: String
    private let headers: [(name: String, value: String)]
    /// The bytes that arrived with the head and belong after it.
    let bytesAfterHead: [UInt8]

    /// Reads a head; nil when it is malformed, longer than 64 KiB, or does not arrive within 30 seconds.
    static func read(from client: Int32) -> ProxyRequest? {
        var bytes: [UInt8] = []
        let deadline = ContinuousClock.now + .seconds(30)
        while bytes.count < 64 << 10 {
            if let end = bytes.firstRange(of: [13, 10, 13, 10]) {
                return ProxyRequest(
                    String(decoding: bytes[..<end.lowerBound], as: UTF8.self), Array(bytes[end.upperBound...]))
            }
            guard let more = Relay.receive(client, until: deadline) else { return nil }
            bytes += more
        }
        return nil
    }

    init?(_ head: String, _ rest: [UInt8]) {
        let lines = head.split(separator: "\r\n", omittingEmptySubsequences: false)
        let words = lines[0].split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 3, words[2].hasPrefix("HTTP/1.") else { return nil }
        method = String(words[0])
        requestTarget = String(words[1])
        headers = lines.dropFirst().compactMap { line in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            return (String(line[..<colon]), String(line[line.index(after: colon)...].drop { $0 == " " }))
        }
        bytesAfterHead = rest
    }

    var isTunnel: Bool { method == "CONNECT" }

    var authorization: String? { headers.first { $0.name.lowercased() == "proxy-authorization" }?.value }

    /// The server to connect to; nil when the request does not name one properly.
    var target: (host: String, port: Int)? {
        guard let url = WebURL(isTunnel ? "https://\(requestTarget)/" : requestTarget) else { return nil }
        // Plain requests are for http only: https goes through a tunnel.
        if !isTunnel, url.scheme != "http" { return nil }
        return (url.host, url.port ?? (isTunnel ? 443 : 80))
    }

    /// The head for the server: with its own path, for one request, and without the headers for a proxy.
    var forwardedHead: [UInt8] {
        guard let url = WebURL(requestTarget) else { return [] }
        let path = url.path + (url.query.map { "?\($0)" } ?? "")
        var text = "\(method) \(path) HTTP/1.1\r\n"
        for (name, value) in headers
        where !["proxy-authorization", "proxy-connection", "connection"].contains(name.lowercased()) {
            text += "\(name): \(value)\r\n"
        }
        return Array((text + "Connection: close\r\n\r\n").utf8)
    }
}

/// Connects to a host by name, at an address that the policy allows.
enum GuardedConnection {
    enum Outcome {
        case open(Int32)
        /// All of the host's addresses are forbidden.
        case refused
        case unreachable
        /// No other host may be reachable either: there is no route, or no name server answers.
        case noNetwork
    }

    /// Holds one of a host's addresses, with the port.
    struct Endpoint {
        let ip: IPAddress
        let family: Int32
        /// The bytes of a `sockaddr`.
        let socketAddress: [UInt8]
    }

    /// The time for all addresses of a name together, which can have hundreds that do not answer.
    static let longest = Duration.seconds(30)
    /// The time for one address.
    static let longestForOne = Duration.seconds(10)

    static func open(to host: String, port: Int, _ policy: AddressPolicy) -> Outcome {
        let (status, endpoints) = resolve(host, port)
        guard status == 0 else { return status == EAI_AGAIN ? .noNetwork : .unreachable }
        return open(endpoints, policy)
    }

    /// Returns whether a proxy may be asked to connect to a host: no address that this machine finds for it is forbidden.
    static func mayLead(to host: String, _ policy: AddressPolicy) -> Bool {
        resolve(host, 80).endpoints.allSatisfy { policy.allows($0.ip) }
    }

    /// - Returns: what `getaddrinfo` returned, which is 0 for success, and the addresses.
    private static func resolve(_ host: String, _ port: Int) -> (status: Int32, endpoints: [Endpoint]) {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, "\(port)", &hints, &list)
        guard status == 0, let first = list else { return (status == 0 ? EAI_NONAME : status, []) }
        defer { freeaddrinfo(first) }
        return (0, sequence(first: first, next: { $0.pointee.ai_next }).compactMap { Endpoint($0.pointee) })
    }

    /// Connects to the first of a host's addresses that answers.
    ///
    /// - Parameters:
    ///   - now: the clock.
    ///   - connect: connects to one address within the time given, and returns the socket.
    static func open(
        _ endpoints: [Endpoint], _ policy: AddressPolicy, now: () -> ContinuousClock.Instant = { .now },
        connect: (Endpoint, _ limit: Duration) throws(SystemError) -> Int32 = GuardedConnection.connect(_:within:)
    ) -> Outcome {
        var outcome = Outcome.refused
        let deadline = now() + longest
        for endpoint in endpoints where policy.allows(endpoint.ip) {
            let left = deadline - now()
            guard left > .zero else { break }
            do throws(SystemError) {
                return .open(try connect(endpoint, min(left, longestForOne)))
            } catch {
                outcome = [ENETUNREACH, ENETDOWN].contains(error.number) ? .noNetwork : .unreachable
            }
        }
        return outcome
    }

    private static func connect(_ endpoint: Endpoint, within limit: Duration) throws(SystemError) -> Int32 {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(endpoint.family, type, 0)
        guard descriptor >= 0 else { throw SystemError(errno) }
        let failure = connect(descriptor, endpoint.socketAddress, within: limit)
        guard failure == 0 else {
            close(descriptor)
            throw SystemError(failure)
        }
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
        return descriptor
    }

    /// Returns the system's error number; 0 once there is a connection.
    private static func connect(_ descriptor: Int32, _ address: [UInt8], within limit: Duration) -> Int32 {
        let isConnected = address.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self) else { return false }
            return Glibc.connect(descriptor, start, socklen_t(bytes.count)) == 0
        }
        if isConnected { return 0 }
        guard errno == EINPROGRESS else { return errno }
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard poll(&entry, 1, Int32(limit / .milliseconds(1))) > 0 else { return ETIMEDOUT }
        var failure: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &length) == 0 ? failure : errno
    }
}

extension GuardedConnection.Endpoint {
    /// Copies an address that `getaddrinfo` has found; nil if it is none of IP.
    fileprivate init?(_ entry: addrinfo) {
        guard let address = entry.ai_addr, let ip = IPAddress(address) else { return nil }
        self.init(
            ip: ip, family: entry.ai_family,
            socketAddress: Array(UnsafeRawBufferPointer(start: address, count: Int(entry.ai_addrlen))))
    }
}

/// Moves bytes between two connections until both directions have ended.
enum Relay {
    /// The longest silence of both sides.
    private static let idleMilliseconds: Int32 = 120_000

    static func run(between first: Int32, and second: Int32) {
        withUnsafeTemporaryAllocation(byteCount: 128 << 10, alignment: 16) { buffer in
            var isOpen = [true, true]
            let ends = [first, second]
            while isOpen[0] || isOpen[1] {
                var entries = (0...1).map { pollfd(fd: isOpen[$0] ? ends[$0] : -1, events: Int16(POLLIN), revents: 0) }
                guard poll(&entries, 2, idleMilliseconds) > 0 else { return }
                for side in 0...1 where entries[side].revents != 0 {
                    let count = recv(ends[side], buffer.baseAddress, buffer.count, 0)
                    if count > 0 {
                        guard send(ends[1 - side], UnsafeRawBufferPointer(rebasing: buffer[..<count])) else { return }
                    } else {
                        isOpen[side] = false
                        shutdown(ends[1 - side], Int32(SHUT_WR))
                    }
                }
            }
        }
    }

    static func sendAll(_ descriptor: Int32, _ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { send(descriptor, $0) }
    }

    /// Returns the next bytes; nil at the end, on failure, and at the deadline.
    static func receive(_ descriptor: Int32, until deadline: ContinuousClock.Instant) -> [UInt8]? {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let (seconds, attoseconds) = max(.zero, deadline - .now).components
        guard poll(&entry, 1, Int32(seconds * 1000 + attoseconds / 1_000_000_000_000_000)) > 0 else { return nil }
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        let count = recv(descriptor, &bytes, bytes.count, 0)
        return count > 0 ? Array(bytes.prefix(count)) : nil
    }

    private static func send(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer) -> Bool {
        var done = 0
        while done < bytes.count {
            let count = Glibc.send(
                descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, Int32(MSG_NOSIGNAL))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return false }
            done += count
        }
        return true
    }
}
