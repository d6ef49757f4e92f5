package import JSON

/// One message of OTLP, which can be written as protobuf and as JSON.
///
/// Source: opentelemetry-proto, and "OTLP/HTTP: JSON Protobuf Encoding": ids in hexadecimal, enumerations as numbers, 64-bit
/// numbers as strings.
package struct OTLPMessage: Sendable {
    package enum Value: Sendable {
        case string(String)
        /// The bytes of an id.
        case id([UInt8])
        case fixed64(UInt64)
        case fixed32(UInt32)
        /// An enumeration's number.
        case number(Int)
        case int64(Int64)
        case double(Double)
        case bool(Bool)
        case message(OTLPMessage)
        case messages([OTLPMessage])
    }

    private struct Field: Sendable {
        let number: UInt64
        let name: String
        let value: Value
    }

    private var fields: [Field] = []

    package init() {}

    /// Adds a field; an absent value adds nothing.
    package mutating func add(_ number: UInt64, _ name: String, _ value: Value?) {
        if let value { fields.append(Field(number: number, name: name, value: value)) }
    }

    // MARK: Protobuf

    package var protobuf: [UInt8] {
        var bytes: [UInt8] = []
        for field in fields { OTLPMessage.write(field, to: &bytes) }
        return bytes
    }

    private static func write(_ field: Field, to bytes: inout [UInt8]) {
        func tag(_ type: UInt64) { varint(field.number << 3 | type, to: &bytes) }
        func prefixed(_ content: some Collection<UInt8>) {
            tag(2)
            varint(UInt64(content.count), to: &bytes)
            bytes += content
        }
        switch field.value {
        case .string(let text): prefixed(text.utf8)
        case .id(let id): prefixed(id)
        case .fixed64(let number):
            tag(1)
            withUnsafeBytes(of: number.littleEndian) { bytes += $0 }
        case .double(let number):
            tag(1)
            withUnsafeBytes(of: number.bitPattern.littleEndian) { bytes += $0 }
        case .fixed32(let number):
            tag(5)
            withUnsafeBytes(of: number.littleEndian) { bytes += $0 }
        case .number(let number):
            tag(0)
            varint(UInt64(bitPattern: Int64(number)), to: &bytes)
        case .int64(let number):
            tag(0)
            varint(UInt64(bitPattern: number), to: &bytes)
        case .bool(let isTrue):
            tag(0)
            bytes.append(isTrue ? 1 : 0)
        case .message(let message): prefixed(message.protobuf)
        case .messages(let messages): for message in messages { prefixed(message.protobuf) }
        }
    }

    private static func varint(_ number: UInt64, to bytes: inout [UInt8]) {
        var rest = number
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    // MARK: JSON

    package var json: JSON {
        .object(JSONObject(fields.map { JSONObject.Member(key: $0.name, value: OTLPMessage.json($0.value)) }))
    }

    private static func json(_ value: Value) -> JSON {
        switch value {
        case .string(let text): .string(text)
        case .id(let id):
            .string(String(decoding: id.flatMap { [hexDigits[Int($0 >> 4)], hexDigits[Int($0 & 15)]] }, as: UTF8.self))
        case .fixed64(let number): .string("\(number)")
        case .fixed32(let number): .integer(Int64(number))
        case .number(let number): .integer(Int64(number))
        case .int64(let number): .string("\(number)")
        case .double(let number): .number(number)
        case .bool(let isTrue): .bool(isTrue)
        case .message(let message): message.json
        case .messages(let messages): .array(messages.map(\.json))
        }
    }
}

extension OTLPMessage {
    /// Makes a `KeyValue`.
    package static func attribute(_ key: String, _ value: JSON) -> OTLPMessage {
        var message = OTLPMessage()
        message.add(1, "key", .string(key))
        message.add(2, "value", .message(any(value)))
        return message
    }

    /// Makes an `AnyValue`; arrays and objects become their JSON text.
    package static func any(_ value: JSON) -> OTLPMessage {
        var message = OTLPMessage()
        switch value {
        case .bool(let isTrue): message.add(2, "boolValue", .bool(isTrue))
        case .integer(let number): message.add(3, "intValue", .int64(number))
        case .number(let number) where number.isFinite: message.add(4, "doubleValue", .double(number))
        default: message.add(1, "stringValue", .string(value.string ?? value.text))
        }
        return message
    }
}
