package import System

/// Tells why a command or a connection failed.
///
/// The message names the server's address, and never its password or an argument of a command.
package struct RedisError: ReportableError, Sendable, Equatable, CustomStringConvertible {
    package enum Code: Sendable, Equatable {
        /// There is no connection, or it was lost while the command was pending: the command may have been carried out.
        case unreachable
        /// There was no answer before the deadline: the command may have been carried out.
        case timedOut
        /// The server refuses the password or the user, or the user lacks a permission.
        case authentication
        /// One side refuses the certificate of the other side.
        case certificate
        /// The server is a replica, or is configured not to write.
        case readOnly
        /// The server's memory limit is reached.
        case outOfMemory
        /// The key holds another kind of value.
        case wrongType
        /// The server is still reading its data set from disk.
        case loading
        /// The script is not in the server's cache.
        case noScript
        /// Any other error reply.
        case server
        /// The other side does not use the Redis protocol.
        case protocolError
        /// This side closed the connection.
        case closed
        /// The waiting task was cancelled: the command may have been carried out.
        case cancelled
        /// The address or a path is invalid, or the private server cannot be started.
        case configuration
    }

    package let code: Code
    package let message: String
    /// Is true if the failure is transient: the same call may succeed later.
    package let isTransient: Bool

    package init(_ code: Code, _ message: String, isTransient: Bool? = nil) {
        self.code = code
        self.message = message
        self.isTransient = isTransient ?? code.isTransient
    }

    package var description: String { message }

    package var exitStatus: ExitStatus {
        switch code {
        case .authentication: .authenticationRefused
        case .protocolError: .protocolBroken
        case .loading, .outOfMemory: .tryAgain
        case .readOnly, .wrongType, .configuration, .certificate: .configuration
        default: .unavailable
        }
    }
}

extension RedisError.Code {
    var isTransient: Bool {
        switch self {
        case .unreachable, .timedOut, .loading, .outOfMemory, .readOnly: true
        default: false
        }
    }
}

extension RedisError {
    /// Reads an error reply, whose first word is the code.
    init(reply: String, from address: RedisAddress) {
        let word = String(reply.prefix { $0 != " " })
        var code = Self.codes[word] ?? .server
        // Within a cluster, a key is on its way to another node.
        if word == "MOVED", case .cluster = address.server { code = .unreachable }
        self.init(
            code, "\(Self.explained(code, address)) answered: \(reply.printable(atMost: 300))",
            isTransient: code.isTransient || Self.transientWords.contains(word))
    }

    /// Returns the beginning of the message: the server, and a remedy where the error reply names none.
    private static func explained(_ code: Code, _ address: RedisAddress) -> String {
        switch code {
        case .outOfMemory:
            "Redis at \(address) is out of memory (raise its maxmemory, or see what fills it: ev-queue stats); it"
        case .readOnly: "Redis at \(address) accepts no writes (give the address of the primary server); it"
        case .configuration:
            "Redis at \(address) belongs to a cluster (write its address as redis+cluster://HOST:PORT); it"
        default: "Redis at \(address)"
        }
    }

    private static let codes: [String: Code] = [
        "NOAUTH": .authentication, "WRONGPASS": .authentication, "NOPERM": .authentication,
        "READONLY": .readOnly, "OOM": .outOfMemory, "WRONGTYPE": .wrongType, "LOADING": .loading,
        "NOSCRIPT": .noScript, "MOVED": .configuration,
    ]

    /// The codes of error replies that concern the state of the server, not the command.
    private static let transientWords: Set<String> = [
        "ASK", "BUSY", "CLUSTERDOWN", "MASTERDOWN", "MISCONF", "NOREPLICAS", "TRYAGAIN", "UNBLOCKED",
    ]
}
