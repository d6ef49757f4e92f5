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
}
