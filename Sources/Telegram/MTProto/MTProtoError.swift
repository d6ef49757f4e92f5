package import System

/// Why a conversation with Telegram over MTProto failed.
///
/// Its words hold no key, no code, and nothing that was sent.
package struct MTProtoError: ReportableError, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// No address of the data centre can be reached, or a proxy on the way.
        case unreachable
        /// No answer before the deadline; the request may or may not have been carried out.
        case timedOut = "timed_out"
        /// The connection was lost.
        case disconnected
        /// The server does what it must not: nothing that it said is believed.
        case protocolBroken = "protocol_broken"
        /// The server does not know the authorization key (any more).
        case unknownKey = "unknown_key"
        /// Too many connections: the server wants a pause.
        case transportFlood = "transport_flood"
        /// Settings that cannot work: a proxy's secret, an address, a server's key.
        case configuration
        /// More requests wait than are taken, or one is too long.
        case tooLarge = "too_large"
        /// This side ended it.
        case closed
        /// The task that waited was cancelled; the request may or may not have been carried out.
        case cancelled
    }

    package let code: Code
    /// One line in the user's words.
    package let message: String

    package init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    static func broken(_ what: String) -> MTProtoError {
        MTProtoError(.protocolBroken, "the server breaks the protocol: \(what)")
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

    /// Whether a new connection may help.
    package var isTemporary: Bool {
        switch code {
        case .unreachable, .timedOut, .disconnected, .transportFlood: true
        default: false
        }
    }

    package var description: String { message }
}
