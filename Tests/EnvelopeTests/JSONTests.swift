import Testing

@testable import Envelope

@Suite struct JSONTests {
    @Test(arguments: [
        #"{"a":1,"b":[true,false,null],"c":{"d":"x\ny"}}"#, "[]", "{}", "\"\\u0001é😀\"", "-9223372036854775808",
        "18446744073709551615", "1.5", "[[[]]]",
    ])
    func textSurvivesParsingAndWriting(_ text: String) throws {
        let value = try JSON(parsing: text)
        #expect(try JSON(parsing: value.text) == value)
    }

    @Test func keysKeepTheirOrder() throws {
        #expect(try JSON(parsing: #"{"z":1,"a":2,"m":3}"#).text == #"{"z":1,"a":2,"m":3}"#)
    }

    @Test func integersAreExact() throws {
        #expect(try JSON(parsing: "9007199254740993").int == 9_007_199_254_740_993)
        #expect(try JSON(parsing: "9223372036854775807").text == "9223372036854775807")
    }

    @Test func controlCharactersAreEscaped() {
        #expect(JSON.string("\u{0}\u{1F}\"\\\n").text == #""\u0000\u001f\"\\\n""#)
    }

    @Test(arguments: [
        (#"{"a":1,"a":2}"#, MalformedInput.Code.duplicateKey), (#"{"x":{"b":1,"b":1}}"#, .duplicateKey),
        (#"[{"x":[{"k":1,"c":2,"k":3}]}]"#, .duplicateKey), (#"{"a":}"#, .notJSON), ("", .notJSON), ("nul", .notJSON),
        ("{\"a\":\"\u{1}\"}", .notJSON), ("1e999", .notJSON), (#""\ud800""#, .notJSON), ("{} {}", .notJSON),
    ])
    func malformedTextIsRefused(_ text: String, _ code: MalformedInput.Code) {
        #expect { try JSON(parsing: text) } throws: { ($0 as? MalformedInput)?.code == code }
    }

    @Test func manyKeysAreCheckedForRepetitionToo() {
        let keys = (0..<500).map { "\"k\($0)\":0" } + ["\"k250\":1"]
        #expect { try JSON(parsing: "{\(keys.joined(separator: ","))}") } throws: {
            ($0 as? MalformedInput)?.reason == "the key \"k250\" is repeated"
        }
    }

    @Test func invalidUTF8IsRefused() {
        #expect { try JSON(parsing: [0x22, 0xFF, 0x22]) } throws: { ($0 as? MalformedInput)?.code == .notUTF8 }
    }

    @Test(arguments: [(100, true), (1000, false), (1_000_000, false)])
    func depthIsBounded(_ depth: Int, _ accepted: Bool) {
        let text = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        if accepted {
            #expect(throws: Never.self) { try JSON(parsing: text) }
        } else {
            #expect { try JSON(parsing: text) } throws: { ($0 as? MalformedInput)?.code == .tooDeep }
        }
    }
}
