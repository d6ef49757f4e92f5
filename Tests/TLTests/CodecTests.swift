import JSON
import TL
import Testing

/// Tests of the forms that docs/tl.md describes.
@Suite struct CodecTests {
    private let schema: TLSchema
    private let decoder: TLDecoder

    init() throws {
        schema = try TLSchema()
        decoder = TLDecoder(schema)
    }

    /// - Parameter words: little-endian words of four bytes, as a protocol's documentation shows them.
    private func bytes(_ words: UInt32...) -> [UInt8] {
        words.flatMap { word in withUnsafeBytes(of: word.littleEndian) { Array($0) } }
    }

    private func json(_ bytes: [UInt8], as type: TLType = .object) throws -> String {
        let text = try decoder.json(of: bytes, as: type)
        // The document is the same value.
        #expect(try decoder.document(of: bytes, as: type).json == JSON(parsing: text))
        return String(decoding: text, as: UTF8.self)
    }

    private func encoded(_ text: String, as type: TLType = .object) throws -> [UInt8] {
        try schema.encode(try JSON(parsing: text), as: type)
    }

    @Test(arguments: [
        (#"{"_":"inputPeerSelf"}"#, "7da07ec9"),
        (#"{"_":"peerUser","user_id":9007199254740991}"#, "59511722 ffffffff 001fffff"),
        (#"{"_":"peerUser","user_id":"9007199254740992"}"#, "59511722 00000000 00200000"),
        (#"{"_":"peerUser","user_id":-9007199254740991}"#, "59511722 00000001 ffe00000"),
        (#"{"_":"peerUser","user_id":"-9223372036854775808"}"#, "59511722 00000000 80000000"),
        (#"{"_":"pong","msg_id":"9223372036854775807","ping_id":0}"#, "347773c5 ffffffff 7fffffff 00000000 00000000"),
        (
            #"{"_":"dh_gen_ok","nonce":"000102030405060708090a0b0c0d0e0f","#
                + #""server_nonce":"ffffffffffffffffffffffffffffffff","new_nonce_hash1":"00000000000000000000000000000000"}"#,
            "3bcbf734 03020100 07060504 0b0a0908 0f0e0d0c ffffffff ffffffff ffffffff ffffffff 0 0 0 0"
        ),
        (#"{"_":"inputGeoPoint","lat":0.5,"long":-0.0}"#, "48222faf 0 0 3fe00000 0 80000000"),
        (
            #"{"_":"inputGeoPoint","lat":"NaN","long":"-Infinity","accuracy_radius":7}"#,
            "48222faf 1 0 7ff80000 0 fff00000 7"
        ),
        (#"{"_":"gzip_packed","packed_data":"/wABAg=="}"#, "3072cfa1 0100ff04 00000002"),
        (#"{"_":"rpc_error","error_code":-503,"error_message":"a\"b"}"#, "2144ca19 fffffe09 62226103"),
        (#"{"_":"msgs_ack","msg_ids":[1,2]}"#, "62d6b459 1cb5c415 2 1 0 2 0"),
        (
            #"{"_":"future_salts","req_msg_id":1,"now":2,"salts":[{"_":"future_salt","valid_since":3,"valid_until":4,"salt":5}]}"#,
            "ae500895 1 0 2 1 3 4 5 0"
        ),
        (#"{"_":"rpc_result","req_msg_id":1,"result":true}"#, "f35c6d01 1 0 997275b5"),
        (
            #"{"_":"rpc_result","req_msg_id":1,"result":[{"_":"peerChat","chat_id":7},false]}"#,
            "f35c6d01 1 0 1cb5c415 2 36c6019a 7 0 bc799737"
        ),
        (#"{"_":"codeSettings","allow_flashcall":true,"current_number":true}"#, "ad253d78 3"),
        (#"{"_":"codeSettings","logout_tokens":["AAAA",""]}"#, "ad253d78 40 1cb5c415 2 00000003 0"),
    ]) func `Each type has its form in JSON`(text: String, words: String) throws {
        let bytes = bytes(words)
        #expect(try json(bytes) == text)
        #expect(try encoded(text) == bytes)
    }

    private func bytes(_ words: String) -> [UInt8] {
        words.split(separator: " ").flatMap { bytes(UInt32($0, radix: 16) ?? 0) }
    }

    @Test func `A method inside another method keeps its own result type`() throws {
        let inner = #"{"_":"contacts.getContactIDs","hash":5}"#
        let request = try schema.request(
            "invokeWithLayer",
            try JSON(parsing: #"{"layer":229,"query":{"_":"invokeWithoutUpdates","query":\#(inner)}}"#))
        #expect(request.bytes == bytes(0xda9b_0d0d, 229, 0xbf94_59b7, 0x7adc_669d, 5, 0))
        #expect(try json(bytes(0x1cb5_c415, 2, 7, UInt32.max), as: request.result) == "[7,-1]")
        #expect(
            try json(request.bytes, as: .method)
                == #"{"_":"invokeWithLayer","layer":229,"query":{"_":"invokeWithoutUpdates","query":\#(inner)}}"#)
    }

    @Test func `Text keeps every character and invalid UTF-8 is replaced`() throws {
        for text in [
            "é", "漢字", "🙂", "\u{7F}", "\u{FFFD}", "\u{10FFFF}", "\u{0}\u{1F}\n\r\t\"\\/",
            String(repeating: "жA\n", count: 90),
        ] {
            let bytes = try schema.encode(["_": "rpc_error", "error_code": 0, "error_message": .string(text)])
            #expect(try JSON(parsing: decoder.json(of: bytes))["error_message"]?.string == text)
        }
        for raw: [UInt8] in [
            [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82], [0xF0, 0x9F, 0x41],
        ] {
            var writer = TLWriter()
            writer.word(0x2144_ca19)
            writer.int(0)
            writer.bytes(raw + Array("plain text behind it".utf8))
            let text = try JSON(parsing: decoder.json(of: writer.bytes))["error_message"]?.string
            #expect(text == String(decoding: raw, as: UTF8.self) + "plain text behind it")
        }
    }

    @Test func `Any bytes decode to the same text as in the standard library`() throws {
        let pieces: [[UInt8]] = [
            Array("plain ASCII text".utf8), Array("жё".utf8), Array("漢".utf8), Array("🙂".utf8), [0x22], [0x5C], [0x0A],
            [0],
            [0x80], [0xC3], [0xE2, 0x82], [0xF0, 0x9F], [0xFF], [0xED, 0xA0, 0x80], Array("a".utf8), Array("é".utf8),
        ]
        for round in 0..<3000 {
            // The first half is all UTF-8.
            let choice = round < 1500 ? Array(pieces.prefix(8)) : pieces
            let raw = (0..<Int.random(in: 0...20)).flatMap { _ in choice.randomElement() ?? [] }
            var writer = TLWriter()
            writer.word(0x2144_ca19)
            writer.int(0)
            writer.bytes(raw)
            let text = try JSON(parsing: decoder.json(of: writer.bytes))["error_message"]?.string
            #expect(text == String(decoding: raw, as: UTF8.self), "\(raw)")
        }
    }

    @Test func `Every integer is written exactly`() throws {
        for _ in 0..<3000 {
            let value = Int64.random(in: .min ... .max) >> Int64.random(in: 0...63)
            for number in [value, value == .min ? 0 : -value] {
                var writer = TLWriter()
                writer.word(0x5951_1722)
                writer.long(number)
                let quote = number.magnitude > 9_007_199_254_740_991 ? "\"" : ""
                #expect(try json(writer.bytes) == #"{"_":"peerUser","user_id":\#(quote)\#(number)\#(quote)}"#)
            }
        }
    }

    @Test func `A name may be omitted where a type has a single constructor, and keys may come in any order`() throws {
        let whole = try encoded(
            #"{"_":"inputMediaContact","phone_number":"1","first_name":"a","last_name":"","vcard":""}"#)
        #expect(
            try encoded(#"{"vcard":"","last_name":"","first_name":"a","phone_number":"1","_":"inputMediaContact"}"#)
                == whole)
        let rights = #"{"until_date":5,"send_media":true}"#
        let arguments = try JSON(parsing: #"{"peer":{"_":"inputPeerSelf"},"banned_rights":\#(rights)}"#)
        let request = try schema.request("messages.editChatDefaultBannedRights", arguments)
        #expect(
            try json(request.bytes, as: .method).contains(#""banned_rights":{"_":"chatBannedRights","send_media":true"#)
        )
    }

    @Test func `A false flag and a null count as absent`() throws {
        #expect(try encoded(#"{"_":"codeSettings","allow_flashcall":false,"token":null}"#) == bytes(0xad25_3d78, 0))
    }

    @Test func `Values of an older layer are read with that layer`() throws {
        let old = TLDecoder(try TLSchema(layer: 181))
        let bytes = try old.schema.encode(["_": "inputMediaPhoto", "id": ["_": "inputPhotoEmpty"]])
        #expect(try JSON(parsing: old.json(of: bytes))["_"]?.string == "inputMediaPhoto")
        #expect(throws: TLError.self) { try decoder.json(of: bytes) }
    }

    @Test func `Each field that shares a flag sets the flag`() throws {
        let video = #"{"_":"inputDocumentEmpty"}"#
        let photo = #"{"_":"inputPhotoEmpty"}"#
        let bytes = try encoded(#"{"_":"inputMediaPhoto","id":\#(photo),"video":\#(video)}"#)
        #expect(try json(bytes) == #"{"_":"inputMediaPhoto","live_photo":true,"id":\#(photo),"video":\#(video)}"#)
    }

    @Test func `Text of each length is right with a special byte at each place`() throws {
        // An escape, a control character, a character of two bytes, one of four, and a byte that is no UTF-8.
        let specials: [[UInt8]] = [
            [], [0x22], [0x5C], [0x0A], [0x01], [0xC3, 0xA4], [0xF0, 0x9F, 0x91, 0x8D], [0xFF],
        ]
        for (special, count) in specials.flatMap({ special in (0...34).map { (special, $0) } }) {
            for place in 0...(special.isEmpty ? 0 : count) {
                var text = (0..<count).map { UInt8(0x61 + $0 % 26) }
                text.insert(contentsOf: special, at: place)
                var writer = TLWriter()
                writer.word(0x2144_ca19)
                writer.int(7)
                writer.bytes(text)
                let expected = JSON.string(String(decoding: text, as: UTF8.self))
                #expect(try JSON(parsing: Array(json(writer.bytes).utf8))["error_message"] == expected)
            }
        }
    }

    @Test func `Bytes of each length become base64 with padding`() throws {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        for count in 0...70 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 73 &+ count &* 31 &+ 5) }
            let bits = bytes.flatMap { byte in (0..<8).reversed().map { Int(byte) >> $0 & 1 } }
            var digits = stride(from: 0, to: bits.count, by: 6).map { start in
                alphabet[(0..<6).reduce(0) { $0 << 1 | (start + $1 < bits.count ? bits[start + $1] : 0) }]
            }
            while digits.count % 4 != 0 { digits.append("=") }
            var writer = TLWriter()
            writer.word(0x3072_cfa1)
            writer.bytes(bytes)
            #expect(try json(writer.bytes) == #"{"_":"gzip_packed","packed_data":"\#(String(digits))"}"#)
        }
    }
}
