@testable import Envelope
import JSON
import Testing

@Suite struct JSONTests {
    @Test(arguments: [
        #"{"a":1,"b":[true,false,null],"c":{"d":"x\ny"}}"#, "[]", "{}", "\"\\u0001é😀\"", "-9223372036854775808",
        "18446744073709551615", "1.5", "[[[]]]",
    ])
    func `Text survives parsing and writing`(_ text: String) throws {
        let value = try JSON(parsing: text)
        #expect(try JSON(parsing: value.text) == value)
    }

    @Test func `Keys keep their order`() throws {
        #expect(try JSON(parsing: #"{"z":1,"a":2,"m":3}"#).text == #"{"z":1,"a":2,"m":3}"#)
    }

    @Test func `Integers are exact`() throws {
        #expect(try JSON(parsing: "9007199254740993").int == 9_007_199_254_740_993)
        #expect(try JSON(parsing: "9223372036854775807").text == "9223372036854775807")
    }

    @Test(arguments: ["1e999", "-18446744073709551616", #""\ud800""#, #"["\ud800",{"a":1e999}]"#])
    func `Valid values that no type of Swift holds keep their text`(_ text: String) throws {
        #expect(try JSON(parsing: text).text == text)
        #expect(try JSON(parsing: text).widelyAccepted.text != text || text.hasPrefix("-"))
    }

    @Test func `Control characters are escaped`() {
        #expect(JSON.string("\u{0}\u{1F}\"\\\n").text == #""\u0000\u001f\"\\\n""#)
    }

    @Test(arguments: [
        (#"{"a":1,"a":2}"#, MalformedInput.Code.duplicateKey), (#"{"x":{"b":1,"b":1}}"#, .duplicateKey),
        (#"[{"x":[{"k":1,"c":2,"k":3}]}]"#, .duplicateKey), (#"{"a":}"#, .notJSON), ("", .notJSON), ("nul", .notJSON),
        ("{\"a\":\"\u{1}\"}", .notJSON), ("1e", .notJSON), (#""\ud80""#, .notJSON), ("{} {}", .notJSON),
    ])
    func `Malformed JSON is refused`(_ text: String, _ code: MalformedInput.Code) {
        #expect { try JSON(parsing: text) } throws: { ($0 as? MalformedInput)?.code == code }
    }

    @Test(arguments: [
        (#"{oops"#, "column 2: expected a key in double quotes, or '}', but found 'o'"),
        (#"{"a":1"#, "column 7: expected ',' or '}', but found the end"),
        (#"{"ä" 1}"#, "column 6: expected ':' after the key, but found '1'"),
        ("[1,]", "column 4: expected a value, but found ']'"),
        ("[1 é]", "column 4: expected ',' or ']', but found 'é'"),
        ("hello world", "column 1: expected a value, but found 'h'"), (#"{"a":"x"#, "column 6: a string is not closed"),
        (#"{"a":01}"#, "column 6: a number is malformed"), (#"["\q"]"#, "column 3: a string holds a malformed escape"),
        (#"["\u12"]"#, "column 3: a string holds a malformed escape"),
        ("[\"a\u{1}\"]", "column 4: a string holds an unescaped control character"),
        ("{'a':1}", #"column 2: expected a key in double quotes, or '}', but found "'""#),
        ("{\"a\":1,\n\"b\" 2}", "line 2, column 5: expected ':' after the key, but found '2'"),
        ("{} {}", "column 4: expected the end of the value, but found '{'"),
        ("[1}", "column 3: expected ',' or ']', but found '}'"),
        ("[tru]", "column 2: expected a value, or ']', but found 't'"), ("", "it is empty"), (" ", "it is empty"),
    ])
    func `The place where a text stops being JSON is told`(_ text: String, _ words: String) {
        #expect { try JSON(parsing: text) } throws: {
            let reason = ($0 as? MalformedInput)?.reason
            if reason != "not JSON: \(words)" { Issue.record("\(reason ?? "")") }
            return true
        }
    }

    @Test func `Repeated keys are found in large objects too`() {
        let keys = (0..<500).map { "\"k\($0)\":0" } + ["\"k250\":1"]
        #expect { try JSON(parsing: "{\(keys.joined(separator: ","))}") } throws: {
            ($0 as? MalformedInput)?.reason == "the key \"k250\" is repeated"
        }
    }

    /// Tests keys of the same length with the same first and last characters, which the check compares first.
    @Test(arguments: [2, 20, 200])
    func `Keys that look alike are distinguished`(_ count: Int) throws {
        let keys = (100..<100 + count).map { "\"a long key \($0) with an end\":0" }
        #expect(try JSON(parsing: "{\(keys.joined(separator: ","))}").object?.members.count == count)
        #expect { try JSON(parsing: "{\((keys + [keys[1]]).joined(separator: ","))}") } throws: {
            ($0 as? MalformedInput)?.code == .duplicateKey
        }
    }

    /// Compares the check with its definition, on small objects of every shape.
    @Test func `Repeated keys are found at any depth`() throws {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            var hasTwin = false
            let text = randomValue(depth: 3, &hasTwin, &generator)
            var code: MalformedInput.Code?
            do throws(MalformedInput) { _ = try JSON(parsing: text) } catch { code = error.code }
            #expect(code == (hasTwin ? .duplicateKey : nil), "\(text)")
        }
    }

    private func randomValue(depth: Int, _ hasTwin: inout Bool, _ generator: inout SystemRandomNumberGenerator)
        -> String
    {
        let count = Int.random(in: 0...5, using: &generator)
        switch Int.random(in: 0...(depth > 0 ? 5 : 3), using: &generator) {
        case 0: return "-5"
        case 1: return "1.5"
        case 2: return "\"text\""
        case 3: return ["true", "null", "18446744073709551615"].randomElement(using: &generator) ?? "null"
        case 4:
            return
                "[\((0..<count).map { _ in randomValue(depth: depth - 1, &hasTwin, &generator) }.joined(separator: ","))]"
        default:
            let keys = (0..<count).map { _ in Int.random(in: 0...200, using: &generator) }
            if Set(keys).count < count { hasTwin = true }
            let members = keys.map { "\"k\($0)\":\(randomValue(depth: depth - 1, &hasTwin, &generator))" }
            return "{\(members.joined(separator: ","))}"
        }
    }

    @Test func `Invalid UTF-8 is refused`() {
        #expect { try JSON(parsing: [0x22, 0xFF, 0x22]) } throws: { ($0 as? MalformedInput)?.code == .notUTF8 }
    }

    @Test(arguments: [(100, true), (1000, false), (1_000_000, false)])
    func `The nesting depth is limited`(_ depth: Int, _ accepted: Bool) {
        let text = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        if accepted {
            #expect(throws: Never.self) { try JSON(parsing: text) }
        } else {
            #expect { try JSON(parsing: text) } throws: { ($0 as? MalformedInput)?.code == .tooDeep }
        }
    }
}
