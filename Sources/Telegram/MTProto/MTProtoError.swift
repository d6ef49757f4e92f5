package import System

/// Describes why communication with Telegram over MTProto failed.
///
/// The message holds no key, no login code, and nothing that was sent.
package struct MTProtoError: ReportableError, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// No address of the data centre can be reached, or the proxy cannot.
        case unreachable
        /// There was no answer before the deadline; the request may or may not have been executed.
        case timedOut = "timed_out"
        /// The connection was lost.
        case disconnected
        /// The server violates the protocol; none of its messages is trusted.
        case protocolBroken = "protocol_broken"
        /// The server does not know the authorisation key, or does not know it any more.
        case unknownKey = "unknown_key"
        /// There are too many connections; the server demands a wait.
        case transportFlood = "transport_flood"
        /// A setting is wrong: a proxy's secret, an address or a server's key.
        case configuration
        /// Too many requests wait, or one is too long.
        case tooLarge = "too_large"
        /// This side ended the connection.
        case closed
        /// The waiting task was cancelled; the request may or may not have been executed.
        case cancelled
    }

    package let code: Code
    /// One line that the user understands.
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    static func broken(_ what: String) -> MTProtoError {
        MTProtoError(.protocolBroken, "the server violates the protocol: \(what)")
    }

    package var exitStatus: ExitStatus {
        switch code {
        case .unreachable, .timedOut, .disconnected, .closed, .cancelled: .unavailable
        case .protocolBroken: .protocolBroken
        case .unknownKey: .authenticationRefused
        case .transportFlood: .tryAgain
        case .configuration: .configuration
        case .tooLarge: .malformedInput
        }
    }

    /// Is true if another connection may succeed.
    package var isTransient: Bool {
        switch code {
        case .unreachable, .timedOut, .disconnected, .transportFlood: true
        default: false
        }
    }

    package var description: String { message }
}
