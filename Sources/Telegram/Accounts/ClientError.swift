import Glibc
package import System

/// Why an account cannot be used. Its words hold no key, no code, and nothing that was sent.
package struct ClientError: ReportableError, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// Another process uses the session, and does not share it.
        case busy
        /// The process that owns the session is gone, or does not answer.
        case ownerGone = "owner_gone"
        /// What goes over the socket is not what it should be.
        case socketProtocol = "socket_protocol"
        /// More than is taken at once.
        case tooMuch = "too_much"
        case timedOut = "timed_out"
        case cancelled
        /// Settings that cannot work.
        case configuration
        /// There is no account behind the session (yet).
        case notLoggedIn = "not_logged_in"
        /// Telegram does not take what was given to log in with.
        case loginRefused = "login_refused"
        /// A short form of a peer that stands for nobody who is known.
        case unknownPeer = "unknown_peer"
        /// Telegram answered with something that makes no sense here.
        case unexpectedAnswer = "unexpected_answer"
        /// More than the account may upload.
        case tooLarge = "too_large"
        /// A file without content.
        case emptyFile = "empty_file"
        /// Telegram does not take the reference to a file any more, and the message that it came with does not bring another.
        case referenceLost = "reference_lost"
        case localIO = "local_io"
    }

    package let code: Code
    /// One line in the user's words.
    package let message: String

    package init(_ code: Code, _ message: String) { (self.code, self.message) = (code, message) }

    package var exitStatus: ExitStatus {
        switch code {
        case .busy, .tooMuch: .tryAgain
        case .ownerGone, .timedOut, .cancelled: .unavailable
        case .socketProtocol, .unexpectedAnswer: .protocolBroken
        case .configuration: .configuration
        case .notLoggedIn, .loginRefused: .authenticationRefused
        case .unknownPeer, .tooLarge, .emptyFile, .referenceLost: .no
        case .localIO: .localIO
        }
    }

    package var description: String { message }

    /// What a call of the system says, after `what`.
    static func system(_ what: String, _ number: Int32 = errno) -> ClientError {
        ClientError(.localIO, "\(what): \(String(cString: strerror(number)))")
    }
}
