import Glibc

/// Owns a connected, non-blocking, close-on-exec stream socket, encrypted if its address says so, and closes it when it is destroyed.
struct Socket: ~Copyable {
    let descriptor: Int32
    /// Encrypts what is moved; nil for a connection in plain text.
    private var tls: TLSSession?

    private init(descriptor: Int32) { self.descriptor = descriptor }

    /// Is true if what is moved is not encrypted.
    var isPlain: Bool { tls == nil }

    deinit { close(descriptor) }

    static let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)

    /// Connects to the first address that accepts a connection.
    ///
    /// - Throws: `.unreachable`, with the Redis address; with TLS also `.certificate` and `.configuration`.
    static func connect(
        to address: RedisAddress, until deadline: Deadline, waiter: PollWaiter
    ) throws(RedisError) -> Socket {
        let candidates = try resolve(address, until: deadline, waiter: waiter)
        var reason = "no address"
        for (index, candidate) in candidates.enumerated() {
            // An address that does not answer must not use up the time of the other addresses.
            let isLast = index == candidates.count - 1
            let cutoff = isLast ? deadline : min(deadline, .after(.seconds(2)))
            let socket: Socket
            do throws(Failure) {
                socket = try attempt(candidate, until: cutoff, waiter: waiter)
            } catch {
                reason = error.reason
                continue
            }
            return try socket.secured(for: address, until: deadline, waiter: waiter)
        }
        throw RedisError(.unreachable, "unable to reach Redis at \(address): \(reason)")
    }

    private consuming func secured(
        for address: RedisAddress, until deadline: Deadline, waiter: PollWaiter
    ) throws(RedisError) -> Socket {
        guard let settings = address.tls, case .tcp(let host, _) = address.server else { return self }
        let session = try TLSSession(settings, to: host, over: descriptor, at: address)
        try session.handshake(until: deadline, waiter: waiter, descriptor: descriptor)
        tls = session
        return self
    }

    /// Returns whether no process listens at a Unix socket. A listening process that cannot accept now does not count as none.
    static func isVacant(_ path: String, until deadline: Deadline, waiter: PollWaiter) throws(RedisError) -> Bool {
        let address = try SocketAddress(path: path)
        do throws(Failure) {
            _ = try attempt(address, until: deadline, waiter: waiter)
            return false
        } catch {
            return error.code == ENOENT || error.code == ECONNREFUSED
        }
    }

    private struct Failure: Error {
        /// The system's error number.
        let code: Int32
        var reason: String { code == ETIMEDOUT ? "no connection in time" : systemReason(code) }
    }

    private static func resolve(
        _ address: RedisAddress, until deadline: Deadline, waiter: PollWaiter
    ) throws(RedisError) -> [SocketAddress] {
        switch address.server {
        case .unix(let path): [try SocketAddress(path: path)]
        case .tcp(let host, let port):
            try SocketAddress.lookUp(host, port: port, until: deadline, waiter: waiter)
        // These addresses name several servers; `Lane.connect` and `Cluster` choose one before a connection is made.
        case .sentinel, .cluster: []
        }
    }

    private static func attempt(
        _ address: SocketAddress, until deadline: Deadline, waiter: PollWaiter
    ) throws(Failure) -> Socket {
        let descriptor = Glibc.socket(address.family, Self.kind, 0)
        guard descriptor >= 0 else { throw Failure(code: errno) }
        let socket = Socket(descriptor: descriptor)
        var code = socket.startConnecting(to: address)
        while code == EAGAIN || code == EINTR {
            // A Unix socket whose queue of waiting connections is full.
            let pause = min(deadline, .after(.milliseconds(5)))
            guard waiter.waitThrough(for: 0, on: -1, until: pause) == .timedOut, !deadline.hasPassed else { break }
            code = socket.startConnecting(to: address)
        }
        if code == EINPROGRESS { code = try socket.finishConnecting(until: deadline, waiter: waiter) }
        guard code == 0 else { throw Failure(code: code) }
        if address.family != AF_UNIX { socket.tune() }
        return socket
    }

    private func startConnecting(to address: SocketAddress) -> Int32 {
        address.bytes.withUnsafeBytes { bytes in
            let form = bytes.baseAddress?.assumingMemoryBound(to: sockaddr.self)
            return Glibc.connect(descriptor, form, socklen_t(bytes.count)) == 0 ? 0 : errno
        }
    }

    private func finishConnecting(until deadline: Deadline, waiter: PollWaiter) throws(Failure) -> Int32 {
        switch waiter.waitThrough(for: Int32(POLLOUT), on: descriptor, until: deadline) {
        case .ready:
            var code: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
            return code
        case .stopped: throw Failure(code: ECANCELED)
        case .timedOut, .woken: throw Failure(code: ETIMEDOUT)
        }
    }

    /// Sends small commands without delay, and detects a lost peer within half a minute.
    private func tune() {
        set(Int32(IPPROTO_TCP), TCP_NODELAY, 1)
        set(SOL_SOCKET, SO_KEEPALIVE, 1)
        set(Int32(IPPROTO_TCP), TCP_KEEPIDLE, 15)
        set(Int32(IPPROTO_TCP), TCP_KEEPINTVL, 5)
        set(Int32(IPPROTO_TCP), TCP_KEEPCNT, 3)
    }

    private func set(_ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }

    enum Moved {
        case bytes(Int)
        case wouldBlock
        case lost(reason: String)
        /// The server has refused this side for good.
        case refused(RedisError)
    }

    static let closedByServer = "the server closed the connection"

    /// Sends as many bytes as the system accepts now. A closed connection is reported as an error, not as a signal.
    func send(_ bytes: UnsafeRawBufferPointer) -> Moved {
        if let tls { return tls.send(bytes) }
        return moved(Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL)))
    }

    /// Reads the bytes that have arrived.
    func receive(into buffer: UnsafeMutableRawBufferPointer) -> Moved {
        if let tls { return tls.receive(into: buffer) }
        let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        return count == 0 ? .lost(reason: Self.closedByServer) : moved(count)
    }

    private func moved(_ count: Int) -> Moved {
        if count >= 0 { return .bytes(count) }
        return errno == EAGAIN || errno == EINTR ? .wouldBlock : .lost(reason: systemReason(errno))
    }
}

/// Returns the system's text for an error number.
func systemReason(_ code: Int32) -> String { String(cString: strerror(code)) }
