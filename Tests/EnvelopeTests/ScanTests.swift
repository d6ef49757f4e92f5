@testable import Envelope
import JSON
import Testing

/// A line that may be read beyond its end is scanned in a shorter way, which must never differ in what it says.
@Suite struct ScanTests {
    private struct Verdict: Equatable {
        var code: MalformedInput.Code?
        var reason: String?
        var type = ""
        var version = 0
        var correlationID = ""

        init(_ scanned: ScannedLine) {
            code = scanned.fault?.code
            reason = scanned.fault?.reason
            guard scanned.fault == nil else { return }
            type = String(decoding: scanned.type, as: UTF8.self)
            version = scanned.version
            correlationID = String(decoding: scanned.correlationID, as: UTF8.self)
        }
    }

    private let parser = JSONParser()

    /// - Parameter behind: what stands in memory after the line.
    private func verdicts(_ line: [UInt8], behind: UInt8) -> (short: Verdict, long: Verdict) {
        let padded = line + [UInt8](repeating: behind, count: JSONParser.paddingBytes)
        let short = padded.withUnsafeBytes { bytes in
            Verdict(parser.scan(UnsafeRawBufferPointer(rebasing: bytes.prefix(line.count)), padded: true))
        }
        return (short, line.withUnsafeBytes { Verdict(parser.scan($0)) })
    }

    private static let pieces: [String] = [
        "{", "}", "[", "]", ":", ",", "\"", "\\", "\\\"", "\\u0041", "\\ud83d\\ude00", "\\ud800", "1", "-1", "01",
        "1.5", "1e5",
        "1e999", "-", "12345678901234567890", "0.1234567890123456789", "true", "false", "null", "nulll", "\"a\"",
        "\"k\"",
        "\"timestamp\":\"2026-01-01T00:00:00Z\"", "\"timestamp\":\"2026-01-01\"",
        "\"timestamp\":\"2026-01-01T00:00:00\\u005a\"", "\"\\u006b\"", "\"type\":\"a.b\"", "\"version\":1",
        "\"version\":2147483648", "\"payload\":{}", "\"meta\":[]",
        " ", "\t",
        "\u{0}", "\u{1}", "é", "{}", "[]", "{\"a\":1}", "[1,2]", "\"a\":1",
    ]

