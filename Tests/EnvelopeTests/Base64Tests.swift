@testable import Envelope
import JSON
import Testing

@Suite struct Base64Tests {
    @Test func `Base64 is read back unchanged`() {
        for count in 0..<100 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255) }
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
        }
        #expect(Base64.decode("+/8=") == [0xFB, 0xFF])
    }

    @Test(arguments: ["A", "AA", "AAA", "=AAA", "AA=A", "A===", "====", "AA==AAAA", "AAA ", "AA-_", "éAA", "AAAA="])
    func `Text that is not base64 is refused`(text: String) { #expect(Base64.decode(text) == nil) }
}
