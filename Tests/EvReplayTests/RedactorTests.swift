import Envelope
import Foundation
import JSON
import JSONSchema
import System
import Testing

@testable import ev_replay

@Suite(.timeLimit(.minutes(2))) struct RedactorTests {
    private let redactor = Redactor(key: Array("key of the test".utf8))

    private static let schemas = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("schemas").path

    private func redacted(_ event: JSON) throws -> JSON { try JSON(parsing: redactor.redacted(event.bytes)) }

    private func event(_ type: String, _ payload: JSONObject, _ meta: JSONObject = [:]) -> JSON {
        [
            "id": "0191e0a0-0000-7000-8000-000000000001", "type": .string(type), "version": 1,
            "correlation_id": "0191e0a0-0000-7000-9000-000000000001", "timestamp": "2026-01-01T00:00:00.000000Z",
            "payload": .object(payload), "meta": .object(meta),
        ]
    }

    private static let meta: JSONObject = [
        "actor": ["id": 4_242_424_242, "username": "alice_planted", "name": "Alice Planted"], "role": "admin",
        "origin": ["chat_id": -1_001_234_567_890, "message_id": 7, "chat_type": "supergroup"],
        "bot": ["id": 123_456_789, "username": "planted_bot"], "received_at": "2026-01-01T00:00:00.000000Z",
    ]

    /// Every example of every schema, as events.
    private func examples() throws -> [JSON] {
        try FileManager.default.contentsOfDirectory(atPath: Self.schemas)
            .filter { $0.hasSuffix(".json") && $0 != "envelope.json" }.sorted()
            .flatMap { name in
                try
                    (JSON(parsing: Array(Data(contentsOf: URL(fileURLWithPath: "\(Self.schemas)/\(name)"))))[
                        "examples"]?
                    .array ?? []).compactMap(\.object).map { event(String(name.dropLast(5)), $0, Self.meta) }
            }
    }

    /// Returns the faults of events by their schemas, found by a thread that has the stack for it.
    private func faults(_ events: [JSON]) throws -> [String] {
        let outcome = Monitor<Result<[String], any Error>?>(nil)
        BlockingThread.start(stackBytes: SchemaSet.stackBytes) {
            let result = Result {
                let set = try SchemaSet(folder: Self.schemas)
                return events.compactMap { event in
                    set.fault(of: event.bytes, type: event["type"]?.string ?? "", version: 1).map {
                        "\($0) \(event.text)"
                    }
                }
            }
            outcome.update { $0 = result }
        }
        return try #require(outcome.wait { $0 }).get()
    }

    @Test func `Every example of every schema still matches its schema`() throws {
        let examples = try examples()
        #expect(examples.count > 30)
        #expect(try faults(examples) == [])
        let results = try examples.map(redacted)
        let faults = try faults(results)
        #expect(faults.isEmpty, "\(faults)")
        for (before, after) in zip(examples, results) {
            for key in ["id", "type", "correlation_id", "timestamp"] { #expect(before[key] == after[key]) }
        }
    }

    /// Replaces every string of a value by a secret, and every number too.
    private func planted(_ json: JSON, _ secret: String) -> JSON {
        switch json {
        case .string, .escaped: .string(secret)
        case .array(let items): .array(items.map { planted($0, secret) })
        case .object(let object):
            .object(JSONObject(object.members.map { .init(key: $0.key, value: planted($0.value, secret)) }))
        default: json
        }
    }

    @Test(arguments: [
        "123456789:AAHplantedTokenOfABot", "hunter2planted", "+15550109876", "Ünïcödé Planted", "planted@example.com",
        "https://planted:secret@planted.example.org/planted?planted=1#planted", "t.me/planted_name/77", "@planted_user",
    ])
    func `A secret in any field is in no redacted event`(_ secret: String) throws {
        let words = secret.split { !$0.isLetter && !$0.isNumber }.filter { $0.count >= 6 }.map(String.init)
        for example in try examples() {
            guard case .object(var event) = example else { continue }
            for key in ["payload", "meta"] { event[key] = event[key].map { planted($0, secret) } }
            event["unknown"] = .array([.string(secret), [secret: .string(secret)]])
            let text = try redacted(.object(event)).text
            for word in words + [secret] { #expect(!text.contains(word), "\(text)") }
        }
    }

    @Test func `Lines that are no events keep no word either`() {
        let text = String(decoding: redactor.redacted(Array("planted token 123456:ABCDEFGH".utf8)), as: UTF8.self)
        #expect(!text.contains("planted") && !text.contains("123456") && text.contains(":"))
    }

    @Test func `The line of a dead letter is redacted as the event that it is`() throws {
        let inner = event("events.telegram.raw", ["update_id": 7, "message": ["text": "planted words"]])
        let letter = try redacted(
            event("events.dead_letter", ["tool": "tg-gate", "code": "failed", "line": .string(inner.text)]))
        let line = try JSON(parsing: try #require(letter["payload"]?["line"]?.string))
        #expect(line["correlation_id"] == inner["correlation_id"] && line["payload"]?["update_id"] == 7)
        #expect(!line.text.contains("planted"))
        #expect(letter["payload"]?["tool"] == "tg-gate" && letter["payload"]?["code"] == "failed")
    }

    @Test func `The same value has the same pseudonym in every place, and another key gives another`() throws {
        let raw: JSONObject = [
            "update_id": 1,
            "message": [
                "chat": ["id": 42, "type": "private"], "from": ["id": 42, "username": "alice"],
                "text": ".vdl https://www.example.com/watch?v=Abc_1",
            ],
        ]
        let update = try redacted(event("events.telegram.raw", raw, ["actor": ["id": 42, "name": "alice"]]))
        let message = try #require(update["payload"]?["message"])
        let link = try #require(message["text"]?.string?.split(separator: " ").last)
        #expect(message["text"]?.string?.hasPrefix(".vdl https://") == true && !link.contains("example"))
        #expect(link.utf16.count == "https://www.example.com/watch?v=Abc_1".utf16.count)
        #expect(message["chat"]?["id"] == message["from"]?["id"] && message["from"]?["id"] != 42)
        #expect(update["meta"]?["actor"]?["id"] == message["from"]?["id"])
        #expect(update["meta"]?["actor"]?["name"] == message["from"]?["username"])
        let download = try redacted(
            event("commands.media.video_download", ["url": "https://www.example.com/watch?v=Abc_1"]))
        #expect(download["payload"]?["url"]?.string == String(link))
        let other = Redactor(key: [1]).redacted(
            event("commands.media.video_download", ["url": "https://a.example"]).bytes)
        #expect(other != redactor.redacted(event("commands.media.video_download", ["url": "https://a.example"]).bytes))
    }

    @Test func `Ids keep their kind, and hosts lead nowhere`() throws {
        let ids = try redacted(event("a.b", ["a": 42, "b": -42, "c": -1_001_234_567_890, "d": 0, "e": .integer(.min)]))
        let found = try ["a", "b", "c", "d", "e"].map { try #require(ids["payload"]?[$0]?.int) }
        #expect(found[0] > 0 && (-999_999_999_999 ... -1).contains(found[1]) && found[3] == 0)
        #expect(found[2] <= -1_000_000_000_000 && found[4] <= -1_000_000_000_000)
        let scrambler = Scrambler(key: [1])
        for host in ["example.com", "127.0.0.1", "localhost", "10.1", "a.b.c.de"] {
            let changed = scrambler.host(host)
            #expect(
                changed.utf16.count == host.utf16.count
                    && changed.split(separator: ".").last?.allSatisfy { $0 == "q" } == true)
            #expect(!changed.contains { $0.isNumber })
        }
    }

    @Test(arguments: ["Hello, World 123!", "Привет 😀👍🏽 мир", "a", "7", "x\u{301}y", "日本語 テスト", "tab\tand\nline"])
    func `A text keeps its length, and no word stays as it was`(_ text: String) {
        let changed = Scrambler(key: [9]).text(text)
        #expect(changed.utf16.count == text.utf16.count && changed != text)
        #expect(Scrambler(key: [9]).text(text) == changed)
    }

    @Test func `The trace of the request stays, and another text in its place does not`() throws {
        let own = "00-0191e0a000007000900000000000000001-00f067aa0ba902b7-01"
            .replacingOccurrences(of: "0191e0a000007000900000000000000001", with: "0191e0a0000070009000000000000001")
        let kept = try redacted(event("a.b", [:], ["traceparent": .string(own)]))
        #expect(kept["meta"]?["traceparent"] == .string(own))
        let other = try redacted(event("a.b", [:], ["traceparent": "00-plantedsecret-1-01"]))
        #expect(other["meta"] == [:])
    }
}
