import Envelope
import JSON
import Logging
import Options
import Redis
import TestSupport
import Testing

@testable import RateLimits
@testable import Stage

@Suite(.timeLimit(.minutes(2))) struct LimitStageTests {
    private let server: RedisServer
    private let redis: Redis

    init() throws {
        server = try RedisServer()
        redis = Redis(try RedisAddress(parsing: server.address), clientName: "test")
    }

    private func guarded(_ failure: FailureMode = .open, limit: Int = 2) throws -> OutageGuard {
        OutageGuard(
            limiter: RateLimiter(redis, try RateLimit(name: "t", limit: limit, window: .seconds(3600))),
            log: Logger(label: "test"), failure: failure)
    }

    private func stage(
        _ action: LimitAction, mode: RateMode = .checkAndCount, exempt: Set<String> = ["admin"],
        counter: OutageGuard? = nil
    ) throws -> LimitStage {
        LimitStage(
            log: Logger(label: "test"), counter: try counter ?? guarded(), key: .user, mode: mode, action: action,
            exemptRoles: exempt)
    }

    private func event(_ user: Int?, meta: String = #""origin":{"chat_id":5}"#) throws -> Envelope {
        let actor = user.map { #""actor":{"id":\#($0)},"# } ?? ""
        return try Envelope(
            try JSON(
                parsing:
                    #"{"type":"a","correlation_id":"0192f0c1-2345-7abc-9def-0123456789ab","payload":{},"meta":{\#(actor)\#(meta)}}"#
            ))
    }

    private func words(_ decisions: [Decision]) -> [String] {
        decisions.map { decision in
            switch decision {
            case .forward: "forward"
            case .drop: "drop"
            case .write: "write"
            case .replace(let events): events.map(\.type).joined(separator: "+")
            case .addToMeta: "mark"
            case .refuse: "refuse"
            }
        }
    }

    @Test func `a cancellation is neither counted nor limited`() async throws {
        var cancellation = try event(1)
        cancellation.type = "commands.media.cancel"
        let events =
            [cancellation, cancellation, cancellation] + (try [1, 1, 1].map { try event($0) }) + [cancellation]
        let decisions = try await stage(.drop).decide(events)
        #expect(words(decisions) == ["forward", "forward", "forward", "forward", "forward", "drop", "forward"])
    }

    @Test func `events over the limit are dropped, those of other users are not`() async throws {
        let events = try [1, 1, 2, 1, 1, 2].map { try event($0) }
        let decisions = try await stage(.drop).decide(events)
        #expect(words(decisions) == ["forward", "forward", "forward", "drop", "drop", "forward"])
    }

    @Test func `a marked event carries the limit`() async throws {
        let decisions = try await stage(.mark).decide(try [1, 1, 1].map { try event($0) })
        guard case .replace(let marked) = decisions[2], let meta = marked.first?.meta else {
            Issue.record("not marked")
            return
        }
        #expect(meta["rate_limited"] == true && meta["origin"] != nil)
        #expect(meta["rate_limit"]?["name"] == "t" && meta["rate_limit"]?["limit"] == 2)
        #expect(meta["rate_limit"]?["window_seconds"] == 3600)
        #expect((meta["rate_limit"]?["retry_after_seconds"]?.int ?? 0) > 0)
    }

    @Test func `only the first refusal is answered, and only in a chat`() async throws {
        let stage = try stage(.reply)
        let decisions = try await stage.decide(try [1, 1, 1, 1].map { try event($0) })
        #expect(words(decisions) == ["forward", "forward", "commands.telegram.reply", "drop"])
        let without = try await stage.decide(try [2, 2, 2].map { try event($0, meta: #""x":1"#) })
        #expect(words(without) == ["forward", "forward", "drop"])
    }

    @Test func `exempt roles and events without a key are not counted`() async throws {
        let stage = try stage(.drop, exempt: ["admin"])
        let admins = try (0..<5).map { _ in try event(1, meta: #""role":"admin""#) }
        let keyless = try (0..<5).map { _ in try event(nil) }
        #expect(Set(words(try await stage.decide(admins + keyless))) == ["forward"])
        #expect(words(try await stage.decide(try [1, 1, 1].map { try event($0) })) == ["forward", "forward", "drop"])
        #expect(try await stage.decide([Envelope]()).isEmpty)
    }

    @Test func `in an outage events are forwarded or refused, as configured`() async throws {
        server.kill()
        let open = try guarded(.open)
        #expect(try await open.decide(["a", "a", "a"], .checkAndCount).allSatisfy(\.isAllowed))
        #expect(open.isRedisAway)
        let closed = try guarded(.closed)
        let decisions = try await closed.decide(["a", "a", "b"], .checkAndCount)
        #expect(decisions.map(\.isAllowed) == [false, false, false])
        #expect(decisions.map(\.isFirstRefusal) == [true, false, true])
        // What has happened already is never refused.
        #expect(try await closed.decide(["a"], .count).allSatisfy(\.isAllowed))
        let reply = try await stage(.reply, counter: closed).decide([try event(9)])
        guard case .replace(let replies) = reply[0] else {
            Issue.record("no reply")
            return
        }
        #expect(replies.first?.payload["text"]?.string?.contains("try again later") == true)
    }

    @Test func `after an outage Redis decides again`() async throws {
        let counter = try guarded(.closed, limit: 1)
        #expect(try await counter.decide(["a"], .checkAndCount).map(\.isAllowed) == [true])
        server.kill()
        #expect(try await counter.decide(["b"], .checkAndCount).map(\.isAllowed) == [false])
        try server.start()
        // The guard tries Redis again after a pause; the suite's time limit ends a wait without end.
        while counter.isRedisAway {
            try await Task.sleep(for: .milliseconds(50))
            _ = try await counter.decide(["c"], .check)
        }
        #expect(try await counter.decide(["b", "b"], .checkAndCount).map(\.isAllowed) == [true, false])
    }

    @Test func `a refusal is in the user's language`() async throws {
        let stage = try stage(.reply, counter: guarded(limit: 1))
        let german = try event(1, meta: #""origin":{"chat_id":5}"#)
        var second = german
        second.meta["actor"] = ["id": 1, "name": "A", "language": "de-AT"]
        let decisions = try await stage.decide([german, second])
        guard case .replace(let events) = decisions[1] else { throw RedisError(.protocolError, "no answer") }
        #expect(events.first?.payload["text"] == "Zu viele Anfragen: versuche es in 60 Min. wieder.")
    }
}
