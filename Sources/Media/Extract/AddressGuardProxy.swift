import System
import Glibc
import HTTP
import JSON
import Synchronization

/// A forward proxy on the loopback interface that connects to allowed addresses only.
///
/// yt-dlp and ffmpeg resolve names and follow redirects by themselves; through this, whatever they connect to is
/// checked at the moment of connecting. It asks for a password, which only the child's environment holds.
final class AddressGuardProxy: Sendable {
    private let policy: AddressPolicy
    private let listener: Int32
    private let port: UInt16
    private let password: String
    /// Connections to be shut down at the end; nil once stopped.
    private let open = Mutex<Set<Int32>?>([])
    private static let maxConnections = 256

    init(policy: AddressPolicy) throws(MediaError) {
        self.policy = policy
        var random = SystemRandomNumberGenerator()
        password = String(random.next(), radix: 36) + String(random.next(), radix: 36)
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let listener = self.listener
        let isListening = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                var length = socklen_t(MemoryLayout<sockaddr_in>.size)
                return bind(listener, address, length) == 0 && listen(listener, 64) == 0
                    && getsockname(listener, address, &length) == 0
            }
        }
        guard listener >= 0, isListening else { throw .local("open a proxy", errno) }
        port = UInt16(bigEndian: address.sin_port)
        BlockingThread.start { [self] in accept() }
    }

    deinit { close(listener) }

    /// What makes programs use this proxy, and no other, for everything.
    var environment: [String: String] {
        let url = "http://tgpipe:\(password)@127.0.0.1:\(port)"
        return Dictionary(uniqueKeysWithValues: ChildEnvironment.proxyNames.map { ($0, url) })
    }

    /// Ends all connections.
    func stop() {
        let connections = open.withLock { open in
            defer { open = nil }
            return open ?? []
        }
        for descriptor in connections { shutdown(descriptor, Int32(SHUT_RDWR)) }
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private func accept() {
        while true {
            let descriptor = Glibc.accept(listener, nil, nil)
            guard descriptor >= 0 else {
                if isStopped { return }
                // Out of descriptors, say: those of connections that end come back.
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
        switch GuardedConnection.open(to: target.host, port: target.port, policy) {
        case .refused: refuse(client, "403 Not On The Public Internet")
        case .unreachable: refuse(client, "502 Bad Gateway")
        case .open(let server):
            guard add(server) else {
                close(server)
                return
            }
            defer { removeAndClose(server) }
            let isReady =
                request.isTunnel
                ? Relay.sendAll(client, Array("HTTP/1.1 200 Connection Established\r\n\r\n".utf8))
                : Relay.sendAll(server, request.forwardedHead)
            if isReady, Relay.sendAll(server, request.bytesAfterHead) { Relay.run(between: client, and: server) }
        }
    }

    private func refuse(_ client: Int32, _ status: String, _ headers: String = "") {
        let head = "HTTP/1.1 \(status)\r\n\(headers)Content-Length: 0\r\nConnection: close\r\n\r\n"
        _ = Relay.sendAll(client, Array(head.utf8))
        // Closing with unread bytes would reset the connection before the answer is read.
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

    /// Under the lock, so that `stop` never touches a number that means another file by then.
    private func removeAndClose(_ descriptor: Int32) {
        open.withLock { open in
            open?.remove(descriptor)
            close(descriptor)
        }
    }
}
