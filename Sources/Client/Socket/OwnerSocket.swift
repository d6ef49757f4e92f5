import Glibc
import NIOCore
import NIOPosix

/// The Unix socket at which the owner of a session is spoken to.
enum OwnerSocket {
    /// One thread for all sockets of a program.
    static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    /// Of requests.
    static let maxRequestBytes = 8 << 20
    /// Of answers: as long as JSON is made of one result, and what is around it.
    static let maxAnswerBytes = 65 << 20
    /// The kernel's limit for the name of a socket.
    private static let longestPath = 107

    typealias Channel = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    static func wrap(_ channel: any NIOCore.Channel) throws -> Channel {
        try Channel(wrappingChannelSynchronously: channel)
    }

    /// - Throws: `ClientError`, `configuration`, when the kernel takes no path of that length.
    static func address(_ path: String) throws(ClientError) -> SocketAddress {
        guard path.utf8.count <= longestPath, let address = try? SocketAddress(unixDomainSocketPath: path) else {
            throw ClientError(
                .configuration, "the path \(path) is too long for a socket: choose a shorter --state-dir")
        }
        return address
    }

    /// Whether somebody listens there.
    static func answers(_ path: String) -> Bool {
        let descriptor = socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0, path.utf8.count <= longestPath else { return false }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }

    /// Whether the process at the other end is of this user, or the superuser's.
    static func isOwn(_ channel: any NIOCore.Channel) -> EventLoopFuture<Bool> {
        guard let socket = channel as? any SocketOptionProvider else {
            return channel.eventLoop.makeSucceededFuture(false)
        }
        let credentials: EventLoopFuture<PeerCredentials> = socket.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED))
        return credentials.map { $0.user == getuid() || $0.user == 0 }
    }

    /// As Linux has it (`struct ucred`).
    private struct PeerCredentials: Sendable {
        var process: pid_t = 0
        var user: uid_t = 0
        var group: gid_t = 0
    }
}
