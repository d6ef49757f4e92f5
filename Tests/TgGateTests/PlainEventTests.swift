import ArgumentParser
import BotAPI
import ChatCommands
import Envelope
import JSON
import Options
import Payloads
import Testing
import Texts

@testable import Stage
@testable import tg_gate

/// Compares what the gate makes of events that are read without parsing them with what it makes of the parsed events.
@Suite struct PlainEventTests {
    private static let admins: Set<Int64> = [42]

    private let gate: Gate
    private let heads = EventHeadReader(fields: [])
    private let reader = PlainEventReader(admins: admins)

    init() throws {
        let runtime = try Runtime(tool: "tg-gate", options: try CommonOptions.parse(["--log-level", "error"]))
        let rules = AccessRules(runtime: runtime)
        let words = [".weather=commands.weather.forecast", ".own=commands.media.own", ".x=other.x"]
        gate = Gate(
            runtime: runtime, admins: Self.admins,
            table: CommandTable(changes: words.compactMap { CommandWord(argument: $0) }), rules: rules,
            names: NameLookup(runtime: runtime, account: try AccountOptions.parse([]), rules: rules), texts: Texts(),
            published: TopicPattern.commands)
    }

    /// Holds the parts of the line of an event, as JSON text.
    private struct Parts {
        var text = #""text":".vdl https://example.com/0""#
        var from = #"{"id":42,"is_bot":false,"first_name":"Alice","username":"alice"}"#
        var chat = #"{"id":42,"first_name":"Alice","type":"private"}"#
        var ids = #""message_id":5"#
        var entities = #""entities":[{"type":"url","offset":5,"length":21}]"#
        var more = ""
        var key = "message"
        var payload = #""update_id":7"#
        var meta = #"{"received_at":"2026-11-21T12:00:00.000000Z","bot":{"id":123456,"username":"test_bot"}}"#
        var top = #""id":"01930b7a-4f00-7abc-8def-000000000001","version":1"#

