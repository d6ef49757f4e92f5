import Glibc
import NIOCore
import NIOPosix
import System

/// Accepts connections on a Unix socket that only its user may open.
final class SocketListener: Sendable {
    private let descriptor: Int32
    private let stopping = Linux.eventCounter()
    private let path: String

    /// - Parameter path: the socket's path; an existing file is replaced.
    /// - Throws: `AccountError`, `configuration` or `localIO`.
    init(_ path: String) throws(AccountError) {
        self.path = path
        guard var address = SocketListener.address(path) else {
            throw AccountError(
                .configuration, "the path \(path) is too long for a socket: choose a shorter --state-dir")
        }
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        unlink(path)
        let isBound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        // No client can connect before `listen`, so the mode is set in time.
        guard isBound, chmod(path, 0o600) == 0, listen(descriptor, 64) == 0 else {
            let error = AccountError.localIO("unable to listen on \(path)")
            close(descriptor)
            throw error
        }
    }

    deinit {
        close(descriptor)
        close(stopping)
    }

    /// Returns the address of a path; nil if the path is too long for the kernel.
    static func address(_ path: String) -> sockaddr_un? {
        var address = sockaddr_un()
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        return address
    }

    /// Returns whether a process listens on this path.
    static func answers(_ path: String) -> Bool {
        guard var address = address(path) else { return false }
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let descriptor = socket(AF_UNIX, kind, 0)
        defer { close(descriptor) }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }

    /// Returns the next connection by a process of this user or of root; closes others. Blocks.
    ///
    /// - Returns: nil after `stop`.
    func next() -> Int32? {
        while true {
            var watched = [
                pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: stopping, events: Int16(POLLIN), revents: 0),
            ]
            poll(&watched, 2, -1)
            guard watched[1].revents == 0 else { return nil }
            let client = Linux.accept(descriptor)
            guard client >= 0 else {
                // The process has no free descriptors; wait until one is closed.
                if errno == EMFILE || errno == ENFILE { usleep(100_000) }
                continue
            }
            if SocketListener.isOwn(client) { return client }
            close(client)
        }
    }

    /// Removes the socket, and ends `next`. The caller must still hold the session's lock: the next owner creates a
    /// socket of the same name.
    func stop() {
        unlink(path)
        var one: UInt64 = 1
        _ = write(stopping, &one, 8)
    }

    private static func isOwn(_ client: Int32) -> Bool {
        // As Linux has it (`struct ucred`): process, user, group.
        var credentials: (pid_t, uid_t, gid_t) = (0, 0, 0)
        var size = socklen_t(MemoryLayout.size(ofValue: credentials))
        guard getsockopt(client, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0 else { return false }
        return credentials.1 == getuid() || credentials.1 == 0
    }
}

/// Opens connections on the Unix socket between a session's owner and its clients.
enum OwnerSocket {
    /// One thread for all sockets of a program.
    static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    /// The longest line that an owner accepts.
    static let maxRequestBytes = 8 << 20
    /// The longest line that a client accepts: the limit of one result's JSON, and room for its envelope.
    static let maxAnswerBytes = 65 << 20

    typealias Channel = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    /// Wraps an accepted connection, and takes ownership of the descriptor.
    static func channel(_ descriptor: Int32) async throws -> Channel {
        // A script may close its input and still wait for the answers.
        try await ClientBootstrap(group: group).channelOption(.allowRemoteHalfClosure, value: true)
            .withConnectedSocket(descriptor, channelInitializer: wrap)
    }

    static func connect(to path: String) async throws -> Channel {
        try await ClientBootstrap(group: group).connect(unixDomainSocketPath: path, channelInitializer: wrap)
    }

    @Sendable private static func wrap(_ channel: any NIOCore.Channel) -> EventLoopFuture<Channel> {
        channel.eventLoop.makeCompletedFuture { try Channel(wrappingChannelSynchronously: channel) }
    }
}
