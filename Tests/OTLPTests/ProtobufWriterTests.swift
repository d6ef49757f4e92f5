import JSON
import Testing

@testable import OTLP

@Suite struct ProtobufWriterTests {
    /// Encodes a number as protobuf does, in the plainest way.
    private func varint(_ number: Int) -> [UInt8] {
        number < 0x80 ? [UInt8(number)] : [UInt8(number & 0x7f | 0x80)] + varint(number >> 7)
    }

    private func prefixed(_ field: Int, _ content: [UInt8]) -> [UInt8] {
        varint(field << 3 | 2) + varint(content.count) + content
    }

    @Test(arguments: [0, 1, 123, 124, 125, 126, 127, 128, 129, 16_379, 16_380, 16_383, 16_384, 16_385, 3_000_000])
    func `Messages in messages have the length of their content, however long it is`(_ count: Int) {
        let text = String(repeating: "x", count: count)
        var inner = OTLPMessage()
        inner.add(1, "a", .string(text))
        var middle = OTLPMessage()
        middle.add(16, "b", .message(inner))
        middle.add(2, "c", .messages([inner, inner]))
        var outer = OTLPMessage()
        outer.add(3, "d", .message(middle))
        outer.add(4, "e", .number(300))
        let content = prefixed(1, Array(text.utf8))
        let expected = prefixed(3, prefixed(16, content) + prefixed(2, content) + prefixed(2, content)) + [32, 0xac, 2]
        #expect(outer.protobuf == expected)
    }

    @Test func `Attributes are lists of keys and values in both encodings`() {
        var message = OTLPMessage()
        message.add(9, "attributes", .attributes(["ключ": "wert", "n": -1, "b": true, "d": 0.5, "o": ["x": 1]]))
        let expected =
            prefixed(9, prefixed(1, Array("ключ".utf8)) + prefixed(2, prefixed(1, Array("wert".utf8))))
            + prefixed(9, prefixed(1, [110]) + prefixed(2, [24] + Array(repeating: 0xff, count: 9) + [1]))
            + prefixed(9, prefixed(1, [98]) + prefixed(2, [16, 1]))
            + prefixed(9, prefixed(1, [100]) + prefixed(2, [33, 0, 0, 0, 0, 0, 0, 0xe0, 0x3f]))
            + prefixed(9, prefixed(1, [111]) + prefixed(2, prefixed(1, Array(#"{"x":1}"#.utf8))))
        #expect(message.protobuf == expected)
        #expect(
            message.json["attributes"]?.array?.map(\.text) == [
                #"{"key":"ключ","value":{"stringValue":"wert"}}"#, #"{"key":"n","value":{"intValue":"-1"}}"#,
                #"{"key":"b","value":{"boolValue":true}}"#, #"{"key":"d","value":{"doubleValue":0.5}}"#,
                #"{"key":"o","value":{"stringValue":"{\"x\":1}"}}"#,
            ])
    }
}
