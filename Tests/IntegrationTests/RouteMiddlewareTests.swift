import Foundation
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(3))) struct RouteMiddlewareTests {
    private let here: RouteFixture

    init() throws { here = try RouteFixture() }

    /// Routes `a.#` to standard output through middlewares.
    private func route(
        before: String = "[]", after: String = "[]", top: String = "", _ input: [String],
        environment: [String: String] = [:]
    ) async throws -> ToolRun.Result {
        let toml = """
            dead_letter = "\(here.folder("dead"))"
            \(top)
            [[route]]
            name = "way"
            match = "#"
            to = "-"
            before = \(before)
            after = \(after)
            """
        try toml.write(toFile: here.folder("routes.toml"), atomically: false, encoding: .utf8)
        return try await ToolRun.run(
            "ev-route", ["--config", here.folder("routes.toml")], input: input.joined(separator: "\n"),
            environment: environment)
    }

    private func event(
        _ number: Int, type: String = "a", id: String? = nil, meta: String = "{}", payload: String? = nil
    )
        -> String
    {
        let id = id ?? "0192f0c1-2345-7abc-9def-" + String(format: "%012d", number)
        let payload = payload ?? #"{"n":\#(number)}"#
        return
            #"{"id":"\#(id)","type":"\#(type)","correlation_id":"\#(RouteFixture.correlation)","payload":\#(payload),"meta":\#(meta)}"#
    }

    private var deadCodes: [String] {
        here.lines("dead").compactMap { $0.firstMatch(of: /"code":"(\w+)"/).map { String($0.1) } }
    }

    @Test func `Lines that middlewares leave, drop, refuse and replace keep their order`() async throws {
        let lines = (0..<5000).map { number in
            event(number, type: "a.\(number % 3)", meta: number % 7 == 0 ? "{}" : #"{"role":"admin"}"#)
        }
        let allowed = lines.enumerated().filter { $0.offset % 7 != 0 }
        // Only some lines are left, all of them where they were read.
        let part = try await route(top: #"before = ["count", "access", "count"]"#, lines)
        #expect(part.status == 65)
        #expect(part.lines == allowed.map(\.element))
        #expect(deadCodes.count == lines.count - allowed.count)
        #expect(part.errors.contains(#""type.a.1":1667"#))
        // Some are replaced, too.
        let mixed = try await route(
            top: #"before = ["access", 'exec:sed -u -E "s/.n.:[0-9]*5}/\"m\":5}/"', "count"]"#, lines)
        #expect(
            mixed.lines
                == allowed.map { number, line in
                    number % 10 == 5 ? line.replacing(#""n":\#(number)}"#, with: #""m":5}"#) : line
                })
    }

    @Test func `The correlation guard refuses invalid correlations`() async throws {
        let own = "0192f0c1-2345-7abc-9def-000000000009"
        let lines = [
            event(1), RouteFixture.event("a", 2),
            event(3).replacing(RouteFixture.correlation, with: "00000000-0000-0000-0000-000000000000"),
            event(4, id: own).replacing(#""type""#, with: #""causation_id":"\#(own)","type""#), event(5),
        ]
        let result = try await route(before: #"["correlation-guard"]"#, lines)
        #expect(result.status == 65)
        #expect(result.lines == [lines[0], lines[4]])
        #expect(deadCodes == ["invalid_field", "invalid_correlation_id", "invalid_field"])
    }

    @Test func `Payloads that do not match their schema become dead letters`() async throws {
        let good = event(1, type: "commands.telegram.send", payload: #"{"chat_id":4,"text":"x"}"#)
        let bad = event(2, type: "commands.telegram.send", payload: #"{"chat_id":4,"text":5}"#)
        let result = try await route(before: #"["schema"]"#, [good, bad, event(3)])
        #expect(result.status == 65)
        #expect(result.lines == [good, event(3)])
        #expect(deadCodes == ["invalid_payload"])
        #expect(here.text("dead").contains("text: "))
        let strict = try await route(before: #"[{ use = "schema", unknown = "refuse" }]"#, [good, event(3)])
        #expect(strict.lines == [good])
        #expect(deadCodes.last == "unknown_type")
    }

    @Test func `Only authorised users' events are routed`() async throws {
        let lines = [
            event(1), event(2, meta: #"{"role":"admin"}"#),
            event(3, meta: #"{"role":"graced","origin":{"chat_id":7}}"#),
            event(4, meta: #"{"actor":{"id":42}}"#), event(5, meta: #"{"role":"king"}"#),
        ]
        let all = try await route(before: #"["access"]"#, lines)
        #expect(all.status == 65)
        #expect(all.lines == [lines[1], lines[2]])
        let some = try await route(before: #"[{ use = "access", roles = "admin", actors = [42], chats = [7] }]"#, lines)
        #expect(some.lines == [lines[1], lines[2], lines[3]])
        #expect(Set(deadCodes) == ["access_denied"])
    }

    @Test func `The rate-limit middleware shares the tool's limit`() async throws {
        let redis = try RedisServer()
        let lines = (0..<5).map { event($0, meta: #"{"actor":{"id":42}}"#) } + [event(5, meta: #"{"actor":{"id":43}}"#)]
        let limit = #"{ use = "ratelimit", name = "t", limit = 2, window = "1h", on_limit = "drop" }"#
        let result = try await route(before: "[\(limit)]", lines, environment: ["TGPIPE_REDIS": redis.address])
        #expect(result.status == 0)
        #expect(result.lines == [lines[0], lines[1], lines[5]])
        let tool = try await ToolRun.run(
            "ratelimit", ["--name", "t", "-n", "2", "-w", "1h", "--on-limit", "drop"],
            input: lines[0] + "\n" + lines[5],
            environment: ["TGPIPE_REDIS": redis.address])
        #expect(tool.lines == [lines[5]])
    }

    @Test func `Forwarded events are counted and logged`() async throws {
        let result = try await route(
            before: #"[{ use = "log", name = "seen" }]"#, after: #"["count"]"#,
            top: #"before = [{ use = "count", name = "in" }]"#, (0..<3).map { event($0) })
        #expect(result.status == 0)
        #expect(result.errors.contains("seen: a"))
        #expect(result.errors.contains("in: 3 events") && result.errors.contains("way: 3 events"))
        #expect(result.errors.contains(#""type.a":3"#))
    }

    @Test func `A filter may change, drop and refuse events`() async throws {
        let filter =
            #"if .payload.n == 1 then .payload.x = \"new\" elif .payload.n == 2 then \"\" elif .payload.n == 3 then .type = \"events.dead_letter\" | .payload = {reason: \"I do not like it\"} elif .payload.n == 4 then 5 else . end"#
        let result = try await route(
            before: #"[{ use = "exec:jq --unbuffered -rc '\#(filter)'" }]"#, (0..<6).map { event($0) })
        #expect(result.status == 65)
        #expect(result.lines.compactMap { RouteFixture.number(of: $0) } == [0, 1, 5])
        #expect(result.lines.first == event(0))
        #expect(result.lines.dropFirst().first?.contains(#""x":"new""#) == true)
        #expect(deadCodes == ["refused", "refused"])
        #expect(here.text("dead").contains("I do not like it") && here.text("dead").contains("not an envelope"))
    }

    @Test func `A filter that dies is restarted and no event is lost`() async throws {
        // It answers 100 events.
        let result = try await route(before: #"["exec:sed -u 100q"]"#, (0..<1000).map { event($0) })
        #expect(result.status == 0)
        #expect(result.lines == (0..<1000).map { event($0) })
        #expect(result.errors.contains("exec:sed -u 100q ended (exit status 0); starting it again"))
    }

    @Test func `An event that kills the filter is refused and the others are handled`() async throws {
        let filter = #"while read -r l; do case \"$l\" in *'n\":3}'*) kill -9 $$;; esac; printf '%s\\n' \"$l\"; done"#
        let result = try await route(
            before: #"[{ use = "exec:\#(filter)", retry = { first = "1ms" } }]"#, (0..<6).map { event($0) })
        #expect(result.status == 65)
        #expect(result.lines.compactMap { RouteFixture.number(of: $0) } == [0, 1, 2, 4, 5])
        #expect(here.text("dead").contains("ended 3 times at this event"))
    }

    @Test func `A filter that answers an event twice ends the tool`() async throws {
        let result = try await route(before: #"["exec:sed -u p"]"#, (0..<3).map { event($0) })
        #expect(result.status == 69)
        #expect(result.errors.contains("wrote more lines than it received events"))
    }

    @Test func `Refusals before a filter's failure become dead letters`() async throws {
        let result = try await route(
            top: #"before = [{ use = "access", roles = "admin" }, "exec:exit 127"]"#,
            [event(1), event(2, meta: #"{"role":"admin"}"#)])
        #expect(result.status == 69)
        #expect(deadCodes == ["access_denied"])
    }

    @Test func `A filter that does not answer is reported`() async throws {
        let result = try await route(
            before: #"[{ use = "exec:cat > /dev/null", timeout = "50ms", retry = { attempts = 3, first = "1ms" } }]"#,
            [event(1)])
        #expect(result.status == 69 || result.status == 65)
        #expect(result.errors.contains("did not answer within 50ms"))
    }

    @Test func `A missing filter ends the tool`() async throws {
        let result = try await route(before: #"["exec:no-such-filter-here"]"#, [event(1)])
        #expect(result.status == 69)
        #expect(result.errors.contains("exec:no-such-filter-here"))
    }

    static let faulty: [(String, String)] = [
        (#"["shema"]"#, #""shema" is not a middleware"#), (#""schema""#, "before must be a list"),
        (#"[{ use = "count", evry = "1s" }]"#, "unknown key \"evry\""), (#"[{ name = "x" }]"#, "use = "),
        (#"["ratelimit"]"#, "ratelimit needs a limit"), (#"["exec:"]"#, "is not a middleware"),
        (#"[{ use = "access", roles = ["king"] }]"#, "\"king\" is not a role"),
        (#"[{ use = "ratelimit", limit = 5, algorithm = "slow" }]"#, "one of fixed"),
        (#"[{ use = "schema", folder = "/nowhere" }]"#, "/nowhere"),
    ]

    @Test(arguments: faulty) func `Mistakes in middleware settings are reported`(_ list: String, _ message: String)
        async throws
    {
        let result = try await route(before: list, [event(1)])
        #expect(result.status == 78)
        #expect(result.errors.replacing("\\\"", with: "\"").contains(message), "\(result.errors)")
    }
}
