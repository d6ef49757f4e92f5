import NIOCore

/// Between a socket and a conversation.
final class ConversationHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let conversation: Conversation
    private let address: ServerAddress
    private var failure: MTProtoError?

    /// - Parameter address: of the server, also where the socket leads to a proxy.
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
