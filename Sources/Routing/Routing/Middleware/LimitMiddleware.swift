import Envelope
import JSON
import Options
import RateLimits
import Redis
import Stage
import System
import Texts

/// Limits events as the tool `ratelimit` does, and shares its counters in Redis with every stage that uses the same name.
final class LimitMiddleware: LineMiddleware {
    private let stage: LimitStage
    private let bridge: AsyncBridge
    private let reader: EventHeadReader

    init(
        rule: RateLimit, key: EventKey, mode: RateMode, action: LimitAction, exemptRoles: Set<String>,
        failure: FailureMode,
        runtime: Runtime, bridge: AsyncBridge
    ) throws(ToolError) {
        self.bridge = bridge
        stage = try bridge.waitOrFail {
            let redis = try await runtime.redis()
            let counter = OutageGuard(limiter: RateLimiter(redis, rule), log: runtime.log, failure: failure)
            try await counter.start(redis)
            return LimitStage(
                log: runtime.log, counter: counter, key: key, mode: mode, action: action, exemptRoles: exemptRoles,
                texts: try Texts.ofEnvironment())
        }
        reader = stage.headReader()
    }

    func judge(lines events: [ScannedEvent], into verdicts: inout [Verdict]) throws(ToolError) {
        // Only events that are still envelopes come here, so that a head fails for no event but one that the stage would refuse, too.
        var heads: [EventHead] = []
        var faults: [Int: MalformedInput] = [:]
        heads.reserveCapacity(events.count)
        for (index, event) in events.enumerated() {
            do throws(MalformedInput) { heads.append(try reader.head(of: event.line)) } catch { faults[index] = error }
        }
        let asked = heads
        let decisions = try bridge.waitOrFail { [stage] in try await stage.ask(asked)() }
        var next = 0
        for index in events.indices {
            if let fault = faults[index] {
                verdicts.append(.refuse(fault))
                continue
            }
            verdicts.append(verdict(decisions[next], on: heads[next]))
            next += 1
        }
    }

    private func verdict(_ decision: Decision, on head: EventHead) -> Verdict {
        switch decision {
        case .forward: return .forward
        case .drop: return .drop
        case .write(let lines): return .replace(lines.split(separator: UInt8(ascii: "\n")).map(Array.init))
        case .replace(let envelopes): return .replace(envelopes.map { $0.line.dropLast() }.map(Array.init))
        case .addToMeta(let members):
            var line: [UInt8] = []
            line.reserveCapacity(head.line.range.count + members.count + 2)
            head.append(to: &line, addingToMeta: members)
            return .replace([line.dropLast()])
        case .refuse(let fault): return .refuse(fault)
        }
    }
}
