import Envelope
import Options
import RateLimits
import Redis
import Stage
import System
import Texts

/// Limits events as the tool `ratelimit` does, and shares its counters in Redis with every stage that uses the same name.
final class LimitMiddleware: Middleware {
    private let stage: LimitStage
    private let bridge: AsyncBridge

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
    }

    func judge(_ events: [MiddlewareEvent], into verdicts: inout [Verdict]) throws(ToolError) {
        let envelopes = events.map(\.envelope)
        let decisions = try bridge.waitOrFail { [stage] in try await stage.decide(envelopes) }
        verdicts += decisions.map { decision in
            switch decision {
            case .forward: .forward
            case .drop: .drop
            case .replace(let envelopes): .replace(envelopes.map { $0.line.dropLast() }.map(Array.init))
            case .rewrite(let line): .replace([Array(line.dropLast())])
            case .refuse(let fault): .refuse(fault)
            }
        }
    }
}
