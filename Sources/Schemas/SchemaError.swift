public import Envelope

/// Why schemas cannot be used.
public struct SchemaError: ReportableError, CustomStringConvertible {
    public let message: String
    public var exitStatus: ExitStatus { .configuration }

    public init(_ message: String) { self.message = message }

    public var description: String { message }
}
