import CPostgres
package import System

/// Describes why PostgreSQL, or the way to it, refused an operation.
package struct PostgresError: ReportableError, CustomStringConvertible {
    package enum Code: String, Sendable {
        /// Another attempt may succeed: the server is away, full or busy, or another transaction was in the way.
        case transient
        /// A value can never be stored: it does not fit its type, or violates a constraint or a limit.
        case value
        /// The address, the database, its tables or the rights in it do not fit.
        case configuration
        /// The server refused the user or the password.
        case authentication
        /// The request itself is wrong, or the server failed inside.
        case other
    }

    package let code: Code
    /// PostgreSQL's five characters for the kind of error; nil if the server did not answer.
    package let state: String?
    package let message: String

    package init(_ code: Code, _ message: String, state: String? = nil) {
        (self.code, self.state, self.message) = (code, state, KnownSecrets.removed(from: message))
    }

    /// Makes the error of a state that the server reported.
    init(state: String, _ message: String) { self.init(Code(state: state), message, state: state) }

    package var exitStatus: ExitStatus {
        switch code {
        case .transient: .unavailable
        case .value: .malformedInput
        case .configuration: .configuration
        case .authentication: .authenticationRefused
        case .other: .bug
        }
    }

    package var description: String { message }

    /// Returns the same error with words before its message.
    package func prefixed(_ words: String) -> PostgresError {
        PostgresError(code, "\(words): \(message)", state: state)
    }
}

extension PostgresError.Code {
    /// Sorts an SQLSTATE (PostgreSQL's documentation, appendix A).
    init(state: String) {
        let kind = state.prefix(2)
        switch state {
        case "28P01", "28000": self = .authentication
        // Canceled, shut down, starting up, no lock within the limit, object in use, read-only after a failover.
        case "57014", "57P01", "57P02", "57P03", "57P05", "55P03", "55006", "25006", "26000", "58030":
            self = .transient
        case "3D000", "3F000", "0A000": self = .configuration
        default:
            switch kind {
            case "08", "40", "53", "58": self = .transient
            case "21", "22", "23", "44", "54", "P0": self = .value
            case "42", "F0": self = .configuration
            default: self = .other
            }
        }
    }
}
