import Envelope
import JSON
import LogStore
import Testing

@Suite struct LogLineReaderTests {
    private let id = "019a3c00-1111-7222-8333-444455556666"

    private func read(_ text: String) -> (line: String, facts: LineFacts) {
        let bytes = Array(text.utf8)
        let padded = bytes + [UInt8](repeating: 0, count: JSONParser.paddingBytes)
        return padded.withUnsafeBytes { all in
            switch LogLineReader().read(UnsafeRawBufferPointer(rebasing: all[..<bytes.count]), tool: "given", now: 7) {
            case .kept(let facts): (text, facts)
            case .rewritten(let other, let facts): (String(decoding: other, as: UTF8.self), facts)
            }
        }
    }

    @Test func `A line of a tool is kept as it is`() {
        let text =
            #"{"time":"2026-01-31T12:00:00.000001Z","level":"warning","tool":"a","correlation_id":"\#(id)","message":"m","x":1}"#
        let (line, facts) = read(text)
        #expect(line == text)
        #expect(facts.time == 1_769_860_800_000_001)
        #expect(facts.level == LogLevel.warning.rawValue)
        #expect(facts.tool == "a")
        #expect(facts.correlation == EventID(id))
    }

    @Test func `A span has no level, and a log line with a key span_id is no span`() {
        let start = #"{"time":"2026-01-31T12:00:00.000001Z","tool":"a","span_id":"1""#
        #expect(read(start + "}").facts.level == LineFacts.spanLevel)
        #expect(read(start + #","level":"info","message":"m"}"#).facts.level == LogLevel.info.rawValue)
    }

