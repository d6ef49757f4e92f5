import CSimdJSON

/// Shows one value of a parsed document, without building a tree; valid until the next call of its parser.
///
/// Reading beyond the document is impossible, because the parser has checked it; using a view for longer than it is valid is a fault of
/// the caller.
package struct JSONView {
    private let token: UnsafePointer<tgp_token>

    init(_ token: UnsafePointer<tgp_token>) { self.token = token }

    /// The value as an integer, also if it was written as a string of digits, as by `JSON.long`.
    package var long: Int64? {
        switch token.pointee.kind {
        case TGP_INTEGER: token.pointee.integer
        case TGP_STRING: JSONView.plainNumber(token.pointee) ?? json.long
        case TGP_DOUBLE: json.int
        default: nil
        }
    }

    /// Returns the number that a string's decimal digits represent; nil if there is anything else, or the number is too large.
    private static func plainNumber(_ token: tgp_token) -> Int64? {
        guard let bytes = token.bytes else { return nil }
        let isNegative = token.count > 0 && bytes[0] == CChar(0x2D)
        let first = isNegative ? 1 : 0
        guard (1...19).contains(token.count - first) else { return nil }
        var number: UInt64 = 0
        for index in first..<token.count {
            let digit = UInt64(UInt8(bitPattern: bytes[index]) &- 0x30)
            guard digit < 10 else { return nil }
            number = number &* 10 &+ digit
        }
        guard number <= UInt64(Int64.max) else { return nil }
        return isNegative ? -Int64(number) : Int64(number)
    }

    /// The value as an integer, as by `JSON.int`.
    package var int: Int64? {
        switch token.pointee.kind {
        case TGP_INTEGER: token.pointee.integer
        case TGP_DOUBLE: json.int
        default: nil
        }
    }

    /// The value as a number, as by `JSON.double`.
    package var double: Double? {
        switch token.pointee.kind {
        case TGP_INTEGER: Double(token.pointee.integer)
        case TGP_DOUBLE: token.pointee.number
        default: json.double
        }
    }

    /// The value if it was written as an integer.
    var plainInteger: Int64? { token.pointee.kind == TGP_INTEGER ? token.pointee.integer : nil }

    package var isTrue: Bool { token.pointee.kind == TGP_TRUE }
    package var isNull: Bool { token.pointee.kind == TGP_NULL }

    /// The bytes of a string in UTF-8; nil for other values, and for a string that UTF-8 cannot represent.
    package var text: UnsafeRawBufferPointer? {
        token.pointee.kind == TGP_STRING
            ? UnsafeRawBufferPointer(start: token.pointee.bytes, count: token.pointee.count) : nil
    }

    /// Returns whether the value is this string.
    package func isText(_ other: StaticString) -> Bool { text.map { $0.isEqual(to: other) } ?? false }

    /// The value of a key; nil if this is not an object, or the key is absent or `null`.
    package subscript(key: StaticString) -> JSONView? {
        for member in members where member.key.isEqual(to: key) { return member.value.isNull ? nil : member.value }
        return nil
    }

    /// The values of an array; none for other values.
    package var elements: Elements {
        Elements(at: token + 1, left: token.pointee.kind == TGP_ARRAY ? token.pointee.count : 0)
    }

    /// The members of an object; none for other values.
    package var members: Members {
        Members(at: token + 1, left: token.pointee.kind == TGP_OBJECT ? token.pointee.count : 0)
    }

    /// No values, in place of an absent array.
    package var none: Elements { Elements(at: token, left: 0) }

    package var isObject: Bool { token.pointee.kind == TGP_OBJECT }
    package var isArray: Bool { token.pointee.kind == TGP_ARRAY }

    /// The value as a tree.
    package var json: JSON {
        // The reader stops at the end of the value.
        var reader = TokenReader(tokens: UnsafeBufferPointer(start: token, count: JSONView.size(of: token)))
        return reader.value()
    }

    /// Returns the number of tokens of a value.
    private static func size(of token: UnsafePointer<tgp_token>) -> Int {
        switch token.pointee.kind {
        case TGP_ARRAY, TGP_OBJECT: Int(token.pointee.integer)
        case TGP_ESCAPED: 2
        default: 1
        }
    }

    package struct Elements: Sequence, IteratorProtocol {
        fileprivate var at: UnsafePointer<tgp_token>
        fileprivate var left: Int

        /// The number of values that `next` has not returned yet.
        package var count: Int { left }

        package mutating func next() -> JSONView? {
            guard left > 0 else { return nil }
            left -= 1
            defer { at += JSONView.size(of: at) }
            return JSONView(at)
        }
    }

    package struct Members: Sequence, IteratorProtocol {
        fileprivate var at: UnsafePointer<tgp_token>
        fileprivate var left: Int

        package mutating func next() -> (key: UnsafeRawBufferPointer, value: JSONView)? {
            guard left > 0 else { return nil }
            left -= 1
            let key = UnsafeRawBufferPointer(start: at.pointee.bytes, count: at.pointee.count)
            let value = at + 1
            at = value + JSONView.size(of: value)
            return (key, JSONView(value))
        }
    }
}

extension UnsafeRawBufferPointer {
    /// Returns whether the bytes are those of a text.
    @inline(__always)
    package func isEqual(to text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count where self[index] != text.utf8Start[index] { return false }
        return true
    }
}
