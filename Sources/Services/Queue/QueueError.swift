package import Redis
package import System

/// Tells why a queue could not be used.
package struct QueueError: ReportableError, CustomStringConvertible {
    package enum Code: Sendable {
        case invalidName
        /// The queue's key holds another kind of value.
        case wrongType
        /// The queue or its group does not exist.
        case noGroup
        /// The server is too old to have streams.
        case noStreams
        /// The server's answer to a script has an unknown form.
        case protocolBroken
    }

    package let code: Code
    package let message: String
    package let underlying: RedisError?

    init(_ code: Code, _ message: String, underlying: RedisError? = nil) {
        self.code = code
        self.message = message
        self.underlying = underlying
    }

    package var exitStatus: ExitStatus {
        switch code {
        case .invalidName: .usage
        case .noGroup: .no
        case .wrongType, .noStreams: .configuration
        case .protocolBroken: .protocolBroken
        }
    }

    package var description: String { message }
}

extension QueueName {
    /// Returns an error of Redis as a `QueueError` if it concerns queues, and otherwise unchanged.
    func explained(_ error: RedisError) -> any Error {
        if error.code == .wrongType || error.message.contains("WRONGTYPE") {
            return QueueError(
                .wrongType,
                "\(self): the Redis key \(streamKey), or one beside it, holds a value that is not a queue",
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
