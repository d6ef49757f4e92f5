import JSON
import TL
import Testing

struct TLValueTests {
    private let schema: TLSchema
    private let decoder: SharedTLDecoder
    private let update: JSON = [
        "_": "updateShort",
        "update": ["_": "updateUserTyping", "user_id": 7, "action": ["_": "sendMessageTypingAction"]],
        "date": 1_795_262_400,
    ]

    init() throws {
        schema = try TLSchema()
        decoder = SharedTLDecoder(schema)
    }

    @Test func `Bytes, text and JSON are the same value`() throws {
        let bytes = try schema.encode(update)
        let value = TLValue(bytes: bytes, decoder: decoder)
        #expect(value.sizeBytes == bytes.count)
        #expect(value.constructor == "updateShort")
        #expect(try value.json() == update)
        #expect(try value.text() == TLDecoder(schema).json(of: bytes))
        #expect(try TLValue(text: value.text()).json() == update)
        let decoded = TLValue(bytes: bytes, decoder: decoder)
        #expect(try decoded.document().json == update && decoded.text() == value.text())
        let parsed = TLValue(text: try value.text())
        #expect(try parsed.document().view["update"]?["user_id"]?.long == 7 && parsed.constructor == "updateShort")
        #expect(try TLValue(json: update).text() == update.bytes)
    }

    @Test func `A value is decoded and parsed once, whichever thread asks first`() async throws {
        let value = TLValue(bytes: try schema.encode(update), decoder: decoder)
        let texts = await withTaskGroup(of: UInt.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let text = (try? value.json()) == nil ? [] : (try? value.text()) ?? []
                    return text.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
                }
            }
            return await group.reduce(into: Set<UInt>()) { $0.insert($1) }
        }
        #expect(texts.count == 1)
    }

    @Test func `Faulty bytes and faulty text give the same error at each use`() throws {
        let broken = TLValue(bytes: [1, 2, 3, 4], decoder: decoder)
        for _ in 0..<2 {
            #expect(#expect(throws: TLError.self) { try broken.document() }?.code == .unknownConstructor)
            #expect(#expect(throws: TLError.self) { try broken.text() }?.code == .unknownConstructor)
            #expect(#expect(throws: TLError.self) { try broken.json() }?.code == .unknownConstructor)
        }
        #expect(broken.constructor == nil)
        let unparsable = TLValue(text: Array("{".utf8))
        #expect(#expect(throws: TLError.self) { try unparsable.json() }?.code == .notJSON)
        #expect(try unparsable.text() == Array("{".utf8))
    }

    @Test func `A value of another type is refused`() throws {
        let type = try #require(schema.type("Updates"))
        let value = TLValue(bytes: try schema.encode(.bool(true)), as: type, decoder: decoder)
        #expect(throws: TLError.self) { try value.json() }
    }
}
