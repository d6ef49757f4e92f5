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
        /// A list of `KeyValue`. It has a case of its own because most of a request consists of attributes, and two messages for
        /// each of them would cost more time than all the rest.
        case attributes(JSONObject)
    }

    private struct Field: Sendable {
        let number: UInt64
        let name: String
        let value: Value
    }

    private var fields: [Field] = []

    /// - Parameter capacity: the number of fields to make room for.
    package init(capacity: Int = 4) { fields.reserveCapacity(capacity) }

    /// Adds a field; an absent value adds nothing.
    package mutating func add(_ number: UInt64, _ name: String, _ value: Value?) {
        if let value { fields.append(Field(number: number, name: name, value: value)) }
    }

    // MARK: Protobuf

    package var protobuf: [UInt8] {
        var writer = ProtobufWriter()
        write(to: &writer)
        return writer.bytes
    }

    private func write(to writer: inout ProtobufWriter) {
        for field in fields {
            let number = field.number
            switch field.value {
            case .string(let text): writer.put(number, text)
            case .id(let id): writer.put(number, id)
            case .fixed64(let value): writer.put(number, fixed64: value)
            case .double(let value): writer.put(number, fixed64: value.bitPattern)
            case .fixed32(let value): writer.put(number, fixed32: value)
            case .number(let value): writer.put(number, varint: UInt64(bitPattern: Int64(value)))
            case .int64(let value): writer.put(number, varint: UInt64(bitPattern: value))
            case .bool(let isTrue): writer.put(number, varint: isTrue ? 1 : 0)
            case .message(let message): writer.put(number) { message.write(to: &$0) }
            case .messages(let messages):
                for message in messages { writer.put(number) { message.write(to: &$0) } }
            case .attributes(let object):
                for member in object.members {
                    writer.put(number) { writer in
                        writer.put(1, member.key)
                        writer.put(2) { OTLPMessage.write(any: member.value, to: &$0) }
                    }
                }
            }
        }
    }

    /// Writes the fields of an `AnyValue`.
    private static func write(any value: JSON, to writer: inout ProtobufWriter) {
        switch value {
        case .string(let text): writer.put(1, text)
        default: OTLPMessage.any(value).write(to: &writer)
        }
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
        case .attributes(let object):
            .array(object.members.map { ["key": .string($0.key), "value": any($0.value).json] })
        }
    }
}

extension OTLPMessage {
    /// Makes an `AnyValue`; arrays and objects become their JSON text.
    package static func any(_ value: JSON) -> OTLPMessage {
        var message = OTLPMessage(capacity: 1)
        switch value {
        case .bool(let isTrue): message.add(2, "boolValue", .bool(isTrue))
        case .integer(let number): message.add(3, "intValue", .int64(number))
        case .number(let number) where number.isFinite: message.add(4, "doubleValue", .double(number))
        default: message.add(1, "stringValue", .string(value.string ?? value.text))
        }
        return message
    }
}
