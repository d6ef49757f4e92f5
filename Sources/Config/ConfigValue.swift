/// One value of a configuration file, and the line where it is.
public struct ConfigValue: Sendable {
    public enum Content: Sendable {
        case string(String)
        case integer(Int64)
        case number(Double)
        case bool(Bool)
        case date
        case array([ConfigValue])
        case table([(key: String, line: Int, value: ConfigValue)])
    }

    public let content: Content
    public let line: Int

    public var string: String? {
        if case .string(let value) = content { value } else { nil }
    }

    public var integer: Int64? {
        if case .integer(let value) = content { value } else { nil }
    }

    public var bool: Bool? {
        if case .bool(let value) = content { value } else { nil }
    }

    public var array: [ConfigValue]? {
        if case .array(let values) = content { values } else { nil }
    }
}
