/// Holds one value of a document, or one key of an object.
///
/// A document is a list of tokens in the order of its text. The values of an array follow the array's token; a key and a value for
/// each member of an object follow the object's token. `JSONView` reads such a list. `JSONParser` makes it from text, and other
/// decoders may make it directly: their tokens and all texts must stay in place for as long as a view is used.
///
/// The layout in memory is that of `tgp_token` in CSimdJSON.h: the kind in the first byte, the count at byte 8, and the bits at
/// byte 16, in 24 bytes.
package struct JSONToken {
    /// The order of the kinds is that of `tgp_kind`.
    package enum Kind: UInt8 {
        case null, `false`, `true`
        /// An integer: its bits are those of an `Int64`.
        case integer
        /// An integer above the largest `Int64`: its bits are those of a `UInt64`.
        case unsigned
        /// A number: its bits are those of a `Double`.
        case double
        /// A string or a key: its bits are the address of its text in UTF-8, without quotes and escapes, and its count is the
        /// number of bytes.
        case string
        /// A number outside the range of the other kinds, as a text in the same form.
        case numeral
        /// A string with an unpaired surrogate, as the text between its quotes with its escapes. A `string` with U+FFFD in place
        /// of the surrogate follows.
        case escaped
        /// An array: its count is the number of its values. Its bits are the number of its tokens, its own included.
        case array
        /// An object: its count is the number of its members. Its bits are the number of its tokens, its own included.
        case object
    }

    package var kind: Kind
    /// The number of bytes, values or members; 0 for other kinds.
    package var count: Int
    package var bits: UInt64

    var integer: Int64 { Int64(bitPattern: bits) }
    var double: Double { Double(bitPattern: bits) }

    /// The text of a string, a numeral or an escaped string.
    var text: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: UInt(bits)), count: count)
    }
}

/// Makes a tree of a list of tokens.
struct TokenReader {
    var token: UnsafePointer<JSONToken>

    mutating func value() -> JSON {
        let token = next()
        switch token.kind {
        case .null: return .null
        case .false: return .bool(false)
        case .true: return .bool(true)
        case .integer: return .integer(token.integer)
        case .unsigned: return .unsigned(token.bits)
        case .double: return .number(token.double)
        case .string: return .string(String(decoding: token.text, as: UTF8.self))
        case .numeral: return .numeral(String(decoding: token.text, as: UTF8.self))
        case .escaped:
            let text = next().text
            return .escaped(
                String(decoding: text, as: UTF8.self), source: String(decoding: token.text, as: UTF8.self))
        case .array: return .array((0..<token.count).map { _ in value() })
        case .object: return .object(JSONObject((0..<token.count).map { _ in member() }))
        }
    }

    private mutating func next() -> JSONToken {
        defer { token += 1 }
        return token.pointee
    }

    private mutating func member() -> JSONObject.Member {
        let key = String(decoding: next().text, as: UTF8.self)
        return JSONObject.Member(key: key, value: value())
    }
}
