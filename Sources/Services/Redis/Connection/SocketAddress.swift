import System
import Glibc
import Synchronization

/// Represents a socket address in the system's form.
struct SocketAddress: Sendable {
    let family: Int32
    let bytes: [UInt8]

    private init<Form>(family: Int32, _ form: Form) {
        self.family = family
        bytes = withUnsafeBytes(of: form) { [UInt8]($0) }
    }

    /// - Throws: `.configuration` for a path that is too long.
    init(path: String) throws(RedisError) {
        try RedisAddress.checkLength(of: path)
        var form = sockaddr_un()
        form.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &form.sun_path) { $0.copyBytes(from: path.utf8) }
        self.init(family: AF_UNIX, form)
    }

    /// Reads a numeric address; returns nil for a name.
    init?(literal host: String, port: Int) {
        var v4 = sockaddr_in()
        var v6 = sockaddr_in6()
        if inet_pton(AF_INET, host, &v4.sin_addr) == 1 {
            v4.sin_family = sa_family_t(AF_INET)
            v4.sin_port = in_port_t(port).bigEndian
            self.init(family: AF_INET, v4)
        } else if inet_pton(AF_INET6, host, &v6.sin6_addr) == 1 {
            v6.sin6_family = sa_family_t(AF_INET6)
            v6.sin6_port = in_port_t(port).bigEndian
            self.init(family: AF_INET6, v6)
        } else {
            return nil
        }
    }

    private init?(_ info: addrinfo) {
        guard let address = info.ai_addr, info.ai_family == AF_INET || info.ai_family == AF_INET6 else { return nil }
        family = info.ai_family
        bytes = [UInt8](UnsafeRawBufferPointer(start: address, count: Int(info.ai_addrlen)))
    }

    /// Returns the addresses of a host name, in the system's order.
    ///
    /// The system's resolver has no deadline, so it runs on a thread that is abandoned when it takes too long.
    static func lookUp(
        _ host: String, port: Int, until deadline: Deadline, waiter: PollWaiter
    ) throws(RedisError) -> [SocketAddress] {
        if let literal = SocketAddress(literal: host, port: port) { return [literal] }
        let answer = LookUp()
        BlockingThread.start {
            answer.finish(Self.ask(host, port: port))
            waiter.wake()
        }
        while answer.value == nil && !deadline.hasPassed {
            if waiter.wait(for: 0, on: -1, until: deadline) == .stopped { break }
        }
        switch answer.value {
        case .success(let found): return found
        case .failure(let error): throw error
        case nil:
            throw RedisError(.unreachable, "unable to look up the Redis host \(host.printable(atMost: 300)) in time")
        }
    }

    private static func ask(_ host: String, port: Int) -> Result<[SocketAddress], RedisError> {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, String(port), &hints, &list)
        guard status == 0 else {
            let reason = String(cString: gai_strerror(status))
            return .failure(
                RedisError(.unreachable, "unable to look up the Redis host \(host.printable(atMost: 300)): \(reason)"))
        }
        defer { freeaddrinfo(list) }
        return .success(
            sequence(first: list, next: { $0?.pointee.ai_next }).prefix { $0 != nil }
                .compactMap { $0.flatMap { SocketAddress($0.pointee) } })
    }
}

private final class LookUp: Sendable {
    private let answer = Mutex<Result<[SocketAddress], RedisError>?>(nil)

    var value: Result<[SocketAddress], RedisError>? { answer.withLock { $0 } }
    func finish(_ value: Result<[SocketAddress], RedisError>) { answer.withLock { $0 = value } }
}
