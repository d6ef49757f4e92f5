import Glibc
import System

/// Tells whether this machine has a network at all: a route to the internet, and a name server that answers.
struct NetworkProbe: Sendable {
    /// Is thrown while there is no network.
    struct Failure: OutageSign {
        let outageReason: String
        var suspectedOutage: SuspectedOutage? { SuspectedOutage(.network) }
    }

    /// The names that are looked up; one that can be resolved, or certainly does not exist, is enough.
    var names = ["api.telegram.org", "example.com"]
    private let thread = BlockingThread()

    /// - Throws: `Failure` if no site can be reached.
    @Sendable func check() async throws {
        let names = names
        let reason = await thread.run { () -> String? in
            guard NetworkProbe.hasRoute else { return "there is no route to the internet" }
            return names.contains(where: NetworkProbe.isAnswered) ? nil : "no name server answers"
        }
        if let reason { throw Failure(outageReason: reason) }
    }

    /// Returns whether a name server answers for a name, if only that there is no such name.
    private static func isAnswered(_ name: String) -> Bool {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(name, "443", &hints, &list)
        if let list { freeaddrinfo(list) }
        return ![EAI_AGAIN, EAI_SYSTEM].contains(status)
    }

    /// Is true if the kernel has a route to public addresses. A connected datagram socket sends nothing.
    private static var hasRoute: Bool {
        var fourth = sockaddr_in()
        fourth.sin_family = sa_family_t(AF_INET)
        fourth.sin_port = UInt16(53).bigEndian
        inet_pton(AF_INET, "1.1.1.1", &fourth.sin_addr)
        var sixth = sockaddr_in6()
        sixth.sin6_family = sa_family_t(AF_INET6)
        sixth.sin6_port = UInt16(53).bigEndian
        inet_pton(AF_INET6, "2606:4700:4700::1111", &sixth.sin6_addr)
        return canConnect(AF_INET, &fourth) || canConnect(AF_INET6, &sixth)
    }

    private static func canConnect<Address>(_ family: Int32, _ address: inout Address) -> Bool {
        let descriptor = socket(family, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return withUnsafeBytes(of: &address) { bytes in
            guard let base = bytes.bindMemory(to: sockaddr.self).baseAddress else { return false }
            return connect(descriptor, base, socklen_t(bytes.count)) == 0
        }
    }
}