        var line: String {
            let members = [
                ids, from.isEmpty ? "" : #""from":\#(from)"#, chat.isEmpty ? "" : #""chat":\#(chat)"#, text, entities,
                more,
            ]
            let message = members.filter { !$0.isEmpty }.joined(separator: ", ")
            let payload = (payload.isEmpty ? [] : [payload]) + [#""\#(key)":{\#(message)}"#]
            let rest =
                [#""payload":{\#(payload.joined(separator: ","))}"#] + (meta.isEmpty ? [] : [#""meta": \#(meta)"#])
            return
                #"{\#(top),"type":"events.telegram.raw","correlation_id":"01930b7a-4f00-7abc-9def-000000000001",\#(rest.joined(separator: ","))}"#
        }
    }

    // Other forms of each part, usual and hostile ones.

    private static let writtenText: [String] = [
        ".vdl example.com/a", ".VDL  https://example.com/x mp3", ".adl opus https://a.b/c",
        ".vdl 720 1:30-2:45 https://a.b/v.mp4",
        "/vdl@test_bot https://a.b", "/vdl@other_bot https://a.b", ".vdl? https://a.b",
        ".vdl #tag file https://a.b #tag #Two",
        ".vdl 99x https://a.b", ".vdl", ".weather Oslo \\u00e5 \\n now", ".weather see https://a.b.",
        ".own best https://a.b", ".x a",
        ".whoami", "/whoami", ".bless 7", ".grace", "hello", "", " ", "\\n",
        ".vdl http://\u{308}a https://\u{308}b",
        ".vdl (https://a.b/c_(d)), \\\"x\\\"", ".vdl https:\\/\\/a.b\\/c", "\\u002evdl https://a.b",
        ".vdl https://a.b/\\ud83d\\ude00",
        ".vdl https://a.b/\\ud83d", ".vdl https://a.b/\u{1F600}é", ".vdl\u{2003}https://a.b",
        ".vdl 1-5 https://a.b/list",
        ".vdl hTTps://A.B/x subs", ".vdl 5 https://a.b", ".vdl https://a.b\u{7f}c", ".prefer 720",
        ".vdl https://a.b/\(String(repeating: "x", count: 5000))",
        "\(String(repeating: "w", count: 80)) https://a.b",
    ]

    private static let textForms: [String] = writtenText.map { #""text":"\#($0)""# } + otherText

    private static let otherText: [String] = [
        #""text":7"#, #""text":null"#, #""text":["x"]"#, #""caption":".vdl https://a.b""#, "",
        #""t\u0065xt":".vdl https://a.b""#,
        #""text":".vdl https://a.b","caption":"x""#,
    ]

    private static let fromForms: [String] = [
        #"{"id":7,"first_name":"Bob"}"#,
        #"{"id":7,"first_name":"Bob","last_name":"B","language_code":"de","is_bot":true}"#,
        #"{"id":7.0,"last_name":"B"}"#, #"{"id":"7","first_name":"Bob"}"#, #"{"id":99999999999999999999}"#,
        #"{"id":1e3}"#,
        #"{"id":136817688,"first_name":"Channel"}"#, #"{"id":7,"first_name":7}"#, #"{"id":7,"username":""}"#,
        #"{"id":7,"username":"\ud800"}"#, #"{"id":7,"username":"A\"b\\c","first_name":"\u0001\u007f"}"#, "{}",
        "[]", "7", "null", "",
        #"{"id":null}"#, #"{"i\u0064":7,"first_name":null}"#,
        #"{"id":42,"language_code":"pt-BR","x":{"y":[1,{"id":3}]}}"#,
        #"{"id":-9223372036854775808}"#, #"{"id":-0}"#,
    ]

    private static let chatForms: [String] = [
        #"{"id":-100,"type":"supergroup","title":"T"}"#, #"{"id":-100,"type":"group"}"#,
        #"{"id":-100,"type":"channel"}"#,
        #"{"id":-100,"type":"ch\u0061nnel"}"#, #"{"id":-100}"#, #"{"id":-100,"type":null}"#,
        #"{"id":-100,"type":3}"#, #"{"type":"private"}"#,
        #"{"id":1.5}"#, "{}", "[]", "null", "", #"{"id":-100,"type":"supergroup","is_forum":true}"#,
    ]

    private static let idsForms: [String] = [
        #""message_id":5.0"#, #""message_id":"5""#, #""message_id":null"#, "", #""message_id":-1"#,
        #""message_id":18446744073709551615"#,
    ]

    private static let writtenEntities: [String] = [
        "", "[]", "null", "{}", "7", "[7,null,[]]",
        #"[{"type":"text_link","offset":0,"length":4,"url":"https://h.i"}]"#,
        #"[{"type":"text_link","offset":0,"length":4,"url":7}]"#,
        #"[{"type":"url","offset":5,"length":9223372036854775807}]"#,
        #"[{"type":"url","offset":-1,"length":4}]"#, #"[{"type":"url","offset":5.0,"length":3}]"#,
        #"[{"type":"url","offset":5,"length":0}]"#,
        #"[{"type":"u\u0072l","offset":6,"length":5},{"type":"bold","offset":0,"length":1}]"#,
        #"[{"type":null,"offset":0,"length":4}]"#,
        #"[{"type":"url","offset":99999999999999999999,"length":4}]"#,
        #"[{"type":"text_link","offset":5,"length":3,"url":"\ud800"}]"#,
        #"[{"type":"text_mention","offset":0,"length":4,"user":{"id":9,"username":"nine"}}]"#,
        #"[{"user":null}]"#, #"[{"user":7}]"#,
        #"[{"type":"text_link","offset":0,"length":4,"url":"tg://x"},{"type":"url","offset":5,"length":11}]"#,
    ]

    private static let entitiesForms: [String] =
        writtenEntities.map { $0.isEmpty ? "" : #""entities":\#($0)"# } + otherEntities

    private static let otherEntities: [String] = [
        #""caption_entities":[{"type":"url","offset":5,"length":3}]"#
    ]

    private static let moreForms: [String] = [
        #""date":1795262400"#, #""edit_date":1"#, #""is_topic_message":true,"message_thread_id":9"#,
        #""message_thread_id":9"#,
        #""is_topic_message":true,"message_thread_id":"9""#,
        #""forward_origin":{"type":"user","sender_user":{"id":8}}"#, #""forward_origin":null"#,
        #""via_bot":{"id":1}"#, #""sender_business_bot":{"id":1}"#, #""sender_chat":{"id":-100,"title":"T"}"#,
        #""sender_chat":null"#,
        #""reply_to_message":{"message_id":4,"chat":{"id":42},"text":"see http://e.org/v","from":{"id":7}}"#,
        #""reply_to_message":{"message_id":4,"chat":{"id":42},"forum_topic_created":{}}"#,
        #""quote":{"text":"https://q.r","position":0}"#,
        #""external_reply":{"video":{"file_id":"F","file_unique_id":"U"}}"#,
        #""video":{"file_id":"F","file_unique_id":"U"}"#,
        #""photo":[{"file_id":"F","file_unique_id":"U"}]"#, #""new_chat_members":[{"id":9,"username":"n"}]"#,
        #""migrate_to_chat_id":-200"#,
        #""link_preview_options":{"is_disabled":true}"#, #""user":{"id":9}"#, #""unknown":1e999"#,
        #""unknown":null"#,
        #""message_id":6"#,
        #""deep":\#(String(repeating: "[", count: 100))\#(String(repeating: "]", count: 100))"#,
        #""deep":\#(String(repeating: "[", count: 130))\#(String(repeating: "]", count: 130))"#,
    ]

    private static let keyForms: [String] = [
        "edited_message", "channel_post", "edited_channel_post", "business_message", "callback_query",
        "m\\u0065ssage", "counters", "future",
    ]

    private static let payloadForms: [String] = [
        "", #""update_id":{"a":1}"#, #""update_id":"x""#, #""counters":{"views":1},"pts":5"#,
        #""poll":{"id":1}"#, #""poll":null"#, #""poll":[{}]"#,
        #""tl":{"message":{}}"#, #""\u0000":{}"#,
    ]

    private static let metaForms: [String] = [
        "", "{}", #"{"bot":null}"#, #"{"bot":7}"#, #"{"bot":{"username":7}}"#,
        #"{"bot":{"username":"\ud800"}}"#, #"{"account":{"id":5}}"#,
        #"{"sent_by_program":true}"#, #"{"sent_by_program":"true"}"#,
        #"{"outgoing":true,"traceparent":"00-1-2-01"}"#,
        #"{"actor":{"id":1}}"#, #"{"role":"admin"}"#, #"{"origin":null}"#, #"{"as_file":true}"#,
        #"{"hashtags":["x"]}"#, #"{"r\u006fle":"admin"}"#,
        #"{ "n" : [ 1 , -0, 1.50, 1e5, 1E400, 123456789012345678901234567890, 18446744073709551615, true, null, {} , [] ] }"#,
        #"{"s":"\u0041\/\b\f\n\u001f\u007f\u2028é😀\ud83d\ude00\ud800 x","\"k\\":{"\ud800":"\\u0041"}}"#,
        #"{"a":1,"a":2}"#, #"{"a":1,"\u0061":2}"#,
    ]

    private static let topForms: [String] = [
        #""version":1"#, #""id":"01930B7A-4F00-7ABC-8DEF-000000000001""#, #""id":"x""#, #""id":null"#,
        #""id":"01930b7a-4f00-7abc-8def-00000000000\u0031","causation_id":"01930b7a-4f00-7abc-8def-000000000009","timestamp":"2026-11-21T12:00:00Z","extra":{"x":1}"#,
    ]

    private static var forms: [(WritableKeyPath<Parts, String>, [String])] {
        [
            (\.text, textForms),
            (\.from, fromForms),
            (\.chat, chatForms),
            (\.ids, idsForms),
            (\.entities, entitiesForms),
            (\.more, moreForms),
            (\.key, keyForms),
            (\.payload, payloadForms),
            (\.meta, metaForms),
            (\.top, topForms),
        ]
    }

    private static let standings = [
        Standing(hammered: .absent, blessed: .absent, graced: .absent, smitten: .absent),
        Standing(hammered: .absent, blessed: .forever, graced: .absent, smitten: .absent, language: "fa"),
        Standing(hammered: .absent, blessed: .absent, graced: .forever, smitten: .absent),
        Standing(hammered: .forever, blessed: .forever, graced: .absent, smitten: .absent),
        Standing(hammered: .absent, blessed: .forever, graced: .absent, smitten: .forever),
    ]

    @Test func `An ordinary command is read without parsing it`() async throws {
        let request = try #require(try read(Parts().line)).plain
        #expect(request?.command?.word == ".vdl")
        let lines = try await outcome(of: try #require(request), PlainEventTests.standings[0])
        #expect(lines.hasSuffix(#""chat_type":"private"}}}"# + "\n"))
    }

    @Test func `Each form of each part of an event means the same in both ways`() async throws {
        var plain = 0
        for (part, forms) in Self.forms {
            for form in forms {
                var parts = Parts()
                parts[keyPath: part] = form
                plain += try await compare(parts.line) ? 1 : 0
                parts.from = #"{"id":7,"first_name":"Bob"}"#
                if part != \.from { plain += try await compare(parts.line) ? 1 : 0 }
            }
        }
        #expect(plain > 100)
    }

    @Test func `Mixtures of forms mean the same in both ways`() async throws {
        var random = Numbers(state: 20_261_201)
        var plain = 0
        for _ in 0..<4000 {
            var parts = Parts()
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                guard let (part, forms) = Self.forms.randomElement(using: &random) else { continue }
                parts[keyPath: part] = forms.randomElement(using: &random) ?? ""
            }
            plain += try await compare(parts.line) ? 1 : 0
        }
        #expect(plain > 400)
    }

    @Test func `Damaged lines are read in neither way, or mean the same in both`() async throws {
        var random = Numbers(state: 7)
        for _ in 0..<4000 {
            var bytes = Array(Parts().line.utf8)
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0...2, using: &random) {
                case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: place)
                default: bytes.insert(Array("\"\\{}[],:0é".utf8).randomElement(using: &random) ?? 0, at: place)
                }
            }
            _ = try await compare(bytes)
        }
    }

