import ArgumentParser
import Foundation
import JSON
import Options
import Spool
import System
import TestSupport
import Testing

@testable import Routing
@testable import Stage

/// Runs outputs and router without a program around them.
@Suite(.timeLimit(.minutes(2))) struct DeliveryTests {
    private let folder: TemporaryFolder
    private let runtime: Runtime

    init() throws {
        folder = try TemporaryFolder()
        runtime = try Runtime(tool: "ev-route", options: try CommonOptions.parse([]))
    }

    private func line(_ type: String, _ number: Int, role: String = "none") -> String {
        #"{"id":"0192f0c1-2345-7abc-9def-00000000000\#(number)","type":"\#(type)","correlation_id":"0192f0c1-2345-7abc-9def-0123456789ab","payload":{"n":\#(number)},"meta":{"role":"\#(role)"}}"#
            + "\n"
    }

    private func text(_ name: String) -> String {
        String(decoding: FileManager.default.contents(atPath: folder(name)) ?? Data(), as: UTF8.self)
    }

    private func plan(_ routes: [String], deadLetter: String? = nil) throws -> RoutingPlan {
        var plan = RoutingPlan(spool: SpoolPlan(folder: folder("spool"), limits: SpoolLimits()))
        plan.routes = try routes.map { route in
            let parts = route.split(separator: "=")
            return try Route(parsing: "\(parts[0])=\(folder(String(parts[1])))")
        }
        if let deadLetter { plan.deadLetter = try Target(folder(deadLetter)) }
        return plan
    }

    private func delivery(_ plan: RoutingPlan, isFedByQueue: Bool = false) throws -> Delivery {
        try Delivery(
            plan, isFedByQueue: isFedByQueue,
            MiddlewareTools(runtime: runtime, bridge: AsyncBridge(), maxLineBytes: 1 << 20))
    }

    /// Routes a text as if a pipe had brought it.
    private func route(_ plan: RoutingPlan, _ input: String) throws -> (counts: [RouteCount], failures: [ToolError]) {
        try input.write(toFile: folder("input"), atomically: false, encoding: .utf8)
        return try delivery(plan).run(maxLineBytes: 1000, from: folder("input"))
    }

    /// Routes texts as if they were batches of a queue.
    private func routeEntries(_ plan: RoutingPlan, _ batches: [String]) throws -> (
        refused: [[UnclaimedRefusal]?], failures: [ToolError]
    ) {
        let delivery = try delivery(plan, isFedByQueue: true)
        let failures = Monitor<[ToolError]?>(nil)
        BlockingThread.start {
            let ended = delivery.run(maxLineBytes: 1000, from: nil).failures
            failures.update { $0 = ended }
        }
        let refused = batches.map { delivery.intake.route(Array($0.utf8), maxLineBytes: 1000) }
        delivery.intake.end(nil)
        return (refused, failures.wait { $0 } ?? [])
    }

    private func entry(_ line: String) -> [UInt8] { Array(line.utf8.dropLast()) }

    @Test func `each event goes to every output that its type matches, byte for byte and in order`() throws {
        let lines = [line("a.x", 1), line("b", 2), line("a.y", 3), "  " + line("b", 4)]
        let (counts, failures) = try route(try plan(["a.#=a", "#=all", "b=b", "b=all"]), lines.joined())
        #expect(failures.isEmpty)
        #expect(counts.map(\.events) == [2, 4, 2, 2])
        #expect(text("a") == lines[0] + lines[2] && text("b") == lines[1] + lines[3])
        #expect(text("all") == lines.joined())
    }

    @Test func `refused lines are dead letters in the order of the input`() throws {
        let long = String(repeating: "x", count: 2000)
        let input = "first\n" + line("a", 1) + long + "\n" + line("none", 2) + "last\n" + line("a", 3)
        _ = try route(try plan(["a=a"], deadLetter: "dead"), input)
        #expect(text("a") == line("a", 1) + line("a", 3))
        let codes = text("dead").matches(of: /"code":"(\w+)"/).map { String($0.1) }
        #expect(codes == ["not_json", "too_long", "unknown_type", "not_json"])
    }

    @Test func `an output that fails leaves the others complete`() throws {
        var plan = try plan(["a=a"])
        plan.routes.append(try Route(parsing: "a=/dev/full"))
        let (_, failures) = try route(plan, line("a", 1) + line("a", 2))
        #expect(failures.count == 1 && failures.first?.exitStatus == .localIO)
        #expect(failures.first?.message.contains("it had accepted 0 events") == true)
        #expect(text("a") == line("a", 1) + line("a", 2))
    }

    @Test func `refusals before the failure of a filter become dead letters`() throws {
        var plan = try plan(["a=a"], deadLetter: "dead")
        plan.middlewares.before = [
            .access(AccessGuard.Allowed(roles: ["admin"])),
            .exec(command: "exit 127", timeout: .seconds(30), retry: .commands),
        ]
        let (_, failures) = try route(plan, line("a", 1) + line("a", 2, role: "admin"))
        #expect(failures.map(\.exitStatus) == [.unavailable])
        #expect(text("dead").contains("access_denied"))
    }

    @Test(arguments: [true, false])
    func `the answers before the failure of a filter count`(_ isOfRoute: Bool) throws {
        var plan = try plan(["a=a"], deadLetter: "dead")
        // The first process forwards an event and refuses one, the others end at once.
        let command = """
            if [ -e \(folder("was")) ]; then exit 1; fi; touch \(folder("was"))
            read -r line; printf '%s\\n' "$line"; read -r line; echo no
            """
        let filter = MiddlewareSpec.exec(
            command: command, timeout: .seconds(30),
            retry: RetryPolicy(attempts: 2, backoff: Backoff(first: .milliseconds(1), longest: .milliseconds(1))))
        if isOfRoute { plan.routes[0].middlewares.before = [filter] } else { plan.middlewares.before = [filter] }
        let (_, failures) = try route(plan, line("a", 1) + line("a", 2) + line("a", 3))
        #expect(failures.map(\.exitStatus) == [.unavailable])
        #expect(failures.first?.message.contains("1 events were neither forwarded nor refused") == true)
        #expect(text("a") == line("a", 1))
        #expect(text("dead").contains("answered with a line that is not an envelope"))
    }

    @Test func `a refused entry of a queue is given back at its barrier`() throws {
        let long = #"{"type":"a","x":""# + String(repeating: "x", count: 5000) + "\"}\n"
        let (refused, failures) = try routeEntries(
            try plan(["a=a"]), [line("a", 1) + line("none", 2) + "oops\n", long, line("a", 3)])
        #expect(failures.isEmpty)
        #expect(refused[0]?.map(\.fault.code) == [.unknownType, .notJSON])
        #expect(refused[0]?[0].isOf(entry(line("none", 2))) == true && refused[0]?[1].isOf(Array("oops".utf8)) == true)
        #expect(refused[1]?.count == 1 && refused[1]?[0].isOf(entry(long)) == true)
        #expect(refused[2]?.isEmpty == true)
    }

    /// The positions of a middleware that refuses.
    enum Position: CaseIterable { case before, after, beforeOfRoute, afterOfRoute }

    @Test(arguments: Position.allCases)
    func `a refusal by a middleware finds its entry, also if another middleware changed the line`(
        _ position: Position
    ) throws {
        var plan = try plan(["a=a"])
        let change = MiddlewareSpec.exec(
            command: #"sed -u 's/"n":/"changed":true,"n":/; s/"id":"[^"]*",//'"#, timeout: .seconds(30),
            retry: .commands)
        let check = MiddlewareSpec.access(AccessGuard.Allowed(roles: ["admin"]))
        plan.middlewares.before = [change]
        switch position {
        case .before: plan.middlewares.before.append(check)
        case .after: plan.middlewares.after = [check]
        case .beforeOfRoute: plan.routes[0].middlewares.before = [check]
        case .afterOfRoute: plan.routes[0].middlewares.after = [check]
        }
        let lines = [line("a", 1), line("a", 2, role: "admin"), line("a", 3, role: "admin")]
        let (refused, failures) = try routeEntries(plan, [lines[0] + lines[1], lines[2]])
        #expect(failures.isEmpty)
        #expect(refused[0]?.map(\.fault.code) == [.accessDenied])
        #expect(refused[0]?.first?.isOf(entry(lines[0])) == true && refused[0]?.first?.isOf(entry(lines[1])) == false)
        #expect(refused[1]?.isEmpty == true)
        #expect(text("a").contains(#""changed":true,"n":2"#))
    }

    @Test(arguments: [true, false])
    func `a filter that fails leaves no reader of a queue waiting`(_ isOfRoute: Bool) throws {
        var plan = try plan(["a=a"])
        let filter = MiddlewareSpec.exec(command: "exit 127", timeout: .seconds(30), retry: .commands)
        if isOfRoute { plan.routes[0].middlewares.before = [filter] } else { plan.middlewares.before = [filter] }
        let (refused, failures) = try routeEntries(plan, [line("a", 1), line("a", 2)])
        #expect(refused.allSatisfy { $0 == nil })
        #expect(failures.first?.exitStatus == .unavailable)
        #expect(runtime.shutdown.isRequested)
        #expect(text("a").isEmpty)
    }

    @Test func `a dead letter of an after middleware does not wait for the next event`() throws {
        var plan = try plan(["a=a"], deadLetter: "dead")
        plan.middlewares.after = [.access(AccessGuard.Allowed(roles: ["admin"]))]
        let (refused, _) = try routeEntries(plan, [line("a", 1)])
        #expect(refused[0]?.isEmpty == true)
        #expect(text("a") == line("a", 1) && text("dead").contains("access_denied"))
    }
}
