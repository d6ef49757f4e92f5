/// Shows one value of a parsed document, without building a tree; valid until the next call of its parser.
///
/// Reading beyond the document is impossible, because the parser has checked it; using a view for longer than it is valid is a fault of
/// the caller.
package struct JSONView {
    private let token: UnsafePointer<JSONToken>

    /// Shows a value that a parser or another decoder has made.
    ///
    /// - Parameter token: the first token of the value. Nothing checks the tokens: they must be as `JSONToken` describes.
    package init(_ token: UnsafePointer<JSONToken>) { self.token = token }

    /// Returns a number that stands for the value: equal values have the same one, and others most likely not.
    ///
    /// - Parameter seed: a random number, so that nobody can choose values with the same number.
    package func hash(seed: UInt64) -> UInt64 {
        var hash = seed
        func add(_ word: UInt64) {
            // The halves of a product of 128 bits depend on all bits of both factors.
            let (high, low) = (hash ^ word).multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
            hash = high ^ low ^ seed
        }
        for index in 0..<JSONView.size(of: token) {
            let token = token[index]
            add(UInt64(token.kind.rawValue) << 48 ^ UInt64(token.count))
            switch token.kind {
            case .string, .numeral, .escaped:
                let bytes = token.text
                var at = 0
                while bytes.count - at >= 8 {
                    add(bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self))
                    at += 8
                }
                var last: UInt64 = 0
                while at < bytes.count {
                    last = last << 8 | UInt64(bytes[at])
                    at += 1
                }
                add(last)
            case .integer, .unsigned, .double: add(token.bits)
            default: break
            }
        }
        return hash
    }

    /// The value as an integer, also if it was written as a string of digits, as by `JSON.long`.
    package var long: Int64? {
        switch token.pointee.kind {
        case .integer: token.pointee.integer
        case .string: JSONView.plainNumber(token.pointee) ?? json.long
        case .double: json.int
        default: nil
        }
    }

    /// Returns the number that a string's decimal digits represent; nil if there is anything else, or the number is too large.
    private static func plainNumber(_ token: JSONToken) -> Int64? {
        let text = token.text
        let isNegative = text.first == UInt8(ascii: "-")
        let first = isNegative ? 1 : 0
        guard (1...19).contains(text.count - first) else { return nil }
        var number: UInt64 = 0
        for index in first..<text.count {
            let digit = UInt64(text[index] &- UInt8(ascii: "0"))
            guard digit < 10 else { return nil }
            number = number &* 10 &+ digit
        }
        guard number <= UInt64(Int64.max) else { return nil }
        return isNegative ? -Int64(number) : Int64(number)
    }

    /// The value as an integer, as by `JSON.int`.
    package var int: Int64? {
        switch token.pointee.kind {
        case .integer: token.pointee.integer
        case .double: json.int
        default: nil
        }
    }

    /// The value as a number, as by `JSON.double`.
    package var double: Double? {
        switch token.pointee.kind {
        case .integer: Double(token.pointee.integer)
        case .double: token.pointee.double
        default: json.double
        }
    }

    /// The value if it was written as an integer.
    var plainInteger: Int64? { token.pointee.kind == .integer ? token.pointee.integer : nil }

    package var isTrue: Bool { token.pointee.kind == .true }
    package var isNull: Bool { token.pointee.kind == .null }

    /// The bytes of a string in UTF-8; nil for other values, and for a string that UTF-8 cannot represent.
    package var text: UnsafeRawBufferPointer? {
        token.pointee.kind == .string ? token.pointee.text : nil
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
        Elements(at: token + 1, left: token.pointee.kind == .array ? token.pointee.count : 0)
    }

    /// The members of an object; none for other values.
    package var members: Members {
        Members(at: token + 1, left: token.pointee.kind == .object ? token.pointee.count : 0)
    }

    /// No values, in place of an absent array.
    package var none: Elements { Elements(at: token, left: 0) }

    package var isObject: Bool { token.pointee.kind == .object }
    package var isArray: Bool { token.pointee.kind == .array }

    /// The value as a tree.
    package var json: JSON {
        var reader = TokenReader(token: token)
        return reader.value()
    }

    /// Returns the number of tokens of a value.
    private static func size(of token: UnsafePointer<JSONToken>) -> Int {
        switch token.pointee.kind {
        case .array, .object: Int(token.pointee.integer)
        case .escaped: 2
        default: 1
        }
    }

    package struct Elements: Sequence, IteratorProtocol {
        fileprivate var at: UnsafePointer<JSONToken>
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
        fileprivate var at: UnsafePointer<JSONToken>
        fileprivate var left: Int

        package mutating func next() -> (key: UnsafeRawBufferPointer, value: JSONView)? {
            guard left > 0 else { return nil }
            left -= 1
            let key = at.pointee.text
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
