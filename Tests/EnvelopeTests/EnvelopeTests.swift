import JSON
import Testing

@testable import Envelope

@Suite struct EnvelopeTests {
    static let correlation = "0192f0c1-2345-7abc-8def-0123456789ab"

    private func scan(_ text: String) -> MalformedInput.Code? {
        let parser = JSONParser()
        return Array(text.utf8).withUnsafeBytes { parser.scan($0).fault?.code }
    }

    @Test func `A type and a correlation id are enough for an envelope`() throws {
        let envelope = try Envelope(try JSON(parsing: #"{"type":"a.b","correlation_id":"\#(Self.correlation)"}"#))
        #expect(envelope.version == 1)
        #expect(envelope.id.version == 7)
        #expect(envelope.payload.isEmpty && envelope.meta.isEmpty)
    }

    @Test func `Unknown keys are kept`() throws {
        let text =
            #"{"id":"\#(Self.correlation)","type":"a.b","version":2,"correlation_id":"\#(Self.correlation)","timestamp":"2026-01-01T00:00:00.000000Z","payload":{"x":1},"meta":{},"extra":[1,{"y":null}]}"#
        #expect(String(decoding: try Envelope(try JSON(parsing: text)).line.dropLast(), as: UTF8.self) == text)
    }

    @Test(
        arguments: [[:], ["a": 1], ["a": 1, "b": "\u{1}\""]] as [JSONObject],
        [[:], ["x": [1, ["y": .null]]]] as [JSONObject])
    func `A line is the text of the envelope's tree`(_ meta: JSONObject, _ unknown: JSONObject) {
        for causation in [nil, EventID()] {
            var envelope = Envelope(type: "a.b", version: 3, payload: ["text": "é\n"], meta: meta)
            (envelope.causationID, envelope.unknown) = (causation, unknown)
            #expect(String(decoding: envelope.line, as: UTF8.self) == envelope.json.text + "\n")
            // Members that are written as text stand before the others.
            var line: [UInt8] = []
            envelope.write(to: &line, firstMeta: Array(#""first":[]"#.utf8))
            envelope.meta = JSONObject([JSONObject.Member(key: "first", value: [])] + meta.members)
            #expect(line == envelope.line)
        }
    }

    @Test func `A time is written as it is read`() throws {
        var random = SystemRandomNumberGenerator()
        let day: Int64 = 86_400_000_000
        // The days around the ends of February and of years, in years that are and are not leap years.
        let days = [0, 58, 59, 364, 365, 789, 790, 10_956, 11_015, 11_016, 11_017, 47_540, 47_541, 2_932_896].map {
            $0 * day
        }
        let times =
            days.flatMap { [$0, $0 + 1, $0 + day - 1] }
            + (0..<20_000).map { _ in .random(in: 0..<2_932_897 * day, using: &random) }
        for time in times {
            let text = Timestamp(microseconds: time).description
            #expect(text.utf8.count == 27 && Timestamp(text)?.microseconds == time)
        }
        #expect(Timestamp(microseconds: 951_782_400_000_001).description == "2000-02-29T00:00:00.000001Z")
        #expect(Timestamp(microseconds: 2_932_897 * day - 1).description == "9999-12-31T23:59:59.999999Z")
        #expect(Timestamp(microseconds: -1).description == "1969-12-31T23:59:59.999999Z")
    }

    @Test(arguments: [
        (#"{"correlation_id":"\#(correlation)"}"#, MalformedInput.Code.missingType),
        (#"{"type":"a..b","correlation_id":"\#(correlation)"}"#, .invalidType),
        (#"{"type":"a.","correlation_id":"\#(correlation)"}"#, .invalidType),
        (#"{"type":"","correlation_id":"\#(correlation)"}"#, .invalidType),
        (#"{"type":7,"correlation_id":"\#(correlation)"}"#, .invalidType),
        (#"{"type":"a/b","correlation_id":"\#(correlation)"}"#, .invalidType),
        (#"{"type":"a.b"}"#, .missingCorrelationID), (#"{"type":"a.b","correlation_id":"x"}"#, .invalidCorrelationID),
        (#"{"type":"a.b","correlation_id":null}"#, .invalidCorrelationID),
        (#"{"type":"a.b","correlation_id":"\#(correlation)","version":"1"}"#, .invalidField),
        (#"{"type":"a.b","correlation_id":"\#(correlation)","version":0}"#, .invalidField),
        (#"{"type":"a.b","correlation_id":"\#(correlation)","payload":[]}"#, .invalidField),
        (#"{"type":"a.b","correlation_id":"\#(correlation)","id":"1"}"#, .invalidField),
        (#"{"type":"a.b","correlation_id":"\#(correlation)","type":"c"}"#, .duplicateKey),
        ("[]", .notObject), ("7", .notObject), ("{", .notJSON), ("\u{0}", .notJSON),
    ])
    func `Each fault has its code`(_ text: String, _ code: MalformedInput.Code) {
        #expect(scan(text) == code)
    }

    @Test(arguments: [#""""#, #""yesterday""#, #""2026-11-21""#, #""2026-11-21T12:00:00""#, "1795262400"])
    func `A malformed timestamp is refused with its own code`(_ value: String) throws {
        let text = #"{"type":"a.b","correlation_id":"\#(Self.correlation)","timestamp":\#(value)}"#
        let fault = MalformedInput(.invalidField, "timestamp has the wrong type or form")
        let parser = JSONParser()
        #expect(Array(text.utf8).withUnsafeBytes { parser.scan($0).fault } == fault)
        let json = try JSON(parsing: text)
        #expect(throws: fault) { try Envelope(json) }
    }

    @Test(arguments: [
        "18446744073709551616", "-9223372036854775809", "123456789012345678901234567890", "1e400", "-1.5E+999",
        #""cut \ud83d""#, #""\udc00\ud800\\ud83d \ud83d\ude00""#,
        #"["\ud83d\"",1e999,{"a":true,"b":[null,1e999,"\ud83d"]}]"#,
    ])
    func `Valid numbers and strings of any kind are accepted and written as they came`(_ value: String) throws {
        let text =
            #"{"id":"\#(Self.correlation)","type":"a.b","version":1,"correlation_id":"\#(Self.correlation)","timestamp":"2026-01-01T00:00:00.000000Z","payload":{"x":1,"n":\#(value),"y":[1.5,\#(value)]},"meta":{}}"#
        #expect(scan(text) == nil)
        #expect(String(decoding: try Envelope(try JSON(parsing: text)).line.dropLast(), as: UTF8.self) == text)
    }

    @Test(arguments: [
        "-", "01", "1e", "1.e5", "1e400x", "184467440737095516160 1", "+18446744073709551616", "0x18446744073709551616",
        "Infinity",
        #""\ud83""#, #""\ud83g""#, #""\x""#, #""\ud83d"#,
    ])
    func `Malformed numbers and strings are refused beside valid ones of any kind`(_ value: String) {
        let text =
            #"{"type":"a.b","correlation_id":"\#(Self.correlation)","payload":{"n":1e400,"s":"\ud83d","x":\#(value)}}"#
        #expect(scan(text) == .notJSON)
        #expect(throws: MalformedInput.self) { try JSON(parsing: text) }
    }

    @Test(arguments: ["{", "[ "])
    func `A value over several lines is refused with advice`(_ line: String) {
        let parser = JSONParser()
        #expect(Array(line.utf8).withUnsafeBytes { parser.scan($0).fault?.reason.contains("jq -c") } == true)
    }

    @Test func `A string with an unpaired surrogate reads as text, and a large number as a number`() throws {
        let json = try JSON(
            parsing: #"{"\ud83d":"a\ud83d","n":36893488147419103232,"m":1e400,"z":18446744073709551615}"#)
        #expect(json["\u{FFFD}"]?.string == "a\u{FFFD}")
        #expect(json["n"]?.double == 36_893_488_147_419_103_232 && json["n"]?.int == nil)
        #expect(json["m"]?.double == nil)
        #expect(json["z"] == .unsigned(.max))
    }

    @Test(arguments: ["2026-11-21T12:00:00Z", "2026-11-21T12:00:00.5+01:00"])
    func `A timestamp is kept as it was written`(_ time: String) throws {
        let text = #"{"type":"a.b","correlation_id":"\#(Self.correlation)","timestamp":"\#(time)"}"#
        #expect(scan(text) == nil)
        #expect(try Envelope(try JSON(parsing: text)).timestamp == time)
    }

    @Test(arguments: [("", 1), (#","version":1"#, 1), (#","version":2147483647"#, 2_147_483_647)])
    func `A scan returns the version, which defaults to 1`(_ field: String, _ version: Int) {
        let parser = JSONParser()
        let line = Array(#"{"type":"a.b","correlation_id":"\#(Self.correlation)"\#(field)}"#.utf8)
        #expect(line.withUnsafeBytes { parser.scan($0).version } == version)
    }

    @Test(arguments: [
        (#"{"x":{"k":1,"k":2},"correlation_id":"\#(correlation)"}"#, correlation),
        (#"{"correlation_id":"\#(correlation)","correlation_id":"\#(correlation)"}"#, ""),
    ])
    func `A repeated key elsewhere leaves the correlation id readable`(_ text: String, _ expected: String) {
        let parser = JSONParser()
        let found = Array(text.utf8).withUnsafeBytes { bytes in
            let scanned = parser.scan(bytes)
            #expect(scanned.fault?.code == .duplicateKey)
            return String(decoding: scanned.correlationID, as: UTF8.self)
        }
        #expect(found == expected)
    }

    @Test func `A complete envelope has no fault`() {
        #expect(scan(#"{"type":"events.x","correlation_id":"\#(Self.correlation.uppercased())","payload":{}}"#) == nil)
    }

    @Test func `A derived envelope carries its causation id`() throws {
        let cause = Envelope(type: "events.a", payload: [:], meta: ["role": "admin"])
        let caused = Correlation.withCurrent(Correlation(cause)) {
            Envelope.derived(type: "events.b", payload: ["x": 1])
        }
        #expect(caused.correlationID == cause.correlationID)
        #expect(caused.causationID == cause.id)
        #expect(caused.meta["role"] == "admin")
    }

    @Test func `New ids are UUIDs of version 7 and sort by time`() {
        let ids = (0..<2000).map { EventID(at: Timestamp(microseconds: 1_700_000_000_000_000 + Int64($0) * 10)) }
        #expect(ids.map(\.description) == ids.map(\.description).sorted())
        #expect(Set(ids).count == ids.count)
        #expect(ids.allSatisfy { $0.version == 7 && "89ab".contains($0.description.dropFirst(19).first ?? "x") })
    }

    @Test(arguments: [
        "", "0192f0c1-2345-7abc-8def-0123456789a", "0192f0c1x2345-7abc-8def-0123456789ab",
        "g192f0c1-2345-7abc-8def-0123456789ab", "0192f0c1-+345-7abc-8def-0123456789ab",
        "0192f0c1-2345-7abc-8def-0123456789é",
    ])
    func `Text in another format is not an id`(_ text: String) {
        #expect(EventID(text) == nil)
    }
}

@Suite struct TimestampTests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00.000000Z"), (1_700_000_000_123_456, "2023-11-14T22:13:20.123456Z"),
        (-1, "1969-12-31T23:59:59.999999Z"), (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
    ])
    func `Timestamps are written and read`(_ microseconds: Int64, _ text: String) {
        #expect(Timestamp(microseconds: microseconds).description == text)
        #expect(Timestamp(text)?.microseconds == microseconds)
    }

    @Test func `Time zone offsets and short fractions are read`() {
        #expect(Timestamp("2023-11-14T23:13:20+01:00")?.microseconds == 1_700_000_000_000_000)
        #expect(Timestamp("2023-11-14T22:13:20.5Z")?.microseconds == 1_700_000_000_500_000)
        #expect(Timestamp("2023-11-14T22:13:20.1234567Z")?.microseconds == 1_700_000_000_123_456)
    }

    @Test(arguments: [
        "", "2023-11-14", "2023-13-14T22:13:20Z", "2023-02-30T00:00:00Z", "2023-11-14T22:13:20",
        "2023-11-14T22:13:20Zx", "2023-11-14T22:13:20.Z", "2023-11-14T24:00:00Z", "2023-11-14T22:60:00Z",
        "2023-11-14T22:13:61Z", "2023-11-14T22:13:20+24:00", "2023-11-14T22:13:20+0100", "2023-02-30T00:00:60Z",
        "2023-00-14T22:13:20Z", "2023-11-00T22:13:20Z", "20a3-11-14T22:13:20Z", "２023-11-14T22:13:20Z", "yesterday",
    ])
    func `Text in another format is not a timestamp`(_ text: String) {
        #expect(Timestamp(text) == nil)
    }
}

@Suite struct SpanTests {
    @Test(arguments: [
        ("30d", 2_592_000_000), ("1h30m", 5_400_000), ("60s", 60_000), ("500ms", 500), ("2W", 1_209_600_000),
    ])
    func `Durations are read`(_ text: String, _ milliseconds: Int64) {
        #expect(Duration(spanText: text)?.milliseconds == milliseconds)
    }

    @Test(arguments: ["", "0s", "5", "-1s", "1x", "s", "1.5h", "99999999999999999999d", "200000w", "1h-2m"])
    func `Text in another format is not a duration`(_ text: String) {
        #expect(Duration(spanText: text) == nil)
    }

    @Test func `A written duration is read back unchanged`() {
        #expect(Duration.milliseconds(5_400_000).spanText == "1h30m")
        #expect(Duration.milliseconds(61_500).spanText == "1m1s500ms")
    }

    @Test func `A span that is too long for milliseconds counts as a very long one`() {
        for seconds in [Int64.max, 9_999_999_999_999_999] {
            #expect(Duration.seconds(seconds).milliseconds == Int64.max / 2)
            #expect(Duration.seconds(-seconds).milliseconds == -(Int64.max / 2))
        }
        #expect(Timestamp(milliseconds: .max).description.hasPrefix("9999-12-31"))
        #expect(Timestamp(milliseconds: -5).description.hasPrefix("1970-01-01"))
    }
}
