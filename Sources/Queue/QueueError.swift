public import Envelope
public import Redis

/// Why a queue could not be used.
public struct QueueError: ReportableError, CustomStringConvertible {
    public enum Code: Sendable {
        case invalidName
        /// The queue's key holds another kind of value.
        case wrongType
        /// The queue, or its group, is not there.
        case noGroup
        /// The server is older than streams.
        case noStreams
        /// The server answered a script with something else than it says.
        case protocolBroken
    }

    public let code: Code
    public let message: String
    public let underlying: RedisError?

    init(_ code: Code, _ message: String, underlying: RedisError? = nil) {
        self.code = code
        self.message = message
        self.underlying = underlying
    }

    public var exitStatus: ExitStatus {
        switch code {
        case .invalidName: .usage
        case .noGroup: .no
        case .wrongType, .noStreams: .configuration
        case .protocolBroken: .protocolBroken
        }
    }

    public var description: String { message }
}

extension QueueName {
    /// Says in a queue's words what Redis says in its own; what is no matter of queues stays as it is.
    func explained(_ error: RedisError) -> any Error {
        if error.code == .wrongType || error.message.contains("WRONGTYPE") {
            return QueueError(
                .wrongType,
                "\(self): the Redis key \(streamKey), or one beside it, holds no queue but another kind of value",
                underlying: error)
        }
        let words = error.message.lowercased()
        if words.contains("unknown command") || words.contains("unknown redis command") {
            return QueueError(
                .noStreams, "this Redis cannot keep queues: version 5.0 or later is needed (\(error.message))",
                underlying: error)
        }
        return error
    }
}
