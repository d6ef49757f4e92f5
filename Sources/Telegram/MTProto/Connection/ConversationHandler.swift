import Glibc
import NIOCore
import NIOPosix

/// Passes a socket's events to a conversation.
final class ConversationHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let conversation: Conversation
    private let address: ServerAddress
    private var failure: MTProtoError?

    /// - Parameter address: the server's address, also where the socket leads to a proxy.
    init(_ conversation: Conversation, to address: ServerAddress) {
        (self.conversation, self.address) = (conversation, address)
    }

    func channelActive(context: ChannelHandlerContext) { conversation.connected(context.channel, to: address) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { conversation.received(unwrapInboundIn(data)) }

    func channelInactive(context: ChannelHandlerContext) { conversation.disconnected(failure) }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        failure = MTProtoError(.disconnected, "the connection was lost: \(SocketFailure.reason(error))")
        context.close(promise: nil)
    }
}

/// Describes failures of sockets in words that the user understands.
enum SocketFailure {
    static func unreachable(_ address: ServerAddress, _ error: any Error) -> MTProtoError {
        MTProtoError(.unreachable, "unable to reach \(address): \(reason(error))")
    }

    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as IOError: String(cString: strerror(error.errnoCode))
        case let error as NIOConnectionError:
            error.connectionErrors.first.map { reason($0.error) } ?? "the name cannot be looked up"
        case ChannelError.connectTimeout: "it does not answer"
        default: "the connection fails"
        }
    }
}
