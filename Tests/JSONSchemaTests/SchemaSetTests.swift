import JSON
import System
import Envelope
import Foundation
import JSONSchema
import Testing

@Suite(.timeLimit(.minutes(2))) struct SchemaSetTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent("schemas").path

    /// Checks in a thread that has the stack for it.
    private func fault(_ line: String) throws -> MalformedInput? {
        let outcome = Monitor<Result<MalformedInput?, any Error>?>(nil)
        BlockingThread.start(stackBytes: SchemaSet.stackBytes) {
            let result = Result {
                let event = try Envelope(try JSON(parsing: line))
                return try SchemaSet(folder: Self.folder)
                    .fault(of: Array(line.utf8), type: event.type, version: event.version)
            }
            outcome.update { $0 = result }
        }
        return try #require(outcome.wait { $0 }).get()
    }

    private func line(_ type: String, _ payload: String, meta: String = "{}", version: Int = 1) -> String {
        let id = "0192f0c1-2345-7abc-9def-0123456789ab"
        return
            #"{"type":"\#(type)","version":\#(version),"correlation_id":"\#(id)","payload":\#(payload),"meta":\#(meta)}"#
    }

    @Test func `Every schema accepts its examples`() throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: Self.folder) where name.hasSuffix(".json") {
            let schema = try JSON(parsing: Array(Data(contentsOf: URL(fileURLWithPath: "\(Self.folder)/\(name)"))))
            let type = String(name.dropLast(5))
            for example in schema["examples"]?.array ?? [] where type != "envelope" {
                #expect(try fault(line(type, example.text)) == nil, "\(name): \(example.text)")
            }
        }
    }

    @Test func `A value that does not match is reported with its location`() throws {
        let wrong = try fault(line("commands.telegram.send", #"{"text":5}"#))
        #expect(wrong?.code == .invalidPayload)
        #expect(wrong?.reason.contains("commands.telegram.send.json") == true)
        #expect(wrong?.reason.contains("text: ") == true)
        #expect(try fault(line("commands.telegram.send", "{}"))?.reason.contains("text") == true)
        let meta = try fault(line("a", "{}", meta: #"{"role":"king"}"#))
        #expect(meta?.code == .invalidField && meta?.reason.contains("meta.role") == true)
    }

    @Test func `Types and versions without a schema are accepted`() throws {
        #expect(try fault(line("my.own", #"{"anything":[1]}"#)) == nil)
        #expect(try fault(line("commands.telegram.send", "{}", version: 2)) == nil)
    }

    @Test func `Hostile strings do not exhaust the stack`() throws {
        for count in [16_384, 16_385, 4_000_000] {
            let text = String(repeating: "a", count: count)
            #expect(try fault(line("commands.media.video_download", #"{"url":"https://\#(text)"}"#)) == nil)
        }
        let key = String(repeating: "k", count: 100_000)
        #expect(
            try fault(line("events.telegram.raw", #"{"update_id":1,"\#(key)":{}}"#))?.reason.contains("key") == true)
        let deep = String(repeating: "[", count: 100) + String(repeating: "]", count: 100)
        #expect(try fault(line("my.own", #"{"a":\#(deep)}"#)) == nil)
    }

    @Test func `A folder without schemas is refused`() throws {
        #expect { try SchemaSet(folder: "/usr/share/doc") } throws: { "\($0)".contains("envelope.json is missing") }
        #expect { try SchemaSet(folder: "/nowhere") } throws: { "\($0)".contains("/nowhere") }
    }

    /// Checks a document by a schema, in a thread that has the stack for it.
    private func fits(_ document: String, _ schema: String) throws -> Bool {
        let outcome = Monitor<Result<Bool, any Error>?>(nil)
        BlockingThread.start(stackBytes: SchemaSet.stackBytes) {
            let result = Result {
                let schemas = try SchemaSet()
                try schemas.add(Array(schema.utf8), as: "it", "it")
                try schemas.compile("it", "it")
                return schemas.fault(of: Array(document.utf8), by: "it") == nil
            }
            outcome.update { $0 = result }
        }
        return try #require(outcome.wait { $0 }).get()
    }

    static let cases: [(schema: String, fitting: [String], others: [String])] = [
        (#"{"maximum":18446744073709551615}"#, ["0", "-1", "1e19"], ["2e19"]),
        (#"{"minimum":9223372036854775808}"#, ["18446744073709551615"], ["0", "-9223372036854775808"]),
        (#"{"const":18446744073709551615}"#, ["18446744073709551615"], ["-1"]),
        (#"{"type":"integer"}"#, ["1.0", "-0.0", "1e19", "18446744073709551615", "-1e300"], ["1.5", "\"1\"", "true"]),
        (#"{"type":["integer","null"]}"#, ["2.0", "null"], ["0.5", "\"x\""]),
        (#"{"multipleOf":1}"#, ["3", "3.0", "1e300", "\"x\""], ["1.5", "0.1"]),
        (#"{"multipleOf":2}"#, ["\"1\"", "[1]", "9223372036854775806"], ["1", "2.5", "9223372036854775807"]),
        (#"{"multipleOf":18446744073709551615}"#, ["0", "18446744073709551615"], ["-9223372036854775808", "1"]),
        (#"{"minLength":2.0}"#, ["\"ab\""], ["\"a\""]),
        (#"{"maxItems":18446744073709551615}"#, ["[1]"], []),
        (
            #"{"format":"date"}"#, ["\"2020-02-29\"", "\"2000-02-29\"", "5", "{}", "null"],
            ["\"2021-02-29\"", "\"1900-02-29\"", "\"20200-01-01\""]
        ),
        (
            #"{"format":"time"}"#, ["\"23:59:59+01:00\"", "\"12:00:00.5Z\"", "1"],
            ["\"12:00:00|01:00\"", "\"24:00:00Z\""]
        ),
        (
            #"{"format":"date-time"}"#, ["\"2024-02-29T00:00:00Z\"", "[]"],
            ["\"2023-02-29T00:00:00Z\"", "\"2024-02-30T00:00:00Z\""]
        ),
        (
            ##"{"properties":{"default":{"pattern":"^a"},"enum":{"$ref":"#/definitions/const"}},"definitions":{"const":{"type":"string"}}}"##,
            [#"{"default":"a","enum":"x"}"#], [#"{"default":"b"}"#, #"{"enum":1}"#]
        ),
        (
            ##"{"properties":{"p":{"$ref":"#/definitions/s","$id":"http://other/x","pattern":"^z","type":"integer"}},"definitions":{"s":{"type":"string"}}}"##,
            [#"{"p":"a"}"#], [#"{"p":1}"#]
        ),
        (#"{"pattern":"^a","allOf":[{"minLength":2}]}"#, ["\"ab\"", "7"], ["\"a\"", "\"bb\""]),
    ]

    @Test(arguments: cases.indices)
    func `values at the edge of a keyword are judged as the draft says`(_ index: Int) throws {
        let (schema, fitting, others) = Self.cases[index]
        for document in fitting { #expect(try fits(document, schema), "\(document) by \(schema)") }
        for document in others { #expect(try !fits(document, schema), "\(document) by \(schema)") }
    }

    @Test func `hostile dates and divisors end no process`() throws {
        let digits = String(repeating: "1", count: 4_000_000)
        #expect(try !fits("\"\(digits)\"", #"{"format":"date"}"#))
        #expect(try !fits("\"\(digits)\"", #"{"format":"date-time"}"#))
        #expect(try !fits("\"00:00:00.\(digits)Z\"", #"{"format":"time"}"#))
        #expect(try fits(#"{"default":"\#(digits)"}"#, #"{"properties":{"default":{"pattern":"^(1|2)*$"}}}"#))
        for divisor in ["0", "0.0", "-1"] {
            #expect(throws: SchemaError.self) { try fits("5", #"{"multipleOf":\#(divisor)}"#) }
        }
    }

    @Test func `a string that does not match its pattern is reported as such`() throws {
        #expect(
            try fault(line("events.telegram.waiting", #"{"account_id":1,"method":"?","seconds":1}"#))?.reason.contains(
                "pattern") == true)
    }
}
