/// Lists the exit codes that scripts can rely on (sysexits.h).
package enum ExitStatus: Int32, Sendable {
    case success = 0
    /// The answer is no.
    case no = 1
    case usage = 64
    /// Some input was malformed; all other input was handled.
    case malformedInput = 65
    /// A dependency cannot be reached.
    case unavailable = 69
    case bug = 70
    /// Local input or output failed, a broken pipe included.
    case localIO = 74
    /// A service asked to wait, or the time was over; another attempt may succeed.
    case tryAgain = 75
    /// The peer broke the protocol.
    case protocolBroken = 76
    case authenticationRefused = 77
    case configuration = 78
}

/// Represents an error that can end a tool, with its message and exit status.
package protocol ReportableError: Error {
    var exitStatus: ExitStatus { get }
    /// One line that the user understands, without secrets.
    var message: String { get }
    /// The exact time that the other side asked to wait; nil if it named none.
    var retryAfter: Duration? { get }
}

extension ReportableError {
    package var retryAfter: Duration? { nil }
}
