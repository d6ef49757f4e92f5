public import Envelope

/// A mistake in a configuration file, with its place.
public struct ConfigError: ReportableError, Equatable, CustomStringConvertible {
    public let message: String
    public var exitStatus: ExitStatus { .configuration }

    public init(_ message: String) { self.message = message }

    public var description: String { message }
}
