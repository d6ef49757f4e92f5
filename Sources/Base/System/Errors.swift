import Glibc

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

/// Represents a failure that ends a tool.
package struct ToolError: ReportableError, CustomStringConvertible {
    package let exitStatus: ExitStatus
    package let message: String
    /// Is true if the reader of an output has ended, which is no fault of this tool.
    package let isEndOfReader: Bool

    package init(_ exitStatus: ExitStatus, _ message: String) {
        self.init(exitStatus, message, isEndOfReader: false)
    }

    package init(endOfReaderOf output: String) {
        self.init(.localIO, "\(output) has no reader any more", isEndOfReader: true)
    }

    private init(_ exitStatus: ExitStatus, _ message: String, isEndOfReader: Bool) {
        self.exitStatus = exitStatus
        self.message = message
        self.isEndOfReader = isEndOfReader
    }

    /// Returns the same error with further words at the end of its message.
    package func adding(_ words: String) -> ToolError {
        ToolError(exitStatus, message + words, isEndOfReader: isEndOfReader)
    }

    /// Creates the error of a failed system call on a local file or device.
    package static func localIO(_ what: String, errno number: Int32 = errno) -> ToolError {
        ToolError(.localIO, "\(what): \(String(cString: strerror(number)))")
    }

    package var description: String { message }
}

/// A system call's failure.
package struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The system's error number (`errno`).
    package let number: Int32

    package init(_ number: Int32) { self.number = number }

    /// The system's words for the error.
    package var description: String { String(cString: strerror(number)) }
}
