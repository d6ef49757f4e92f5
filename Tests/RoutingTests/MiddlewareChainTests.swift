import Envelope
import JSON
import Stage
import System
import Testing

@testable import Routing

/// Answers each event by its type: forward, drop, twice (two lines), refuse, or fail.
private final class ByType: Middleware {
    private(set) var seen: [String] = []
    private(set) var isFinished = false

    func judge(_ events: [MiddlewareEvent], into verdicts: inout [Verdict]) throws(ToolError) {
        for event in events {
            seen.append(event.envelope.type)
            switch event.envelope.type {
            case "drop": verdicts.append(.drop)
            case "twice": verdicts.append(.replace([line("one"), line("two")]))
            case "refuse": verdicts.append(.refuse(MalformedInput(.refused, "no")))
            case "fail": throw ToolError(.unavailable, "the filter failed")
            default: verdicts.append(.forward)
            }
        }
    }

    func finish() throws(ToolError) {
        isFinished = true
        if seen.contains("late") { throw ToolError(.unavailable, "the filter failed at its end") }
    }
}

private func line(_ type: String) -> [UInt8] {
    Array(#"{"type":"\#(type)","correlation_id":"0192f0c1-2345-7abc-9def-0123456789ab","payload":{}}"#.utf8)
}

struct MiddlewareChainTests {
    private func types(_ lines: [Line]) -> [String] {
        lines.map { (try? JSON(parsing: $0.bytes))?["type"]?.string ?? "?" }
    }

    @Test func `each verdict decides about its own event`() {
        let outcome = MiddlewareChain([ByType()]).run(["a", "drop", "twice", "refuse", "b"].map { Line(line($0)) })
        #expect(types(outcome.lines) == ["a", "one", "two", "b"])
        #expect(outcome.lines.first?.bytes == line("a"))
        #expect(outcome.origins == [0, 2, 2, 4])
        #expect(outcome.refused.map(\.origin) == [3])
        #expect(outcome.refused.first?.line.fault.code == .refused)
        #expect(outcome.failure == nil)
    }

    @Test func `a middleware sees what the one before it forwards, and origins lead to the first line`() {
        let (first, second) = (ByType(), ByType())
        let outcome = MiddlewareChain([first, second]).run(["drop", "twice", "refuse", "a"].map { Line(line($0)) })
        #expect(second.seen == ["one", "two", "a"])
        #expect(outcome.origins == [1, 1, 3])
    }

    @Test func `the verdicts before a failure still count`() {
        let second = ByType()
        let outcome = MiddlewareChain([ByType(), second]).run(
            ["a", "refuse", "b", "fail", "c", "d"].map { Line(line($0)) })
        #expect(types(outcome.lines) == ["a", "b"])
        #expect(second.seen == ["a", "b"])
        #expect(outcome.refused.map(\.origin) == [1])
        #expect(outcome.failure?.exitStatus == .unavailable)
        #expect(outcome.failure?.message == "the filter failed; 3 events were neither forwarded nor refused")
    }

    @Test func `the first of two failures is reported`() {
        let outcome = MiddlewareChain([ByType(), ByType()]).run(["fail"].map { Line(line($0)) })
        #expect(outcome.lines.isEmpty && outcome.failure != nil)
        let (late, other) = (ByType(), ByType())
        let chain = MiddlewareChain([late, other])
        _ = chain.run([Line(line("late"))])
        #expect(chain.finish()?.message == "the filter failed at its end")
        #expect(late.isFinished && other.isFinished)
    }

    @Test func `a line that is no envelope is refused and the others go on`() {
        let outcome = MiddlewareChain([ByType()]).run([Line(Array("{}".utf8)), Line(line("a"))])
        #expect(types(outcome.lines) == ["a"])
        #expect(outcome.origins == [1])
        #expect(outcome.refused.map(\.origin) == [0])
    }

    @Test func `the access check needs a role, an actor or a chat`() {
        func isForwarded(_ meta: String, _ allowed: AccessGuard.Allowed) -> Bool {
            let text =
                #"{"type":"a","correlation_id":"0192f0c1-2345-7abc-9def-0123456789ab","payload":{},"meta":\#(meta)}"#
            return MiddlewareChain([AccessGuard(allowed)]).run([Line(Array(text.utf8))]).refused.isEmpty
        }
        let allowed = AccessGuard.Allowed(roles: ["admin"], actors: [7], chats: [-100])
        #expect(isForwarded(#"{"role":"admin"}"#, allowed))
        #expect(isForwarded(#"{"actor":{"id":7}}"#, allowed) && isForwarded(#"{"origin":{"chat_id":-100}}"#, allowed))
        #expect(!isForwarded(#"{"role":"king","actor":{"id":"7"}}"#, allowed) && !isForwarded("{}", allowed))
    }
}
