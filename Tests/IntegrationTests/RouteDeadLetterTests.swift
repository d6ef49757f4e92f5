import Envelope
import Foundation
import JSON
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct RouteDeadLetterTests {
    private static let id = RouteFixture.correlation
    private let here: RouteFixture

    init() throws { here = try RouteFixture() }

    struct BadLine: Sendable, CustomTestStringConvertible {
        let code: String
        let line: [UInt8]
        /// Is true if the dead letter keeps the line's correlation id.
        let keepsID: Bool
        let testDescription: String

        init(_ name: String, _ code: String, _ line: [UInt8], keepsID: Bool = false) {
            (testDescription, self.code, self.line, self.keepsID) = (name, code, line, keepsID)
        }

        init(_ name: String, _ code: String, _ text: String, keepsID: Bool = false) {
            self.init(name, code, Array(text.utf8), keepsID: keepsID)
        }
    }

    static let badLines = [
        BadLine("no JSON", "not_json", "oops"),
        BadLine("torn JSON", "not_json", #"{"type":"a","correlation_id":"\#(id)","payload":{"#),
        BadLine("two values", "not_json", #"{"type":"a","correlation_id":"\#(id)"} {}"#),
        BadLine("no object", "not_an_object", "[1,2]"),
        BadLine("a NUL byte", "not_json", #"{"type":"a","correlation_id":"\#(id)","x":"\#u{0}"}"#),
        BadLine("nothing but NUL bytes", "not_json", [UInt8](repeating: 0, count: 100)),
        BadLine(
            "invalid UTF-8", "not_utf8",
            Array(#"{"type":"a","correlation_id":"\#(id)","x":""#.utf8) + [0xC3, 0x28] + Array(#""}"#.utf8)),
        BadLine(
            "a depth bomb", "too_deep",
            #"{"type":"a","correlation_id":"\#(id)","x":"# + String(repeating: "[", count: 100_000)
                + String(repeating: "]", count: 100_000) + "}"),
        BadLine("an open depth bomb", "not_json", String(repeating: #"{"a":"#, count: 100_000)),
        BadLine(
            "a repeated type", "duplicate_key", #"{"type":"a","correlation_id":"\#(id)","type":"b"}"#, keepsID: true),
        BadLine(
            "a key repeated far inside", "duplicate_key",
            #"{"type":"a","correlation_id":"\#(id)","payload":{"x":[{"k":1,"\u006b":2}]}}"#, keepsID: true),
        BadLine("no type", "missing_type", #"{"correlation_id":"\#(id)"}"#, keepsID: true),
        BadLine("a type that is no name", "invalid_type", #"{"correlation_id":"\#(id)","type":"a b"}"#, keepsID: true),
        BadLine("no correlation id", "missing_correlation_id", #"{"type":"a"}"#),
        BadLine("an invalid correlation id", "invalid_correlation_id", #"{"type":"a","correlation_id":"1"}"#),
        BadLine(
            "a version that is no number", "invalid_field", #"{"type":"a","correlation_id":"\#(id)","version":"1"}"#,
            keepsID: true),
        BadLine(
            "a type that nobody wants", "unknown_type", #"{"type":"zzz","correlation_id":"\#(id)"}"#, keepsID: true),
    ]

    @Test(arguments: badLines)
    func `A line that cannot be routed becomes a dead letter and the stream continues`(_ bad: BadLine) async throws {
        let good = RouteFixture.event("a") + "\n"
        let result = try await ToolRun.run(
            "ev-route", ["-o", "a=-", "--dead-letter", here.folder("dead")],
            bytes: Array(good.utf8) + bad.line + Array("\n\(good)".utf8))
        #expect(result.status == 65)
        #expect(result.output == good + good)
        let letters = here.lines("dead")
        #expect(letters.count == 1)
        let letter = try Envelope(try JSON(parsing: letters.first ?? ""))
        #expect(letter.type == "events.dead_letter")
        #expect(letter.payload["tool"] == "ev-route")
        #expect(letter.payload["code"]?.string == bad.code)
        #expect(letter.payload["size_bytes"]?.int == Int64(bad.line.count))
        #expect((letter.correlationID == EventID(Self.id)) == bad.keepsID)
        if let text = String(validating: bad.line, as: UTF8.self) { #expect(letter.payload["line"]?.string == text) }
        #expect(result.errors.contains(bad.code))
    }

    @Test func `A line of exactly the limit is routed and a longer one is not`() async throws {
        let limit = 8 << 20
        let shortest = RouteFixture.event("a", 1).utf8.count
        let longest = RouteFixture.event("a", 1, padding: limit - shortest)
        let tooLong = RouteFixture.event("a", 2, padding: limit - shortest + 1)
        let result = try await here.route(
            ["-o", "a=-", "--dead-letter", here.folder("dead")], "\(longest)\n\(tooLong)\n\(RouteFixture.event("a", 3))"
        )
        #expect(result.status == 65)
        #expect(result.lines == [longest, RouteFixture.event("a", 3)])
        let letters = try here.lines("dead").map { try JSON(parsing: $0) }
        #expect(letters.count == 1)
        #expect(letters.first?["payload"]?["code"] == "too_long")
        #expect(letters.first?["payload"]?["size_bytes"]?.int == Int64(limit + 1))
        #expect(letters.first?["payload"]?["truncated"] == true)
    }

    @Test func `Without a dead-letter output the log reports refused lines`() async throws {
        let result = try await here.route(["-o", "a=-"], "oops\n\(RouteFixture.event("zzz"))\n")
        #expect(result.status == 65)
        #expect(result.output.isEmpty)
        #expect(result.errors.contains("not_json") && result.errors.contains("no route for zzz"))
    }

    @Test func `Many malformed lines make many dead letters but few log lines`() async throws {
        let count = 30_000
        let result = try await here.route(
            ["-o", "a=-", "--dead-letter", here.folder("dead")], String(repeating: "x\n", count: count))
        #expect(result.status == 65)
        #expect(here.lines("dead").count == count)
        #expect(result.errors.split(separator: "\n").count < 20)
        #expect(result.errors.contains("refused \(count - 5) more lines"))
    }

    @Test func `Events whose types never repeat are routed`() async throws {
        let input = (0..<5000).map { RouteFixture.event("a.b\($0)", $0) + "\n" }.joined()
        let result = try await here.route(["--stats", "-o", "a.*=-", "-o", "#.b77=\(here.folder("77"))"], input)
        #expect(result.status == 0)
        #expect(result.output == input)
        #expect(here.numbers("77") == [77])
        #expect(result.errors.contains("route a.*: 5000 events"))
    }

    @Test func `A dead letter's line can be routed again`() async throws {
        let line = RouteFixture.event("later", 7)
        _ = try await here.route(["-o", "a=-", "--dead-letter", here.folder("dead")], line)
        let letter = try Envelope(try JSON(parsing: here.lines("dead").first ?? ""))
        let result = try await here.route(["-o", "later=-"], try #require(letter.payload["line"]?.string))
        #expect(result.status == 0)
        #expect(result.lines == [line])
    }
}
