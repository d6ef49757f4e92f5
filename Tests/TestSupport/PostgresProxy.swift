import Glibc
import Synchronization

/// Passes connections on to a PostgreSQL server, and cuts some of them after COMMIT was sent: the server commits, and the client
/// never learns of it.
package final class PostgresProxy: Sendable {
    package let port: UInt16
    private let listener: Int32
    private let target: String
    private let cuts: Mutex<Int>

    /// - Parameters:
    ///   - target: the server's Unix socket.
    ///   - cuts: the number of commits after which the connection is cut.
    package init(to target: String, cuts: Int) throws {
        self.target = target
        self.cuts = Mutex(cuts)
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = self.listener
        let isListening = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 16) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard isListening else { throw LoopbackError(message: "cannot listen: errno \(errno)") }
        port = UInt16(bigEndian: address.sin_port)
        onThread { [self] in accept() }
    }

    deinit { stop() }

    package func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    /// The number of cuts that are still to come.
    package var cutsLeft: Int { cuts.withLock { $0 } }

    private func accept() {
        while true {
            let client = Glibc.accept(listener, nil, nil)
            if client < 0 && errno == EINTR { continue }
            guard client >= 0 else { break }
            let server = connectToTarget()
            guard server >= 0 else {
                close(client)
                continue
            }
            onThread { [self] in passOn(client, server) }
        }
        close(listener)
    }

    private func connectToTarget() -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(target.utf8) + [0]) }
        let isConnected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        if isConnected { return descriptor }
        close(descriptor)
        return -1
    }

    private func passOn(_ client: Int32, _ server: Int32) {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        // A simple query: its kind, its length, and its text with a NUL.
        let commit: [UInt8] = Array("Q".utf8) + [0, 0, 0, 11] + Array("COMMIT".utf8) + [0]
        var isCut = false
        while true {
            var set = [
                pollfd(fd: client, events: Int16(POLLIN), revents: 0),
                pollfd(fd: server, events: Int16(POLLIN), revents: 0),
            ]
            guard poll(&set, 2, -1) > 0 else { break }
            if set[0].revents != 0 {
                let count = read(client, &buffer, buffer.count)
                guard count > 0, send(buffer[..<count], to: server) else { break }
                if buffer[..<count].suffix(commit.count).elementsEqual(commit) {
                    isCut = cuts.withLock { left in
                        defer { left = max(0, left - 1) }
                        return left > 0
                    }
                }
            }
            if set[1].revents != 0 {
                let count = read(server, &buffer, buffer.count)
                // The answer to the commit has come, so the server has committed; the client does not get it.
                guard count > 0, !isCut, send(buffer[..<count], to: client) else { break }
            }
        }
        close(client)
        close(server)
    }

    private func send(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }
}
