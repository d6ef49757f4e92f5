/// A reply of Redis.
public enum RedisValue: Sendable, Equatable {
    case null
    case integer(Int64)
    case bytes([UInt8])
    /// A simple string, such as `OK`.
    case status(String)
    case array([RedisValue])
    /// An error reply's text; its first word is the code.
    case error(String)

    /// The text of a string or status; invalid UTF-8 is repaired. An integer as digits.
    public var string: String? {
        switch self {
        case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
        case .status(let text): text
        case .integer(let number): String(number)
        case .null, .array, .error: nil
        }
    }

    /// An integer, or a string that is one.
    public var int: Int64? {
        switch self {
        case .integer(let number): number
        case .bytes, .status: string.flatMap { Int64($0) }
        case .null, .array, .error: nil
        }
    }

    public var array: [RedisValue]? {
        if case .array(let values) = self { values } else { nil }
    }

    public var isNull: Bool { self == .null }
}

/// One word of a command.
public enum RedisArgument: Sendable, Equatable {
    case text(String)
    case bytes([UInt8])
    case integer(Int64)

    public init(_ text: some StringProtocol) { self = .text(String(text)) }
    public init(_ bytes: [UInt8]) { self = .bytes(bytes) }
    public init(_ number: some BinaryInteger) { self = .integer(Int64(number)) }
}

extension RedisArgument: ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral {
    public init(stringLiteral value: String) { self = .text(value) }
    public init(integerLiteral value: Int64) { self = .integer(value) }
}
