package import System

/// Why schemas cannot be used.
package struct SchemaError: ReportableError, CustomStringConvertible {
    package let message: String
    package var exitStatus: ExitStatus { .configuration }

    package init(_ message: String) { self.message = message }

    package var description: String { message }
}
