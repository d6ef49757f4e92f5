package import Envelope
import JSON
package import Logging
package import Options
import Payloads
package import Redis
package import Stage
import Synchronization
package import Texts
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
    private let texts: Texts
    private let totals = Mutex((decided: 0, refused: 0, uncounted: 0))
    /// The members of `meta` that mark an event, for the wait that was marked last.
    private let mark = Mutex((seconds: Int64(-1), members: [UInt8]()))

    /// Represents an event as far as it has been read.
    private enum Event {
        case whole(Envelope)
        case head(EventHead)
        case malformed(MalformedInput)

        var type: String {
            switch self {
            case .whole(let event): event.type
            case .head(let head): head.type
            case .malformed: ""
            }
        }

        var correlationID: EventID? {
            switch self {
            case .whole(let event): event.correlationID
            case .head(let head): head.correlationID
            case .malformed: nil
            }
        }

        /// The whole event, which is parsed if need be.
        var envelope: Result<Envelope, MalformedInput> {
            switch self {
            case .whole(let event): .success(event)
            case .head(let head): Result { () throws(MalformedInput) in try head.envelope() }
            case .malformed(let fault): .failure(fault)
            }
        }

        /// The same event with all that belongs to it.
        var read: Event {
            switch envelope {
            case .success(let event): .whole(event)
            case .failure(let fault): .malformed(fault)
            }
        }
    }

    /// - Parameter countsFailures: whether requests that fail count, too. Else tg-send gives them back.
    package init(
        log: Logger, counter: OutageGuard, key: EventKey, mode: RateMode, action: LimitAction, exemptRoles: Set<String>,
        countsFailures: Bool = false, texts: Texts = Texts()
    ) {
        self.texts = texts
        self.countsFailures = countsFailures
        (self.log, self.counter, self.key, self.mode) = (log, counter, key, mode)
        (self.action, self.exemptRoles) = (action, exemptRoles)
    }

    /// Returns one decision for each event, in order. Redis is asked once for all keys.
    package func decide(_ events: [Envelope]) async throws -> [Decision] { try await decide(events.map { .whole($0) }) }

    /// Returns one decision for each event, of which no more than the head is read where that is enough.
    ///
    /// - Parameter heads: are read by `headReader`.
    package func decide(_ heads: [EventHead]) async throws -> [Decision] {
        try await decide(heads.map { .head($0) })
    }

    /// Makes what reads the heads of events for this stage.
    package func headReader() -> EventHeadReader {
        EventHeadReader(
            fields: [["meta", "role"]] + (key.fieldPath.map { [$0] } ?? []), metaKeys: ExceededLimit.metaKeys)
    }

    private func decide(_ given: [Event]) async throws -> [Decision] {
        var events = given
        let keys = events.indices.map { limitedKey(of: &events[$0]) }
        let asked = keys.compactMap { $0 }
        var verdicts = [RateDecision]().makeIterator()
        if !asked.isEmpty {
            let requests = zip(events, keys).compactMap { event, key in key.map { _ in refundableRequest(event) } }
            verdicts = try await counter.decide(asked, mode, requests: requests).makeIterator()
        }
        var refused = 0
        let decisions = zip(events, keys).map { event, key -> Decision in
            if case .malformed(let fault) = event { return .refuse(fault) }
            guard let key, let verdict = verdicts.next(), !verdict.isAllowed else { return .forward }
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
    private func refundableRequest(_ event: Event) -> String? {
        guard mode == .checkAndCount, !countsFailures, event.type.hasPrefix("commands.media.") else { return nil }
        return event.correlationID?.description
    }

    /// Returns the key to count an event by; nil for an event that no limit applies to. Reads the whole event if its head is not enough.
    private func limitedKey(of event: inout Event) -> String? {
        // A limit must not keep anyone from ending what costs the most.
        if event.type == MediaCancel.type { return nil }
        if case .head(let head) = event {
            if case .text(let role) = head.fields[0], exemptRoles.contains(role) { return nil }
            if head.fields[0] != .unclear, head.fields.count > 1, case .text(let value) = head.fields[1] {
                return EventKey.counted(value)
            }
            event = event.read
        }
        guard case .whole(let envelope) = event else { return nil }
        if let role = envelope.role, exemptRoles.contains(role) { return nil }
        if let found = key.value(in: envelope) { return found }
        let isFirst = totals.withLock { totals in
            totals.uncounted += 1
            return totals.uncounted == 1
        }
        Tracer.correlating(with: envelope) {
            // One line is enough: a stream in which no event has the key would fill the log.
            log.log(
                level: isFirst ? .warning : .debug, "an event without \(key.words) passes uncounted",
                metadata: ["key": "\(key)", "type": "\(event.type)"])
        }
        return nil
    }

    private func refuse(_ event: Event, _ key: String, _ verdict: RateDecision) -> Decision {
        let level: Logger.Level = verdict.isFirstRefusal ? .info : .debug
        let answers = action == .reply && verdict.isFirstRefusal
        // A flood of refusals that nobody logs needs no more than the heads.
        if log.logLevel > level, !answers {
            if action != .mark { return .drop }
            if case .head(let head) = event, let line = head.line(addingToMeta: markMembers(verdict)) {
                return .rewrite(line)
            }
        }
        switch event.envelope {
        case .failure(let fault): return .refuse(fault)
        case .success(let envelope):
            return Tracer.correlating(with: envelope) {
                log.log(
                    level: level, "over the limit",
                    metadata: [
                        "limit": "\(counter.rule.name)", "key": "\(key.prefix(80))", "type": "\(event.type)",
                        "retry_after_seconds": .stringConvertible(verdict.retryAfterSeconds),
                    ])
                switch action {
                case .mark: return .replace([marked(envelope, verdict)])
                case .drop: return .drop
                case .reply: return answers ? answer(to: envelope, verdict) : .drop
                }
            }
        }
    }

    private func marked(_ event: Envelope, _ verdict: RateDecision) -> Envelope {
        var event = event
        event.mark(exceeding: exceededLimit(verdict))
        return event
    }

    private func exceededLimit(_ verdict: RateDecision) -> ExceededLimit {
        let window = counter.rule.window
        let isWhole = window.milliseconds % 1000 == 0
        return ExceededLimit(
            name: counter.rule.name, limit: Int64(counter.rule.limit),
            windowSeconds: isWhole ? JSONNumber(window.components.seconds) : JSONNumber(window.seconds),
            retryAfterSeconds: JSONNumber(verdict.retryAfterSeconds))
    }

    /// Returns the members of `meta` that mark an event.
    private func markMembers(_ verdict: RateDecision) -> [UInt8] {
        mark.withLock { mark in
            if mark.seconds != verdict.retryAfterSeconds {
                mark = (verdict.retryAfterSeconds, exceededLimit(verdict).metaMembers)
            }
            return mark.members
        }
    }

    private func answer(to event: Envelope, _ verdict: RateDecision) -> Decision {
        // Without an origin there is no chat to answer in.
        guard event.origin != nil else { return .drop }
        let language = event.actor?.language
        let wait = texts.time(verdict.retryAfterSeconds, language)
        let text =
            counter.isRedisAway
            ? texts.text("limited_away", language) : texts.text("limited", language, ["wait": .text(wait)])
        return .replace([.derived(TelegramCommand(.reply(TextMessage(text))))])
    }
}

extension RateDecision {
    /// The seconds until the limit allows the next event, rounded up, so that a request at that time is allowed.
    var retryAfterSeconds: Int64 { (retryAfterMilliseconds + 999) / 1000 }
}
