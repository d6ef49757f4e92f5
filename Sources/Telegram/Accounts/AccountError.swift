import Glibc
package import System

/// Says why an account or its session cannot be used.
///
/// The message never contains a key, a login code or anything that was sent.
package struct AccountError: ReportableError, Equatable, CustomStringConvertible {
    package enum Code: String, Sendable {
        // MARK: The session's files

        /// The name is not a valid session name.
        case invalidName = "invalid_name"
        case notFound = "not_found"
        /// A session of this name exists already.
        case exists
        /// The file is not a session, or is incomplete.
        case damaged
        /// The file has a version that this program cannot read.
        case otherVersion = "other_version"
        /// Other users may read the file.
        case exposed
        /// The file is encrypted, and the passphrase is missing or wrong.
        case locked
        /// The input of an import is not a supported session format.
        case notImportable = "not_importable"
        /// A file of the session cannot be read or written.
        case sessionIO = "session_io"

        // MARK: The account

        /// Another process uses the session and does not share it.
        case busy
        /// The process that owns the session has ended, or does not answer.
        case ownerGone = "owner_gone"
        /// A line on the owner's socket breaks the protocol.
        case socketProtocol = "socket_protocol"
        /// A limit on concurrent clients, requests or attempts is reached.
        case tooMuch = "too_much"
        case timedOut = "timed_out"
        case cancelled
        /// The settings cannot work.
        case configuration
        /// The session has no account, or has ended.
        case notLoggedIn = "not_logged_in"
        /// Telegram refuses the login data.
        case loginRefused = "login_refused"
        /// A peer reference does not resolve to a known peer.
        case unknownPeer = "unknown_peer"
        /// The account has looked up as many user names as it may in a day.
        case namesUsedUp = "names_used_up"
        /// Telegram's answer lacks a required value.
        case unexpectedAnswer = "unexpected_answer"
        /// The file exceeds the account's upload limit.
        case tooLarge = "too_large"
        /// The file has no content.
        case emptyFile = "empty_file"
        /// Telegram refuses the file reference, and the file's message does not provide a new one.
        case referenceLost = "reference_lost"
        /// A file to upload or download, or the owner's socket, cannot be read or written.
        case localIO = "local_io"
    }

    package let code: Code
    /// One line for the user.
    package let message: String

    package init(_ code: Code, _ message: String) { (self.code, self.message) = (code, message) }

    package var exitStatus: ExitStatus {
        switch code {
        case .invalidName: .usage
        case .notFound, .damaged, .otherVersion, .exposed, .locked, .exists, .configuration: .configuration
        case .notImportable: .malformedInput
        case .busy, .tooMuch, .namesUsedUp: .tryAgain
        case .ownerGone, .timedOut, .cancelled: .unavailable
        case .socketProtocol, .unexpectedAnswer: .protocolBroken
        case .notLoggedIn, .loginRefused: .authenticationRefused
        case .unknownPeer, .tooLarge, .emptyFile, .referenceLost: .no
        case .localIO, .sessionIO: .localIO
        }
    }

    package var description: String { message }

    /// Returns an error of code `localIO` whose message is `what` followed by the system's error text.
    static func localIO(_ what: String, _ number: Int32 = errno) -> AccountError {
        AccountError(.localIO, "\(what): \(String(cString: strerror(number)))")
    }
}

// MARK: - JSON

extension AccountError {
    /// The error's `kind` in JSON: `account` if it concerns the session's files, else `client`.
    var kind: String {
        switch code {
        case .invalidName, .notFound, .exists, .damaged, .otherVersion, .exposed, .locked, .notImportable, .sessionIO:
            "account"
        default: "client"
        }
    }

    /// The error's `name` in JSON.
    var name: String { code == .sessionIO ? Code.localIO.rawValue : code.rawValue }

    /// Returns the error with this `kind` and `name`, or nil if there is none.
    init?(kind: String, name: String, message: String) {
        guard kind == "account" || kind == "client" else { return nil }
        let isLocalIO = name == Code.localIO.rawValue
        guard let code = isLocalIO && kind == "account" ? .sessionIO : Code(rawValue: name) else { return nil }
        self.init(code, message)
    }
}
