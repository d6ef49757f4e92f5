package import System

/// Holds one value of a configuration file, and its line.
package struct ConfigValue: Sendable {
    package enum Content: Sendable {
        case string(String)
        case integer(Int64)
        case number(Double)
        case bool(Bool)
        case date
        case array([ConfigValue])
        case table([(key: String, line: Int, value: ConfigValue)])
    }

    package let content: Content
    package let line: Int

    package var string: String? {
        if case .string(let value) = content { value } else { nil }
    }

    package var integer: Int64? {
        if case .integer(let value) = content { value } else { nil }
    }

    package var bool: Bool? {
        if case .bool(let value) = content { value } else { nil }
    }

    package var array: [ConfigValue]? {
        if case .array(let values) = content { values } else { nil }
    }
}

/// Describes a mistake in a configuration file, with its line.
package struct ConfigError: ReportableError, Equatable, CustomStringConvertible {
    package let message: String
    package var exitStatus: ExitStatus { .configuration }

    package init(_ message: String) { self.message = message }

    package var description: String { message }
}
