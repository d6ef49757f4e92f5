import Envelope
import JSON
import Testing

@Suite struct TextBufferTests {
    private func text(_ body: (TextBuffer) -> Void) -> String {
        let buffer = TextBuffer()
        body(buffer)
        return String(decoding: buffer.bytes, as: UTF8.self)
    }

    @Test(arguments: [
        0, 7, 9, 10, 99, 100, 101, 999, 1000, 12_345, 999_999, 1_000_000, 4_294_967_295, 9_007_199_254_740_993,
        999_999_999_999_999_999, 1_000_000_000_000_000_000, Int64.max, Int64.min, -1, -10, -100, -1234,
    ]) func `Numbers are written in decimal digits`(number: Int64) {
        #expect(text { $0.put(integer: number) } == "\(number)")
    }

    @Test func `Strings are written as by trees`() {
        let plain = "plain text, a bit longer than eight bytes"
        for special in ["\"", "\\", "\n", "\r", "\t", "\u{0}", "\u{1f}", "😀", "é", "\u{7f}"] {
            // The character is at each place of a group of eight bytes, alone and repeated.
            for place in 0...17 {
                for string in [
                    String(plain.prefix(place)) + special + plain, String(plain.prefix(place)) + special,
                    special + String(plain.prefix(place)),
                    String(repeating: special, count: place) + String(plain.prefix(3)),
                ] {
                    let written = text { buffer in
                        Array(string.utf8).withUnsafeBytes { buffer.put(jsonString: $0) }
                    }
                    #expect(written == JSON.string(String(string)).text)
                }
            }
        }
    }

    @Test func `Base64 has the alphabet for URLs and no padding`() {
        for count in 0..<70 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 37 + count * 11) }
            let written = text { buffer in bytes.withUnsafeBytes { buffer.put(base64ForURLs: $0) } }
            #expect(written == Base64.encodeForURLs(bytes, isPadded: false))
        }
    }

    @Test func `Base64 is decoded as by the library, or refused`() {
        func decoded(_ text: String) -> [UInt8]? {
            let buffer = TextBuffer()
            buffer.put(literal: "x")
            let isDecoded = Array(text.utf8).withUnsafeBytes { buffer.put(decodingBase64: $0) }
            #expect(buffer.bytes[0] == UInt8(ascii: "x") && (isDecoded || buffer.count == 1))
            return isDecoded ? Array(buffer.bytes.dropFirst()) : nil
        }
        let bytes = (0...255).map(UInt8.init)
        for count in 0...bytes.count {
            let some = Array(bytes.reversed().prefix(count))
            #expect(decoded(Base64.encode(some)) == some)
        }
        for wrong in [
            "A", "AA", "AAA", "=AAA", "A=AA", "AA=A", "A===", "====", "AAAA====", "AA-_", "AA A", "QR==", "QQF=",
        ] {
            #expect(decoded(wrong) == nil)
        }
        #expect(decoded("QUFBQQ==") == Array("AAAA".utf8) && decoded("+/8=") == [0xFB, 0xFF])
    }

    @Test func `The memory grows, and what is cut off is gone`() {
        let buffer = TextBuffer()
        var expected = ""
        for number in 0..<20_000 {
            buffer.put(integer: Int64(number))
            expected += "\(number)"
        }
        #expect(String(decoding: buffer.bytes, as: UTF8.self) == expected)
        buffer.truncate(to: 3)
        buffer.put(literal: "x")
        buffer.put([UInt8(ascii: "y")])
        #expect(String(decoding: buffer.bytes, as: UTF8.self) == "012xy")
        buffer.put(Array(repeating: UInt8(ascii: "z"), count: 2 << 20))
        #expect(buffer.count == 5 + (2 << 20))
        buffer.clear()
        #expect(buffer.count == 0)
    }

    @Test func `Ids of one moment differ, and are written as they are read`() throws {
        var source = EventIDs()
        let ids = (0..<200).map { _ in source.next() }
        #expect(Set(ids).count == 200)
        for id in ids {
            let written = text { id.write(to: $0) }
            #expect(written == id.description && EventID(written) == id && id.version == 7)
            let variant = try #require(written.dropFirst(19).first)
            #expect("89ab".contains(variant) && written.utf8.count == 36)
        }
        #expect(EventID("01234567-89ab-7def-8edc-ba9876543210")?.description == "01234567-89ab-7def-8edc-ba9876543210")
    }
}
