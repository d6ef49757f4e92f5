package import System

/// Describes a mistake in a configuration file, with its line.
package struct ConfigError: ReportableError, Equatable, CustomStringConvertible {
    package let message: String
    package var exitStatus: ExitStatus { .configuration }

    package init(_ message: String) { self.message = message }

    package var description: String { message }
}
