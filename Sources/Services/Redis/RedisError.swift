/// Why Redis did not do what was asked.
///
/// The message names the server's address, never its password nor any argument of a command.
package struct RedisError: Error, Sendable, Equatable, CustomStringConvertible {
    package enum Code: Sendable, Equatable {
        /// No connection, or it was lost while the command was on its way: it may or may not have been carried out.
        case unreachable
        /// No answer before the deadline: the command may or may not have been carried out.
        case timedOut
        /// The password, the user, or what the user may do.
        case authentication
        /// The server is a replica, or is told not to write.
        case readOnly
        /// The server's memory limit is reached.
        case outOfMemory
        /// The key holds another kind of value.
        case wrongType
        /// The server still reads its data set from disk.
        case loading
        /// The script is not in the server's cache.
        case noScript
        /// Any other refusal, in the server's words.
        case server
        /// The other side does not speak Redis's protocol.
        case protocolError
        /// This side closed the connection.
        case closed
        /// The task that waited was cancelled: the command may or may not have been carried out.
        case cancelled
        /// The address, a path, or a start of a server of our own.
        case configuration
    }

    package let code: Code
    package let message: String
    /// Whether the same call may succeed later.
    package let isTemporary: Bool

    package init(_ code: Code, _ message: String, isTemporary: Bool? = nil) {
        self.code = code
        self.message = message
        self.isTemporary = isTemporary ?? code.isTemporary
    }

    package var description: String { message }
}

extension RedisError.Code {
    var isTemporary: Bool {
        switch self {
        case .unreachable, .timedOut, .loading, .outOfMemory, .readOnly: true
        default: false
        }
    }
}

extension RedisError {
    /// Reads an error reply: its first word is the code.
    init(reply: String, from address: RedisAddress) {
        let word = String(reply.prefix { $0 != " " })
        let code = Self.codes[word] ?? .server
        self.init(
            code, "\(Self.explained(code, address)) answered: \(reply.singleLine)",
            isTemporary: code.isTemporary || Self.temporaryWords.contains(word))
    }

    /// The server, with what to do about an answer in which it does not say that.
    private static func explained(_ code: Code, _ address: RedisAddress) -> String {
        switch code {
        case .outOfMemory:
            "Redis at \(address) is out of memory (raise its maxmemory, or see what fills it: ev-queue stats); it"
        case .readOnly: "Redis at \(address) takes no writes (give the address of the primary server); it"
        default: "Redis at \(address)"
        }
    }

    private static let codes: [String: Code] = [
        "NOAUTH": .authentication, "WRONGPASS": .authentication, "NOPERM": .authentication,
        "READONLY": .readOnly, "OOM": .outOfMemory, "WRONGTYPE": .wrongType, "LOADING": .loading,
        "NOSCRIPT": .noScript,
    ]

    /// Refusals of the server's state, not of the command.
    private static let temporaryWords: Set<String> = ["BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "MISCONF"]
}

extension String {
    /// The text as one line of a log, bounded.
    var singleLine: String {
        String(String.UnicodeScalarView(unicodeScalars.prefix(300).map { $0.value < 32 || $0.value == 127 ? " " : $0 }))
    }
}
