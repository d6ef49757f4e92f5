package import Envelope
import JSON
package import Logging
package import Options
import Payloads
package import Redis
package import Stage
import Synchronization
import Tracing

/// Applies a rate limit to events: forwards, marks, drops or answers each.
package final class LimitStage: Sendable {
    private let log: Logger
    private let counter: OutageGuard
    private let key: EventKey
    private let mode: RateMode
    private let action: LimitAction
    private let exemptRoles: Set<String>
    private let countsFailures: Bool
    private let totals = Mutex((decided: 0, refused: 0, uncounted: 0))

    /// - Parameter countsFailures: whether requests that fail count, too. Else tg-send gives them back.
    package init(
        log: Logger, counter: OutageGuard, key: EventKey, mode: RateMode, action: LimitAction, exemptRoles: Set<String>,
        countsFailures: Bool = false
    ) {
        self.countsFailures = countsFailures
        (self.log, self.counter, self.key, self.mode) = (log, counter, key, mode)
        (self.action, self.exemptRoles) = (action, exemptRoles)
    }

    /// Returns one decision for each event, in order. Redis is asked once for all keys.
    package func decide(_ events: [Envelope]) async throws -> [Decision] {
        let keys = events.map(limitedKey)
        let asked = keys.compactMap { $0 }
        guard !asked.isEmpty else { return keys.map { _ in .forward } }
        let requests = zip(events, keys).compactMap { event, key in key.map { _ in refundableRequest(event) } }
        var verdicts = try await counter.decide(asked, mode, requests: requests).makeIterator()
        var refused = 0
        let decisions = zip(events, keys).map { event, key -> Decision in
            guard let key, let verdict = verdicts.next() else { return .forward }
            guard !verdict.isAllowed else { return .forward }
            refused += 1
            return refuse(event, key, verdict)
        }
        totals.withLock { [refused] in $0 = ($0.decided + asked.count, $0.refused + refused, $0.uncounted) }
        return decisions
    }

    /// Logs the number of decisions and of refusals.
    package func summarize() {
        let (decided, refused, uncounted) = totals.withLock { $0 }
        log.info(
            "end of input",
            metadata: [
                "decided": .stringConvertible(decided), "over_limit": .stringConvertible(refused),
                "uncounted": .stringConvertible(uncounted),
            ])
    }

    /// Returns the correlation id of a request that tg-send gives back if it fails, because it sees the failure.
    private func refundableRequest(_ event: Envelope) -> String? {
        guard mode == .checkAndCount, !countsFailures, event.type.hasPrefix("commands.media.") else { return nil }
        return event.correlationID.description
    }

    /// Returns the key to count an event by; nil for an event that no limit applies to.
    private func limitedKey(of event: Envelope) -> String? {
        if let role = event.role, exemptRoles.contains(role) { return nil }
        if let found = key.value(in: event) { return found }
        let isFirst = totals.withLock { totals in
            totals.uncounted += 1
            return totals.uncounted == 1
        }
        within(event) {
            // One line is enough: a stream in which no event has the key would fill the log.
            log.log(
                level: isFirst ? .warning : .debug, "an event without \(key.words) passes uncounted",
                metadata: ["key": "\(key)", "type": "\(event.type)"])
        }
        return nil
    }

    private func refuse(_ event: Envelope, _ key: String, _ verdict: RateDecision) -> Decision {
        within(event) {
            log.log(
                level: verdict.isFirstRefusal ? .info : .debug, "over the limit",
                metadata: [
                    "limit": "\(counter.rule.name)", "key": "\(key.prefix(80))", "type": "\(event.type)",
                    "retry_after_seconds": .stringConvertible(verdict.retryAfterSeconds),
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
        let isWhole = window.milliseconds % 1000 == 0
        event.mark(
            exceeding: ExceededLimit(
                name: counter.rule.name, limit: Int64(counter.rule.limit),
                windowSeconds: isWhole ? JSONNumber(window.components.seconds) : JSONNumber(window.seconds),
                retryAfterSeconds: JSONNumber(verdict.retryAfterSeconds)))
        return event
    }

    private func answer(to event: Envelope, _ verdict: RateDecision) -> Decision {
        // Without an origin there is no chat to answer in.
        guard event.origin != nil else { return .drop }
        let text =
            counter.isRedisAway
            ? "Requests cannot be taken right now: try again later."
            : "Too many requests: try again in \(verdict.waitInWords)."
        return .replace([.derived(TelegramCommand(.reply(TextMessage(text))))])
    }

    private func within<Result>(_ event: Envelope, _ body: () -> Result) -> Result {
        Tracer.correlating(with: event, body)
    }
}

extension RateDecision {
    /// The seconds until the limit allows the next event, rounded up, so that a request at that time is allowed.
    var retryAfterSeconds: Int64 { (retryAfterMilliseconds + 999) / 1000 }

    /// The wait as text for users, in the largest unit that suits it.
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