    // MARK: Comparison

    private func compare(_ line: String) async throws -> Bool { try await compare(Array(line.utf8)) }

    /// Compares what both ways make of a line. Returns whether it was read without parsing it.
    private func compare(_ line: [UInt8]) async throws -> Bool {
        guard let (plain, parsed) = try read(line), let plain else { return false }
        let line = String(decoding: line, as: UTF8.self)
        let whole = try #require(parsed, "\(line)")
        #expect(plain.actor == whole.actor, "\(line)")
        #expect(plain.isFromBot == whole.isFromBot && plain.languageCode == whole.languageCode, "\(line)")
        #expect(plain.origin == whole.origin, "\(line)")
        #expect(
            plain.command?.word == whole.command?.word && plain.command?.arguments == whole.command?.arguments,
            "\(line)")
        #expect(plain.command?.isQuestion == whole.command?.isQuestion, "\(line)")
        #expect(plain.changesRules == whole.changesRules, "\(line)")
        #expect(plain.visit.actor == whole.visit.actor && plain.visit.chat == whole.visit.chat, "\(line)")
        #expect(plain.visit.appearances == whole.visit.appearances && plain.visit.seen == whole.visit.seen, "\(line)")
        #expect(plain.visit.migration == nil && whole.visit.migration == nil, "\(line)")
        // Changes of rules ask Redis.
        guard !plain.changesRules else { return true }
        for standing in Self.standings {
            let results = (try await outcome(of: plain, standing), try await outcome(of: whole, standing))
            #expect(Array(results.0.utf8) == Array(results.1.utf8), "\(line)")
        }
        return true
    }

