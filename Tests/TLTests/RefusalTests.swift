import JSON
import System
import TL
import Testing

/// Tests of refusals: each names the fault and its place.
@Suite struct RefusalTests {
    private let schema: TLSchema
    private let decoder: TLDecoder

    init() throws {
        schema = try TLSchema()
        decoder = TLDecoder(schema)
    }

    @Test(arguments: [
        (#"{}"#, "missing_field", "$.peer"),
        (#"[]"#, "wrong_value", "$"),
        (#"{"peer":"@name"}"#, "wrong_value", "$.peer"),
        (#"{"peer":{"_":"inputPeerMe"}}"#, "unknown_name", "$.peer._"),
        (#"{"peer":{"_":"inputUserSelf"}}"#, "unknown_name", "$.peer._"),
        (#"{"peer":{"user_id":1}}"#, "missing_field", "$.peer._"),
        (#"{"peer":{"_":5}}"#, "wrong_value", "$.peer._"),
        (#"{"peer":{"_":"inputPeerUser","user_id":"x","access_hash":0}}"#, "wrong_value", "$.peer.user_id"),
        (#"{"peer":{"_":"inputPeerUser","user_id":1.5,"access_hash":0}}"#, "wrong_value", "$.peer.user_id"),
        (
            #"{"peer":{"_":"inputPeerUser","user_id":9223372036854775808,"access_hash":0}}"#, "wrong_value",
            "$.peer.user_id"
        ),
        (
            #"{"peer":{"_":"inputPeerUser","user_id":"9223372036854775808","access_hash":0}}"#, "wrong_value",
            "$.peer.user_id"
        ),
        (#"{"peer":{"_":"inputPeerUser","user_id":1,"access_hash":0,"hash":0}}"#, "unknown_field", "$.peer.hash"),
        (#"{"peer":{"_":"inputPeerSelf"},"message":5,"random_id":1}"#, "wrong_value", "$.message"),
        (#"{"peer":{"_":"inputPeerSelf"},"message":"","random_id":1,"silent":1}"#, "wrong_value", "$.silent"),
        (
            #"{"peer":{"_":"inputPeerSelf"},"message":"","random_id":1,"schedule_date":2147483648}"#, "wrong_value",
            "$.schedule_date"
        ),
        (#"{"peer":{"_":"inputPeerSelf"},"message":"","random_id":1,"entities":{}}"#, "wrong_value", "$.entities"),
        (
            #"{"peer":{"_":"inputPeerSelf"},"message":"","random_id":1,"entities":[{"_":"messageEntityBold","offset":0,"length":1},{"_":"messageEntityBold","offset":0}]}"#,
            "missing_field", "$.entities[1].length"
        ),
        (#"{"peer":{"_":"inputPeerSelf"},"message":"","random_id":1,"a\nb":1}"#, "unknown_field", #"$["a\nb"]"#),
        (#"{"_":"messages.getHistory"}"#, "wrong_value", "$._"),
    ]) func `Arguments that do not match are refused with their path`(text: String, code: String, path: String) throws {
        let arguments = try JSON(parsing: text)
        let error = #expect(throws: TLError.self) { try schema.request("messages.sendMessage", arguments) }
        #expect(error?.code.rawValue == code)
        #expect(error?.path == path)
        // People read the place without the sign for the whole value.
        let place = path == "$" ? "" : "\(path.dropFirst(path.hasPrefix("$.") ? 2 : 1)): "
        let message = try #require(error?.message)
        #expect(message.hasPrefix(place) && !message.contains("$") && !message.contains("\n"))
    }

    @Test(arguments: [
        (#"{"_":"gzip_packed","packed_data":"A"}"#, "$.packed_data"),
        (#"{"_":"gzip_packed","packed_data":"=AAA"}"#, "$.packed_data"),
        (#"{"_":"req_pq","nonce":"00"}"#, "$.nonce"),
        (#"{"_":"req_pq","nonce":"0000000000000000000000000000000é"}"#, "$.nonce"),
        (#"{"_":"inputGeoPoint","lat":"x","long":0}"#, "$.lat"),
        (#"{"_":"rpc_result","req_msg_id":1,"result":5}"#, "$.result._"),
        (#"{"_":"inputMediaPhoto","id":{"_":"inputPhotoEmpty"},"live_photo":true}"#, "$.video"),
        (
            #"{"_":"inputMediaPhoto","id":{"_":"inputPhotoEmpty"},"live_photo":false,"video":{"_":"inputDocumentEmpty"}}"#,
            "$"
        ),
        (#"{"_":"invokeWithLayer","layer":1,"query":{"_":"inputPeerSelf"}}"#, "$.query._"),
    ]) func `Values that do not match are refused with their path`(text: String, path: String) throws {
        let value = try JSON(parsing: text)
        #expect(#expect(throws: TLError.self) { try schema.encode(value) }?.path == path)
    }

    @Test func `An unknown method is named in one line`() {
        let error = #expect(throws: TLError.self) { try schema.request("messages.get\nHistory", [:]) }
        #expect(error?.message == #"layer 229 has no method named "messages.get\nHistory""#)
    }

    private static let peer: [UInt8] = [0x22, 0x17, 0x51, 0x59, 1, 0, 0, 0, 0, 0, 0, 0]
    private static let vector: [UInt8] = [0x15, 0xc4, 0xb5, 0x1c]

    @Test(arguments: [
        ([], TLError.Code.truncated, 0, "$"),
        ([1, 2, 3], .truncated, 0, "$"),
        ([1, 2, 3, 4], .unknownConstructor, 0, "$"),
        (Array(peer.dropLast()), .truncated, 4, "$.user_id"),
        (peer + [0], .trailingBytes, 12, "$"),
        (vector + [255, 255, 255, 255], .oversized, 4, "$"),
        (vector + [0, 0, 0, 128] + peer, .oversized, 4, "$"),
        (vector + [2, 0, 0, 0] + peer + [9, 9, 9, 9], .unknownConstructor, 20, "$[1]"),
        // A text that claims to be longer than all bytes.
        ([0x19, 0xca, 0x44, 0x21, 0, 0, 0, 0, 254, 255, 255, 255], .truncated, 8, "$.error_message"),
        ([0x19, 0xca, 0x44, 0x21, 0, 0, 0, 0, 255, 0, 0, 0], .oversized, 8, "$.error_message"),
        // A Bool that is neither true nor false, a user in place of a peer, another constructor in place of a vector.
        ([0x2d, 0x4a, 0x27, 0x59, 9, 9, 9, 9], .unknownConstructor, 0, "$"),
        ([0xb8, 0x43, 0x9b, 0x2e] + peer, .unknownConstructor, 0, "$"),
        ([0x59, 0xb4, 0xd6, 0x62, 9, 9, 9, 9, 0, 0, 0, 0], .unexpectedConstructor, 4, "$.msg_ids"),
    ]) func `Bytes that do not fit are refused with their place`(
        bytes: [UInt8], code: TLError.Code, offset: Int, path: String
    ) throws {
        let error = #expect(throws: TLError.self) { try decoder.json(of: bytes) }
        #expect(error?.code == code)
        #expect(error?.offset == offset)
        #expect(error?.path == path)
        #expect(error?.exitStatus == .protocolBroken)
    }

    @Test func `A value of an unexpected type is refused`() throws {
        let user = try #require(schema.type("User"))
        let error = #expect(throws: TLError.self) { try decoder.json(of: RefusalTests.peer, as: user) }
        #expect(error?.code == .unexpectedConstructor)
        #expect(throws: TLError.self) { try decoder.json(of: RefusalTests.peer, as: .method) }
    }

    @Test func `Endless nesting is refused before the stack overflows`() throws {
        // textBold contains a text, to any depth.
        let bold: [UInt8] = Array([0x6724_abc4 as UInt32].withUnsafeBytes { $0 })
        let deep = Array(repeatElement(bold, count: 200_000).joined())
        let error = #expect(throws: TLError.self) { try decoder.json(of: deep) }
        #expect(error?.code == .tooDeep)
        var value: JSON = ["_": "textEmpty"]
        for _ in 0..<TLDecoder.maxDepth - 1 { value = ["_": "textBold", "text": value] }
        #expect(try JSON(parsing: decoder.json(of: schema.encode(value))) == value)
        for _ in 0..<500 { value = ["_": "textBold", "text": value] }
        #expect(throws: TLError.self) { try schema.encode(value) }
    }

    @Test func `A few bytes cannot expand to unlimited JSON`() throws {
        let small = TLDecoder(schema, maxOutputBytes: 1000)
        let peers = RefusalTests.vector + [100, 0, 0, 0] + Array(repeatElement(RefusalTests.peer, count: 100).joined())
        #expect(#expect(throws: TLError.self) { try small.json(of: peers) }?.code == .oversized)
        #expect(try small.json(of: RefusalTests.peer) == decoder.json(of: RefusalTests.peer))
        #expect(#expect(throws: TLError.self) { try small.document(of: peers) }?.code == .oversized)
        #expect(try small.document(of: RefusalTests.peer).json == decoder.document(of: RefusalTests.peer).json)
    }

    @Test func `A refused value appends no bytes`() throws {
        var text = Array("before".utf8)
        let bytes = RefusalTests.peer + [0]
        #expect(throws: TLError.self) { try bytes.withUnsafeBytes { try decoder.decode($0, into: &text) } }
        #expect(text == Array("before".utf8))
    }
}
