import Glibc
import Synchronization

/// Passes connections on to a PostgreSQL server, and cuts some of them after COMMIT was sent: the server commits, and the client
/// never learns of it.
package final class PostgresProxy: Sendable {
    private let listener: LoopbackListener
    private let target: String
    private let cuts: Mutex<Int>

    /// - Parameters:
    ///   - target: the server's Unix socket.
    ///   - cuts: the number of commits after which the connection is cut.
    package init(to target: String, cuts: Int) throws {
        self.target = target
        self.cuts = Mutex(cuts)
        listener = try LoopbackListener()
        listener.accept { [weak self] client, _ in
            guard let self, case let server = connectToTarget(), server >= 0 else {
                close(client)
                return
            }
            passOn(client, server)
        }
    }

    package var port: UInt16 { listener.port }

    package func stop() { listener.stop() }

    /// The number of cuts that are still to come.
    package var cutsLeft: Int { cuts.withLock { $0 } }

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
        // A simple query: its kind, its length, and its text with a NUL.
        let commit: [UInt8] = Array("Q".utf8) + [0, 0, 0, 11] + Array("COMMIT".utf8) + [0]
        var isCut = false
        TestSupport.passOn(between: client, and: server) { piece, isFromClient in
            // Once the answer to the commit has come, the server has committed; the client does not get it.
            guard isFromClient else { return !isCut }
            if piece.suffix(commit.count).elementsEqual(commit) {
                isCut = cuts.withLock { left in
                    defer { left = max(0, left - 1) }
                    return left > 0
                }
            }
            return true
        }
    }
}