    /// Reads a line in both ways. Returns nil if it is refused before the gate decides.
    private func read(_ line: String) throws -> (plain: Request?, parsed: Request?)? { try read(Array(line.utf8)) }

    private func read(_ line: [UInt8]) throws -> (plain: Request?, parsed: Request?)? {
        let line = Line(line)
        guard let head = try? heads.head(of: line), head.type == TelegramUpdate.type else { return nil }
        return (reader.read(head), Request(try head.envelope(), admins: Self.admins))
    }

    /// Returns the lines of a decision, with fixed ids and times in place of new ones.
    private func outcome(of request: Request, _ standing: Standing) async throws -> String {
        switch try await gate.decide(request, standing) {
        case .drop: return "dropped"
        case .replace(let envelopes): return envelopes.map { fixed(String(decoding: $0.line, as: UTF8.self)) }.joined()
        case .write(let lines): return fixed(String(decoding: lines, as: UTF8.self))
        case .forward, .addToMeta, .refuse: return "unexpected"
        }
    }

    private func fixed(_ line: String) -> String {
        let time = #""timestamp":""#
        let parts = line.split(separator: time, maxSplits: 1, omittingEmptySubsequences: false)
        return parts.count == 2 ? "\(parts[0].dropFirst(43))\(time)\(parts[1].dropFirst(27))" : line
    }

    private struct Numbers: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (state ^ state >> 29) &* 0xBF58_476D_1CE4_E5B9
        }
    }
}
