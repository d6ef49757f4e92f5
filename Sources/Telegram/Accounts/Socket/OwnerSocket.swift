import NIOCore
import NIOPosix

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
