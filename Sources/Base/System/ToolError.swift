import Glibc

/// Represents a failure that ends a tool.
package struct ToolError: ReportableError, CustomStringConvertible {
    package let exitStatus: ExitStatus
    package let message: String

    package init(_ exitStatus: ExitStatus, _ message: String) {
        self.exitStatus = exitStatus
        self.message = message
    }

    /// Creates the error of a failed system call on a local file or device.
    package static func localIO(_ what: String, errno number: Int32 = errno) -> ToolError {
        ToolError(.localIO, "\(what): \(String(cString: strerror(number)))")
    }

    package var description: String { message }
}
