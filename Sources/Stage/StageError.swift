public import Envelope
import Glibc

/// A reason to end a tool.
public struct StageError: ReportableError, CustomStringConvertible {
    public let exitStatus: ExitStatus
    public let message: String

    public init(_ exitStatus: ExitStatus, _ message: String) {
        self.exitStatus = exitStatus
        self.message = message
    }

    /// A failed system call on something of this machine.
    static func localIO(_ what: String, errno number: Int32 = errno) -> StageError {
        StageError(.localIO, "\(what): \(String(cString: strerror(number)))")
    }

    public var description: String { message }
}
