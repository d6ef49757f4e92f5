import Envelope
import JSON
import Logging
import Options
import Redis
import TestSupport
import Testing

@testable import RateLimits
@testable import Stage

/// Tests that a stage which reads only the heads of events decides as one that parses them.
@Suite(.timeLimit(.minutes(2))) struct LimitHeadTests {
    private let server: RedisServer
    private let redis: Redis

    init() throws {
        server = try RedisServer()
        redis = Redis(try RedisAddress(parsing: server.address), clientName: "test")
    }

    private static let start = #""type":"a","correlation_id":"0192f0c1-2345-7abc-9def-0123456789ab""#
    /// The members of events behind the head, each in a form that only the whole event may show.
    private static let members = [
        #""meta":{"actor":{"id":1},"role":"blessed"}"#,
        #" "meta" : { "actor" : { "id" : 1 } } , "payload" : { "x" : "}" } "#,
        #""meta":{"actor":{"id":"1"}}"#,
        #""meta":{"actor":{"id":1.0}}"#,
        #""meta":{"actor":{"id":-0}}"#,
        #""meta":{"actor":{"id":12345678901234567890123}}"#,
        #""meta":{"actor":{"id":null}}"#,
        #""meta":{"actor":{"id":true}}"#,
        #""meta":{"actor":{"id":{"a":1}}}"#,
        #""meta":{"actor":{"id":""}}"#,
        #""meta":{"actor":{"id":"\u0031"}}"#,
        #""meta":{"actor":{"id":"a\\"}}"#,
        #""m\u0065ta":{"actor":{"id":2}}"#,
        #""meta":{"\u0061ctor":{"id":3}}"#,
        #""meta":{"actor":{"id":4},"role":"admin"}"#,
        #""meta":{"actor":{"id":5},"role":"\u0061dmin"}"#,
        #""meta":{"actor":{"id":6},"r\u006fle":"admin"}"#,
        #""meta":{"actor":{"id":7},"role":null}"#,
        #""meta":{"actor":{"id":8},"role":42}"#,
        #""meta":{"actor":{"id":9},"rate_limited":false}"#,
        #""meta":{"actor":{"id":10},"rate_limit":{"name":"other"},"rate_limited":true}"#,
        #""meta":{"actor":{"id":11},"r\u0061te_limited":false}"#,
        #""meta":{},"payload":{"message":{"from":{"id":12},"chat":{"id":13}}}"#,
        #""meta":{ },"payload":{"message":{"from":{"id":13},"chat":{"id":13}}}"#,
        #""payload":{"message":{"from":{"id":14},"chat":{"id":14}}}"#,
        #""payload":{"url":"https://example.com/\u00e9"}"#,
        #""payload":{"meta":{"actor":{"id":15}}}"#,
        #""meta":{"actor":{"id":"\#(String(repeating: "é", count: 300))"}}"#,
        #""meta":{"actor":{"id":"e\#u{301}"},"unknown":[{"meta":{}}]},"further":"}""#,
    ]

    /// Returns what a stage makes of each line: the lines that it passes on, or the reason why it refuses one.
    private func results(
        _ key: EventKey, _ action: LimitAction, level: Logger.Level,
        _ decide: (LimitStage) async throws -> (heads: [EventHead], [Decision])
    ) async throws -> [String] {
        try server.cli("FLUSHALL")
        var log = Logger(label: "test")
        log.logLevel = level
        let counter = OutageGuard(
            limiter: RateLimiter(redis, try RateLimit(name: "t", limit: 1, window: .seconds(3600))), log: log,
            failure: .open)
        let stage = LimitStage(
            log: log, counter: counter, key: key, mode: .checkAndCount, action: action, exemptRoles: ["admin"])
        let (heads, decisions) = try await decide(stage)
        return try decisions.enumerated().map { index, decision in
            switch decision {
            case .forward: return "forward"
            case .drop: return "drop"
            case .write: return "write"
            case .refuse(let fault): return fault.reason
            case .replace(let events): return try events.map { try plain($0) }.joined(separator: "+")
            case .addToMeta(let members):
                var line: [UInt8] = []
                #expect(heads[index].append(to: &line, addingToMeta: members))
                #expect(line.last == UInt8(ascii: "\n"))
                return try plain(try Envelope(try JSON(parsing: line)))
            }
        }
    }

    /// Returns an event without what differs between two runs: new ids and times, and the exact wait.
    private func plain(_ event: Envelope) throws -> String {
        var event = event
        event.id = event.correlationID
        event.timestamp = ""
        if var limit = event.meta["rate_limit"]?.object, limit["retry_after_seconds"] != nil {
            limit["retry_after_seconds"] = 0
            event.meta["rate_limit"] = .object(limit)
        }
        return String(decoding: event.line, as: UTF8.self)
    }

    @Test(arguments: LimitAction.allCases, [Logger.Level.error, .debug])
    func `Heads and whole events have the same results`(_ action: LimitAction, _ level: Logger.Level) async throws {
        let lines = Self.members.map { Array("{\(Self.start),\($0)}".utf8) }.flatMap { [$0, $0, $0] }
        for key in [EventKey.user, .chat, .path(["payload", "url"]), .path(["meta", "actor"]), .path(["type"])] {
            let whole = try await results(key, action, level: level) { stage in
                ([], try await stage.decide(lines.map { try Envelope(try JSON(parsing: $0)) }))
            }
            let heads = try await results(key, action, level: level) { stage in
                let reader = stage.headReader()
                let heads = try lines.map { try #require(try reader.read(Line($0)) { _ in true }.get()) }
                return (heads, try await stage.ask(heads)())
            }
            #expect(whole.count == lines.count)
            for (line, (a, b)) in zip(lines, zip(whole, heads)) where a != b {
                Issue.record("\(key): \(String(decoding: line, as: UTF8.self)): \(a) is not \(b)")
            }
        }
    }

    @Test func `A flood is marked without parsing it`() async throws {
        let line = Array("{\(Self.start),\(Self.members[0])}".utf8)
        var log = Logger(label: "test")
        log.logLevel = .error
        let counter = OutageGuard(
            limiter: RateLimiter(redis, try RateLimit(name: "t", limit: 1, window: .seconds(3600))), log: log,
            failure: .open)
        let stage = LimitStage(
            log: log, counter: counter, key: .user, mode: .checkAndCount, action: .mark, exemptRoles: ["admin"])
        let reader = stage.headReader()
        let heads = try [line, line].map { try #require(try reader.read(Line($0)) { _ in true }.get()) }
        let decisions = try await stage.ask(heads)()
        guard case .addToMeta = decisions[1] else {
            Issue.record("\(decisions)")
            return
        }
    }
}
