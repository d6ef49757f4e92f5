import Glibc
import HTTP

/// Connects to a host by name, only at addresses that the policy allows.
enum GuardedConnection {
    enum Outcome {
        case open(Int32)
        /// All its addresses are forbidden.
        case refused
        case unreachable
    }

    static func open(to host: String, port: Int, _ policy: AddressPolicy) -> Outcome {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, "\(port)", &hints, &list) == 0, let first = list else { return .unreachable }
        defer { freeaddrinfo(first) }
        var outcome = Outcome.refused
        for entry in sequence(first: first, next: { $0.pointee.ai_next }) {
            guard let address = entry.pointee.ai_addr, let parsed = IPAddress(address), policy.allows(parsed) else {
                continue
            }
            if let descriptor = connect(entry.pointee, address) { return .open(descriptor) }
            outcome = .unreachable
        }
        return outcome
    }

    private static func connect(_ entry: addrinfo, _ address: UnsafePointer<sockaddr>) -> Int32? {
        let type = entry.ai_socktype | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(entry.ai_family, type, entry.ai_protocol)
        guard descriptor >= 0 else { return nil }
        if Glibc.connect(descriptor, address, entry.ai_addrlen) == 0
            || (errno == EINPROGRESS && isConnected(descriptor))
        {
            _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
            return descriptor
        }
        close(descriptor)
        return nil
    }

    private static func isConnected(_ descriptor: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        guard poll(&entry, 1, 10_000) > 0 else { return false }
        var failure: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &length) == 0 && failure == 0
    }
}
