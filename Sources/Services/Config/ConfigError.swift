package import System

/// A mistake in a configuration file, with its place.
package struct ConfigError: ReportableError, Equatable, CustomStringConvertible {
    package let message: String
    package var exitStatus: ExitStatus { .configuration }

    package init(_ message: String) { self.message = message }

    package var description: String { message }
}
