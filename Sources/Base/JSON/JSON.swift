/// A JSON value; objects keep the order of their keys.
package enum JSON: Sendable, Hashable {
    case null
    case bool(Bool)
    case integer(Int64)
    /// An integer that is too large for `integer`.
    case unsigned(UInt64)
    case number(Double)
    /// A number outside the range of the other cases, as it was written.
    case numeral(String)
    case string(String)
    /// A string with an unpaired UTF-16 surrogate, which a `String` cannot hold: the text has U+FFFD in its place, and the
    /// source is the text between the quotes as it was written. Programs that cut text by UTF-16 units write such strings.
    case escaped(String, source: String)
    case array([JSON])
    case object(JSONObject)

    package var isNull: Bool { self == .null }

    package var string: String? {
        switch self {
        case .string(let value), .escaped(let value, _): value
        default: nil
        }
    }

    package var bool: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    /// The value as an integer, also if it was written as `3.0`; nil for other values.
    package var int: Int64? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int64(exactly: value)
        default: nil
        }
    }

    /// The value as an integer, also if it was written as a string of digits: Telegram's ids may lose digits as JSON
    /// numbers, and scripts write ids as text.
    package var long: Int64? { int ?? string.flatMap { Int64($0) } }

    package var double: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .unsigned(let value): Double(value)
        case .number(let value): value
        case .numeral(let text): Double(text).flatMap { $0.isFinite ? $0 : nil }
        default: nil
        }
    }

    package var array: [JSON]? {
        if case .array(let value) = self { value } else { nil }
    }

    package var object: JSONObject? {
        if case .object(let value) = self { value } else { nil }
    }

    /// The value in a form that every JSON parser accepts: U+FFFD in place of unpaired surrogates, and the largest finite
    /// number in place of larger ones.
    package var widelyAccepted: JSON {
        switch self {
        case .numeral(let text):
            double == nil ? .number(text.hasPrefix("-") ? -.greatestFiniteMagnitude : .greatestFiniteMagnitude) : self
        case .escaped(let text, _): .string(text)
        case .array(let items): .array(items.map(\.widelyAccepted))
        case .object(let object):
            .object(JSONObject(object.members.map { JSONObject.Member(key: $0.key, value: $0.value.widelyAccepted) }))
        default: self
        }
    }

    /// The value of a key; nil if this is not an object, or the key is absent or `null`.
    package subscript(key: String) -> JSON? {
        guard case .object(let object) = self else { return nil }
        return object[key]
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    package init(stringLiteral value: String) { self = .string(value) }
    package init(integerLiteral value: Int64) { self = .integer(value) }
    package init(booleanLiteral value: Bool) { self = .bool(value) }
    package init(floatLiteral value: Double) { self = .number(value) }
    package init(arrayLiteral elements: JSON...) { self = .array(elements) }
    package init(dictionaryLiteral elements: (String, JSON)...) {
        self = .object(JSONObject(elements.map { JSONObject.Member(key: $0.0, value: $0.1) }))
    }
}

/// Stores the members of a JSON object in their order. Lookup is linear, because the objects of envelopes are small.
package struct JSONObject: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    package struct Member: Sendable, Hashable {
        package let key: String
        package var value: JSON

        package init(key: String, value: JSON) {
            self.key = key
            self.value = value
        }
    }

    package private(set) var members: [Member]

    package init(_ members: [Member] = []) { self.members = members }

    package init(dictionaryLiteral elements: (String, JSON?)...) {
        members = elements.compactMap { key, value in value.map { Member(key: key, value: $0) } }
    }

    package var isEmpty: Bool { members.isEmpty }

    /// The value of a key; nil if the key is absent or `null`, which mean the same in every payload of tgpipe.
    package subscript(key: String) -> JSON? {
        get {
            guard let value = members.first(where: { $0.key == key })?.value, !value.isNull else { return nil }
            return value
        }
        set {
            let index = members.firstIndex { $0.key == key }
            switch (index, newValue) {
            case (let index?, let value?): members[index].value = value
            case (let index?, nil): members.remove(at: index)
            case (nil, let value?): members.append(Member(key: key, value: value))
            case (nil, nil): break
            }
        }
    }

    /// Returns the value at a path of keys, such as `meta`, `actor`, `id`; nil if there is none.
    package func value(at path: some Sequence<String>) -> JSON? {
        var current = JSON.object(self)
        for key in path {
            guard let next = current[key] else { return nil }
            current = next
        }
        return current
    }
}

/// Stores a JSON number in the form in which it was written: 4 stays 4, and 4.0 stays 4.0.
package struct JSONNumber: Sendable, Hashable {
    package let json: JSON

    package init(_ value: Double) { json = .number(value) }
    package init(_ value: Int64) { json = .integer(value) }

    /// Returns nil for a value that is not a number.
    package init?(_ json: JSON) {
        guard json.double != nil else { return nil }
        self.json = json
    }

    package var double: Double { json.double ?? 0 }

    /// The number rounded to an integer, halves away from zero; nil if no `Int64` holds it.
    package var rounded: Int64? { json.int ?? Int64(exactly: double.rounded()) }
}
