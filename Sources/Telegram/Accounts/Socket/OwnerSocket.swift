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

    typealias Channel = NIOAsyncChannel<ByteBuffer, ByteBuffer>

    /// A connection that was taken. Owned from here on.
    static func channel(_ descriptor: Int32) async throws -> Channel {
        // A script may end its input and wait for the answers.
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
