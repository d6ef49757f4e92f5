/// Represents a reply of Redis.
package enum RedisValue: Sendable, Equatable {
    case null
    case integer(Int64)
    case bytes([UInt8])
    /// A simple string, such as `OK`.
    case status(String)
    case array([RedisValue])
    /// An error reply's text; its first word is the code.
    case error(String)

    /// The text of a string or status; invalid UTF-8 is repaired. An integer as digits.
    package var string: String? {
        switch self {
        case .bytes(let bytes): String(decoding: bytes, as: UTF8.self)
        case .status(let text): text
        case .integer(let number): String(number)
        case .null, .array, .error: nil
        }
    }

    /// An integer, or a string that is one.
    package var int: Int64? {
        switch self {
        case .integer(let number): number
        case .bytes, .status: string.flatMap { Int64($0) }
        case .null, .array, .error: nil
        }
    }

    package var array: [RedisValue]? {
        if case .array(let values) = self { values } else { nil }
    }

    package var isNull: Bool { self == .null }

    /// Is true for an error reply.
    var isError: Bool {
        if case .error = self { true } else { false }
    }

    /// Is true for the error reply of a replica to a write.
    var saysReadOnly: Bool {
        guard case .error(let text) = self else { return false }
        // Redis 6.2 puts the error of a command within a script, or within a transaction, behind its own.
        let isWrapped = text.hasPrefix("ERR Error running script") || text.hasPrefix("EXECABORT")
        return text.hasPrefix("READONLY") || isWrapped && text.contains("READONLY ")
    }

    /// Is true for the error reply of a cluster's node that another node has the key.
    var isRedirection: Bool {
        if case .error(let text) = self { text.hasPrefix("MOVED ") || text.hasPrefix("ASK ") } else { false }
    }
}

/// Represents one word of a command.
package enum RedisArgument: Sendable, Equatable {
    case text(String)
    case bytes([UInt8])
    case integer(Int64)

    package init(_ text: some StringProtocol) { self = .text(String(text)) }
    package init(_ bytes: [UInt8]) { self = .bytes(bytes) }
    package init(_ number: some BinaryInteger) { self = .integer(Int64(number)) }
}

extension RedisArgument: ExpressibleByStringLiteral, ExpressibleByStringInterpolation, ExpressibleByIntegerLiteral {
    package init(stringLiteral value: String) { self = .text(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
}