    private func line(_ generator: inout SystemRandomNumberGenerator) -> [UInt8] {
        var text =
            #"{"type":"a.b","correlation_id":"\#(EnvelopeTests.correlation)","payload":{"t":"x\ny","n":[1,{"k":null}]}"#
        for number in 0..<Int.random(in: 0...4, using: &generator) {
            let piece = ScanTests.pieces.randomElement(using: &generator) ?? ""
            text += Bool.random(using: &generator) ? #", "m\#(number)" :\#(piece)"# : piece
        }
        var bytes = Array("\(text)}".utf8)
        for _ in 0..<max(0, Int.random(in: -2...3, using: &generator)) {
            let place = Int.random(in: 0..<bytes.count, using: &generator)
            switch Int.random(in: 0...3, using: &generator) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &generator)
            case 1: bytes.insert(contentsOf: (ScanTests.pieces.randomElement(using: &generator) ?? "").utf8, at: place)
            case 2: bytes.remove(at: place)
            default: bytes.swapAt(place, Int.random(in: 0..<bytes.count, using: &generator))
            }
        }
        return bytes
    }

    /// Checks that both ways agree on many lines, and returns how many lines are envelopes.
    private func acceptedLines(_ make: (inout SystemRandomNumberGenerator) -> [UInt8]) -> Int {
        var generator = SystemRandomNumberGenerator()
        var accepted = 0
        for _ in 0..<30_000 {
            let line = make(&generator)
            let behind = Array(#"}]",:0 "#.utf8).randomElement(using: &generator) ?? 0
            let (short, long) = verdicts(line, behind: behind)
            // Of two mistakes in one line, newer versions of simdjson may name the other first.
            let isSame = short.code == .notJSON && long.code == .notJSON || short == long
            #expect(isSame, "\(short) and \(long) for \(String(decoding: line, as: UTF8.self))")
            if short.code == nil { accepted += 1 }
        }
        return accepted
    }

    @Test func `The fast scan agrees with the full parser`() {
        let accepted = acceptedLines { line(&$0) }
        // Both kinds, and plenty of each.
        #expect((2000..<28_000).contains(accepted))
    }

    @Test(arguments: [1, 63, 64, 65, 66, 126, 127, 128, 200])
    func `The fast scan and the full parser agree on depth`(_ depth: Int) {
        let (open, close) = (String(repeating: "[", count: depth), String(repeating: "]", count: depth))
        let text = #"{"type":"a","correlation_id":"\#(EnvelopeTests.correlation)","x":\#(open)\#(close)}"#
        let (short, long) = verdicts(Array(text.utf8), behind: 0x0A)
        #expect(short == long)
        #expect((short.code == nil) == (depth < 128))
    }

    @Test(arguments: [1, 63, 64, 65, 1000, 2000], [false, true])
    func `The fast scan and the full parser agree on objects with many keys`(_ count: Int, _ repeats: Bool) {
        let keys = (0..<count).map { "\"k\($0)\":\($0)" } + (repeats ? ["\"k0\":0"] : [])
        let text =
            #"{"type":"a","correlation_id":"\#(EnvelopeTests.correlation)","x":{\#(keys.joined(separator: ","))}}"#
        let (short, long) = verdicts(Array(text.utf8), behind: 0x0A)
        #expect(short == long)
        #expect(short.code == (repeats ? .duplicateKey : nil))
    }

    /// Lines whose values stand at `@`, so that many lines have one shape.
    private static let shapes = [
        #"{"id":@,"type":@,"version":@,"correlation_id":@,"timestamp":@,"payload":{"a":@,"b":[@,@],"c":{"d":@}},"meta":{}}"#,
        #"{"type":@,"correlation_id":@,"payload":{"a":@,"b":[@]}, "meta" : {"x":@} }"#,
        #"{"correlation_id":@,"type":@,"causation_id":@,"other":@,"payload":{},"a key that is longer than the text of a step":[[],{},@]}"#,
    ]

    private static let values = [
        "\"\(EnvelopeTests.correlation)\"", #""events.telegram.raw""#, #""a.b""#, #""2026-01-01T00:00:00Z""#, "1", "7",
        "-12.5",
        "true", "false", "null", #""""#, #""short""#, #""a text that is longer than sixteen bytes""#,
        #""漢字 and räksmörgås""#,
        #""x\n\u00e9""#,
    ]

    private static let unusualValues = [
        "01", "1e5", "12345678901234567890", "tru", "nulll", "\"\u{1}\"", #""\ud800""#, #""\x""#, #""open"#, "", "{}",
        "[]", "{", "]",
        #""a","k":"b""#, "1,2", "2147483648", "0", " 1", "\"\t\"", "truefalse",
    ]

    private static func usualValues(after text: Substring) -> [String] {
        if text.hasSuffix("id\":") { return [values[0]] }
        if text.hasSuffix("\"type\":") { return [values[1], values[2]] }
        if text.hasSuffix("version\":") { return [values[5]] }
        return text.hasSuffix("timestamp\":") ? [values[3]] : values
    }

    /// Returns a line of a known shape. Most of its values are usual; in some lines one is not, or a byte is not UTF-8.
    private func shapedLine(_ generator: inout SystemRandomNumberGenerator) -> [UInt8] {
        let texts =
            ScanTests.shapes.randomElement(using: &generator)?.split(separator: "@", omittingEmptySubsequences: false)
            ?? []
        let unusual = Int.random(in: 0..<texts.count * 2, using: &generator)
        var line: [UInt8] = []
        for (number, text) in texts.enumerated() {
            line += text.utf8
            guard number < texts.count - 1 else { break }
            let values = number == unusual ? ScanTests.unusualValues : ScanTests.usualValues(after: text)
            line += (values.randomElement(using: &generator) ?? "").utf8
        }
        if Int.random(in: 0..<20, using: &generator) == 0 {
            line[Int.random(in: 0..<line.count, using: &generator)] = 0xFF
        }
        if Int.random(in: 0..<20, using: &generator) == 0 {
            line.removeLast(Int.random(in: 0..<line.count, using: &generator))
        }
        return line
    }

    @Test func `Lines of a known shape are checked like all others`() {
        let accepted = acceptedLines { shapedLine(&$0) }
        #expect((8000..<29_000).contains(accepted))
    }

    @Test func `Fields are found in lines of a known shape`() throws {
        let finder = FieldFinder([["payload.a"], ["meta.x"]])
        for number in 0..<50 {
            let line =
                #"{"type":"a.b","correlation_id":"\#(EnvelopeTests.correlation)","payload":{"a":\#(number)},"meta":{"x":"t\#(number)"}}"#
            let padded = Array(line.utf8) + [UInt8](repeating: 0, count: JSONParser.paddingBytes)
            try padded.withUnsafeBytes { bytes in
                try #require(
                    finder.find(in: UnsafeRawBufferPointer(rebasing: bytes.prefix(line.utf8.count))).isEnvelope)
                #expect(finder[0].int == Int64(number))
                #expect(finder[1].string == "t\(number)")
            }
        }
    }
}