    @Test func `Keys of other programs are recognised, and the rest is kept`() {
        let (line, facts) = read(
            #"{"ts":1769860800.5,"severity":"WARN","msg":"hello","service":"nginx","traceId":"019a3c00111172228333444455556666","tool":5}"#
        )
        #expect(facts == LineFacts(time: 1_769_860_800_500_000, level: 4, tool: "nginx", correlation: EventID(id)))
        #expect(
            line
                == #"{"time":"2026-01-31T12:00:00.500000Z","level":"warning","tool":"nginx","correlation_id":"\#(id)","message":"hello","metadata_tool":5}"#
        )
        #expect(read(#"{"level":50,"time":1769860800500,"msg":"x"}"#).facts.level == LogLevel.error.rawValue)
    }

    @Test func `An entry of the journal becomes a line, and a line within an entry takes its place`() {
        let (line, facts) = read(
            #"{"__REALTIME_TIMESTAMP":"1769860800500000","PRIORITY":"3","SYSLOG_IDENTIFIER":"sshd","MESSAGE":[104,105,255],"_PID":"9"}"#
        )
        #expect(facts == LineFacts(time: 1_769_860_800_500_000, level: 5, tool: "sshd", correlation: nil))
        #expect(line.contains("\"message\":\"hi\u{FFFD}\"") && line.contains(#""pid":"9""#))
        let inner = #"{\"time\":\"2026-01-31T12:00:00Z\",\"level\":\"info\",\"tool\":\"tg-send\",\"message\":\"m\"}"#
        let (own, ownFacts) = read(#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":"\#(inner)"}"#)
        #expect(own == #"{"time":"2026-01-31T12:00:00Z","level":"info","tool":"tg-send","message":"m"}"#)
        #expect(ownFacts.tool == "tg-send")
    }

    @Test(arguments: ["", "{", "[1]", "\"text\"", "{\"a\":1,\"a\":2}", "\u{0}", "{\"a\":\"\u{0}\"}"])
    func `A line that is no JSON object becomes the value of a line that says so`(text: String) {
        let (line, facts) = read(text)
        #expect(facts == LineFacts(time: 7, level: LogLevel.warning.rawValue, tool: "given", correlation: nil))
        #expect((try? JSON(parsing: line))?["line"]?.string == text)
    }

    @Test(arguments: [
        ("1", "10000000-0000-0000-0000-000000000000", "1fffffff-ffff-ffff-ffff-ffffffffffff"),
        ("019a3c00-1111-7", "019a3c00-1111-7000-0000-000000000000", "019a3c00-1111-7fff-ffff-ffffffffffff"),
        ("019a3c0011117222", "019a3c00-1111-7222-0000-000000000000", "019a3c00-1111-7222-ffff-ffffffffffff"),
        ("019a3c00111172228", "019a3c00-1111-7222-8000-000000000000", "019a3c00-1111-7222-8fff-ffffffffffff"),
        (
            "019a3c00111172228333444455556666", "019a3c00-1111-7222-8333-444455556666",
            "019a3c00-1111-7222-8333-444455556666"
        ),
    ])
    func `The beginning of an id stands for all ids that begin so`(prefix: String, lowest: String, highest: String) {
        let found = CorrelationPrefix(prefix)
        #expect(found?.lowest.description == lowest)
        #expect(found?.highest.description == highest)
    }

    @Test(arguments: ["", "-", "g", "019a3c001111722283334444555566667"])
    func `Other text is no beginning of an id`(text: String) { #expect(CorrelationPrefix(text) == nil) }

    @Test(arguments: [
        ("2026-01-31T12:00:00.000001Z", 1_769_860_800_000_001), ("1970-01-01T00:00:00.000000Z", 0),
        ("2024-02-29T23:59:59.999999Z", 1_709_251_199_999_999), ("2026-01-31T12:00:00+01:00", 1_769_857_200_000_000),
        ("2100-03-01T00:00:00.000000Z", 4_107_542_400_000_000), ("2026-04-30T00:00:00.000000Z", 1_777_507_200_000_000),
        ("2000-02-29T00:00:00.000000Z", 951_782_400_000_000), ("2026-12-31T23:59:59.000000Z", 1_798_761_599_000_000),
    ])
    func `Times are read in microseconds`(text: String, microseconds: Int64) {
        #expect(Array(text.utf8).withUnsafeBytes { LineTime.microseconds($0) } == microseconds)
    }
}

@Suite struct SecretPatternTests {
    private func cleaned(_ text: String) -> String? {
        Array(text.utf8).withUnsafeBytes { SecretPatterns.removed(from: $0) }.map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    @Test(arguments: [
        ("redis://user:pa@ss@host/1", "redis://[secret]@host/1"),
        ("a 1234567:AAabcdefghij-klmnopqrs_tuvwxyz0123 b", "a [secret] b"),
        (
            "https://api.telegram.org/bot1234567:AAabcdefghijklmnopqrstuvwxyz0123/getMe",
            "https://api.telegram.org/bot[secret]/getMe"
        ),
        (#"{"phone":"+4915112345678"}"#, #"{"phone":"[secret]"}"#),
        ("x \(String(repeating: "Ab0_", count: 60)) y", "x [secret] y"),
        ("s3://k:v@h and +491511234567", "s3://[secret]@h and [secret]"),
    ])
    func `Secrets are found by their form`(text: String, expected: String) { #expect(cleaned(text) == expected) }

    @Test func `A secret is found wherever it stands in a long line`() {
        let key = String(repeating: "Ab0_", count: 50)
        for place in [0, 1, 150, 199, 200, 201, 399, 1000] {
            let before = String(repeating: "é ", count: place / 2) + (place % 2 == 1 ? " " : "")
            for secret in [key, "+491511234567", "1234567:AAabcdefghij-klmnopqrs_tuvwxyz0123"] {
                #expect(cleaned("\(before)\(secret) end") == "\(before)[secret] end", "\(place)")
            }
        }
        #expect(cleaned(String(key.dropLast())) == nil)
    }

    @Test(arguments: [
        "https://host/a@b", "2026-01-31T12:00:00+00:00", "12:30", "1+1", "mailto:me@example.org", "",
        String(repeating: "ab", count: 32), "id 123456789:short",
    ])
    func `Other texts stay as they are`(text: String) { #expect(cleaned(text) == nil) }
}
