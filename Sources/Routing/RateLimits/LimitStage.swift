package import Envelope
import JSON
package import Logging
package import Options
package import Redis
package import Stage
import Synchronization
import Tracing

/// Decides what becomes of matching events.
package final class LimitStage: Sendable {
    private let log: Logger
    private let counter: OutageGuard
    private let key: EventKey
    private let mode: RateMode
    private let action: LimitAction
    private let exemptRoles: Set<String>
    private let totals = Mutex((decided: 0, refused: 0))

    package init(
        log: Logger, counter: OutageGuard, key: EventKey, mode: RateMode, action: LimitAction, exemptRoles: Set<String>
    ) {
        (self.log, self.counter, self.key, self.mode) = (log, counter, key, mode)
        (self.action, self.exemptRoles) = (action, exemptRoles)
    }

    /// One decision an event, in order; all keys are asked about at once.
    package func decide(_ events: [Envelope]) async throws -> [Decision] {
        let keys = events.map(limitedKey)
        let asked = keys.compactMap { $0 }
        guard !asked.isEmpty else { return keys.map { _ in .pass } }
        var verdicts = try await counter.decide(asked, mode).makeIterator()
        var refused = 0
        let decisions = zip(events, keys).map { event, key -> Decision in
            guard let key, let verdict = verdicts.next(), !verdict.isAllowed else { return .pass }
            refused += 1
            return refuse(event, key, verdict)
        }
        totals.withLock { [refused] in $0 = ($0.decided + asked.count, $0.refused + refused) }
        return decisions
    }

    /// What was done in all, for the log.
    package func summarize() {
        let (decided, refused) = totals.withLock { $0 }
        log.info("end of input", metadata: ["decided": "\(decided)", "over_limit": "\(refused)"])
    }

    /// nil for events that pass unasked.
    private func limitedKey(of event: Envelope) -> String? {
        if let role = event.meta["role"]?.string, exemptRoles.contains(role) { return nil }
        if let found = key.value(in: event) { return found }
        within(event) { log.debug("no key, so no limit", metadata: ["key": "\(key)", "type": "\(event.type)"]) }
        return nil
    }

    private func refuse(_ event: Envelope, _ key: String, _ verdict: RateDecision) -> Decision {
        within(event) {
            log.log(
                level: verdict.isFirstRefusal ? .info : .debug, "over the limit",
                metadata: [
                    "limit": "\(counter.rule.name)", "key": "\(key.prefix(80))", "type": "\(event.type)",
                    "retry_after_seconds": "\(verdict.retryAfterSeconds)",
                ])
            switch action {
            case .mark: return .replace([marked(event, verdict)])
            case .drop: return .drop
            case .reply: return verdict.isFirstRefusal ? answer(to: event, verdict) : .drop
            }
        }
    }

    private func marked(_ event: Envelope, _ verdict: RateDecision) -> Envelope {
        var event = event
        let window = counter.rule.window
        let seconds =
            window.milliseconds % 1000 == 0 ? JSON.integer(window.components.seconds) : .number(window.seconds)
        event.meta["rate_limited"] = true
        event.meta["rate_limit"] = [
            "name": .string(counter.rule.name), "limit": .integer(Int64(counter.rule.limit)), "window_seconds": seconds,
            "retry_after_seconds": .integer(verdict.retryAfterSeconds),
        ]
        return event
    }

    private func answer(to event: Envelope, _ verdict: RateDecision) -> Decision {
        // Without an origin there is no chat to answer in.
        guard event.meta["origin"] != nil else { return .drop }
        let text =
            counter.isRedisAway
            ? "Requests cannot be taken right now: try again later."
            : "Too many requests: try again in \(verdict.waitInWords)."
        return .replace([.derived(type: "commands.telegram.reply", payload: ["text": .string(text)])])
    }

    private func within<Result>(_ event: Envelope, _ body: () -> Result) -> Result {
        Tracer.correlating(with: event, body)
    }
}

extension RateDecision {
    /// Rounded up: who comes back then is let in.
    var retryAfterSeconds: Int64 { (retryAfterMilliseconds + 999) / 1000 }

    /// For people.
    var waitInWords: String {
        let seconds = retryAfterSeconds
        return switch seconds {
        case ..<120: "\(seconds) s"
        case ..<7200: "\((seconds + 59) / 60) min"
        case ..<172_800: "\((seconds + 3599) / 3600) h"
        default: "\((seconds + 86399) / 86400) days"
        }
    }
}
