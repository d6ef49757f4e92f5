/// Exit codes that scripts can rely on (sysexits.h).
package enum ExitStatus: Int32, Sendable {
    case success = 0
    /// The answer is no.
    case no = 1
    case usage = 64
    /// Some input was malformed; the rest was handled.
    case malformedInput = 65
    /// A dependency cannot be reached.
    case unavailable = 69
    case bug = 70
    /// Local input or output failed, a broken pipe included.
    case localIO = 74
    /// Told to wait; try again.
    case tryAgain = 75
    /// The peer broke the protocol.
    case protocolBroken = 76
    case authenticationRefused = 77
    case configuration = 78
}

/// An error that ends a tool: what to print, and how to exit.
package protocol ReportableError: Error {
    var exitStatus: ExitStatus { get }
    /// One line in the user's words, without secrets.
    var message: String { get }
    /// How long the other side asked to wait, exactly; nil when it did not say.
    var retryAfter: Duration? { get }
}

extension ReportableError {
    package var retryAfter: Duration? { nil }
}
