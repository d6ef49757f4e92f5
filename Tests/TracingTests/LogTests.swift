import System
import Envelope
import JSON
import Logging
import Synchronization
import Testing
import Tracing

/// Keeps the records that it receives.
private final class RecordingSink: LogSink {
    private let kept = Mutex<[LogRecord]>([])

    var records: [LogRecord] { kept.withLock { $0 } }

    func write(_ record: LogRecord) { kept.withLock { $0.append(record) } }
}

private final class CallCount: Sendable {
    private let state = Mutex(0)

    var count: Int { state.withLock { $0 } }

    func add() { state.withLock { $0 += 1 } }
}

@Suite struct LogTests {
    private let sink = RecordingSink()

    private func logger(_ provider: Logger.MetadataProvider? = nil, also other: RecordingSink? = nil) -> Logger {
        Logger(label: "test") { [sink] _ in
            ToolLog(
                tool: "tg-test", level: .debug, sinks: [sink] + (other.map { [$0] } ?? []), metadataProvider: provider)
        }
    }

    private func last() throws -> LogRecord { try #require(sink.records.last) }

    @Test func `Numbers and booleans keep their types`() throws {
        logger().info(
            "done",
            metadata: [
                "count": .stringConvertible(3), "large": .stringConvertible(UInt64.max),
                "rate": .stringConvertible(0.5), "not_finite": .stringConvertible(Double.nan),
                "cached": .stringConvertible(true), "text": "3", "list": ["a", .stringConvertible(1)],
                "nested": ["b": .stringConvertible(2), "a": "x"],
            ])
        let expected: JSONObject = [
            "cached": true, "count": 3, "large": .unsigned(.max), "list": ["a", 1], "nested": ["a": "x", "b": 2],
            "not_finite": "nan", "rate": 0.5, "text": "3",
        ]
        #expect(try last().metadata == expected)
    }

    @Test func `No record holds a secret that the process has read`() throws {
        KnownSecrets.remember("12345:hush-hush-hush")
        logger().error(
            "refused: /bot12345:hush-hush-hush/getMe",
            metadata: ["a": "hush-hush-hush", "b": ["x hush-hush-hush"], "c": ["d": "12345:hush-hush-hush"]])
        let text = JSON.object(try last().json).text + (try last().text)
        #expect(!text.contains("hush"))
        #expect(text.contains("[secret]"))
    }

    @Test func `A line for people holds nothing that steers the terminal`() throws {
        logger().info("evil\u{1B}[2J\u{202E}fdp.exe\u{2028}\u{200F}x", metadata: ["k": "\u{9B}31m\u{2066}y"])
        let text = try last().text
        #expect(text.unicodeScalars.allSatisfy { !$0.steersDisplay })
        // Joiners and the tags of flags are text.
        let family = "👨\u{200D}👩\u{200D}👧 🏴\u{E0067}\u{E0062}\u{E0065}\u{E006E}\u{E0067}\u{E007F} می\u{200C}خواهم"
        logger().info("\(family)")
        #expect(try last().text.contains(family))
    }

    @Test func `Metadata cannot overwrite the fields of a record`() throws {
        let event = Envelope(type: "events.a", payload: [:])
        Tracer.correlating(with: event) {
            logger().warning(
                "message",
                metadata: ["time": "t", "level": "l", "message": "m", "tool": "x", "correlation_id": "c", "other": "o"])
        }
        let json = try last().json
        #expect(json["level"] == "warning" && json["message"] == "message" && json["tool"] == "tg-test")
        #expect(json["correlation_id"]?.string == event.correlationID.description)
        #expect(json["time"]?.string.map { Timestamp.isWellFormed($0) } == true)
        for (key, value) in [("time", "t"), ("level", "l"), ("message", "m"), ("tool", "x"), ("correlation_id", "c")] {
            #expect(json["metadata_\(key)"]?.string == value)
        }
        #expect(json["other"] == "o")
        #expect(json.members.map(\.key).prefix(5) == ["time", "level", "tool", "correlation_id", "message"])
    }

    @Test func `A prefixed key is kept before a reserved one`() throws {
        logger().info("x", metadata: ["time": "renamed", "metadata_time": "own"])
        #expect(try last().metadata == ["metadata_time": "own"])
    }

    @Test func `The metadata provider is asked for each line, and a line's own metadata precedes it`() throws {
        let calls = CallCount()
        let provider = Logger.MetadataProvider {
            calls.add()
            return ["provided": "p", "both": "provider", "all": "provider"]
        }
        var log = logger(provider)
        log[metadataKey: "logger"] = "l"
        log[metadataKey: "all"] = "logger"
        log.info("x", metadata: ["both": "line", "all": "line"])
        #expect(try last().metadata == ["all": "line", "both": "line", "logger": "l", "provided": "p"])
        log.info("y")
        #expect(try last().metadata == ["all": "provider", "both": "provider", "logger": "l", "provided": "p"])
        #expect(calls.count == 2)
    }

    @Test func `Every sink receives every record, with the values only`() {
        let other = RecordingSink()
        logger(also: other).notice("x", metadata: ["n": .stringConvertible(1)])
        #expect(sink.records.count == 1 && other.records.count == 1)
        #expect(other.records[0].metadata == ["n": 1] && other.records[0].correlationID == nil)
    }

    @Test func `Lines for people show the metadata and have no control characters`() throws {
        let event = Envelope(type: "events.a", payload: [:])
        Tracer.correlating(with: event) {
            logger().error("bro\u{1B}ken\n", metadata: ["n": .stringConvertible(1), "a": "b c"])
        }
        #expect(
            try last().text == "tg-test: error: bro ken  (a=b c n=1 correlation=\(event.correlationID))")
        logger().info("fine")
        #expect(try last().text == "tg-test: fine")
    }
}
