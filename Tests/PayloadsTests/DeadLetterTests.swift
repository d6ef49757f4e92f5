import JSON
import Payloads
import Testing

@Suite struct DeadLetterTests {
    private let fault = MalformedInput(.notJSON, "not JSON")

    @Test func `A dead letter keeps the line unchanged`() {
        let letter = DeadLetter(line: Array("{oops".utf8), fault: fault, tool: "ev-route")
        #expect(letter.type == "events.dead_letter")
        #expect(letter.json["line"] == "{oops")
        #expect(letter.json["truncated"] == false)
        #expect(letter.json["code"] == "not_json")
    }

    @Test(arguments: [
        ([0xFF], "/w=="), ([0xFF, 0xFE], "//4="), ([0xFF, 0xFE, 0x00], "//4A"), ([0xFF, 0xFE, 0x00, 0x41], "//4AQQ=="),
    ])
    func `Bytes that are not UTF-8 are kept as base64`(_ bytes: [UInt8], _ text: String) {
        let letter = DeadLetter(line: bytes, fault: fault, tool: "x")
        #expect(letter.json["line_base64"]?.string == text)
        #expect(letter.json["line"] == nil)
    }

    @Test func `Very long lines are truncated`() {
        let letter = DeadLetter(line: [UInt8](repeating: 0x78, count: 3 << 20), fault: fault, tool: "x")
        #expect(letter.json["line"]?.string?.utf8.count == 1 << 20)
        #expect(letter.json["truncated"] == true)
        #expect(letter.json["size_bytes"]?.int == 3 << 20)
    }
}
