import Config
import Foundation
import Options
import RateLimits
import Redis
import Spool
import System
import TestSupport
import Testing

@testable import Routing

struct RouteFileTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func plan(_ toml: String) throws -> RoutingPlan {
        try toml.write(toFile: folder("routes.toml"), atomically: false, encoding: .utf8)
        var plan = RoutingPlan(spool: SpoolPlan(folder: "spool", limits: SpoolLimits()))
        try RouteFile.read(folder("routes.toml"), into: &plan)
        return plan
    }

    private func limit(_ options: String) throws -> MiddlewareSpec.LimitSpec {
        let plan = try plan(
            """
            [[route]]
            name = "way"
            match = "#"
            to = "-"
            before = [{ use = "ratelimit"\(options) }]
            """)
        guard case .limit(let spec)? = plan.routes.first?.middlewares.before.first else {
            throw ConfigError("no limit")
        }
        return spec
    }

    @Test func `a limit has the defaults of the tool`() throws {
        let spec = try limit(", limit = 5")
        #expect(spec.rule.limit == 5 && spec.rule.window == .seconds(60) && spec.rule.algorithm == .fixed)
        #expect(spec.key == .user && spec.mode == .checkAndCount && spec.action == .mark && spec.failure == .open)
        #expect(spec.exemptRoles == ["admin"])
        #expect(spec.rule.name == "way-user-1m" || spec.rule.name == "way-user-60s")
    }

    @Test func `a limit takes every option of the tool`() throws {
        let spec = try limit(
            #", name = "n", limit = 2, window = "1h", key = "payload.url", algorithm = "token-bucket", burst = 9, mode = "check", on_limit = "reply", exempt_roles = ["a", "b"], fail = "closed""#
        )
        #expect(spec.rule.name == "n" && spec.rule.window == .seconds(3600) && spec.rule.burst == 9)
        #expect(spec.key == .path(["payload", "url"]) && spec.mode == .check && spec.action == .reply)
        #expect(spec.exemptRoles == ["a", "b"] && spec.failure == .closed)
    }

    @Test(arguments: [
        ("", "ratelimit needs a limit"), (", limit = 0", "limit"), (", limit = 9223372036854775807", "limit"),
        (", limit = 1, window = \"0s\"", "window"), (", limit = 1, key = \"nothing\"", "key"),
        (", limit = 1, burst = 0", "burst"), (", limit = 1, algorithm = \"fixed\", burst = -1", "burst"),
        (", limit = 1, on_limit = \"shout\"", "on_limit"), (", limit = 1, rate = 1", "unknown key"),
    ])
    func `a mistake in a limit names its line`(_ options: String, _ words: String) {
        let error = #expect(throws: ConfigError.self) { try limit(options) }
        #expect(
            error?.message.contains("routes.toml:") == true && error?.message.contains(words) == true, "\(error as Any)"
        )
    }

    @Test func `retry and overflow are read for each route`() throws {
        let plan = try plan(
            """
            overflow = "drop"
            spool_size = "2G"
            [[route]]
            match = "a"
            to = "exec:cat"
            overflow = "spool"
            retry = { attempts = 0, first = "1s", longest = "1ms" }
            """)
        #expect(plan.overflow == .drop && plan.spool.limits.totalBytes == 2 << 30)
        #expect(plan.routes.first?.overflow == .spool && plan.routes.first?.retry?.attempts == nil)
        #expect(plan.routes.first?.retry?.backoff.longest == .seconds(1))
        #expect(try plan.outputs().map(\.overflow) == [.spool])
    }

    @Test func `routes to one target must have one policy`() throws {
        let text = """
            [[route]]
            match = "a"
            to = "x"
            overflow = "drop"
            [[route]]
            match = "b"
            to = "x"
            overflow = "block"
            """
        var plan = try plan(text)
        #expect(throws: (any Error).self) { try plan.outputs() }
        plan.overflowOfTarget[try Target("x")] = .spool
        #expect(try plan.outputs().map(\.overflow) == [.spool])
        plan.overflowOfTarget[try Target("y")] = .spool
        #expect(throws: (any Error).self) { try plan.outputs() }
    }
}
