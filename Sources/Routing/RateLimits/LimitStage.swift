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
    private let exemptRoleBytes: [[UInt8]]
    private let countsFailures: Bool
    private let texts: Texts
    private let totals = Mutex((decided: 0, refused: 0, uncounted: 0))
    /// The members of `meta` that mark an event, for the wait that was marked last.
    private let mark = Mutex((seconds: Int64(-1), members: [UInt8]()))

    /// Holds a batch of events, of which no more has been read than was needed.
    private struct Batch: Sendable {
        enum Given {
            case whole([Envelope])
            case heads([EventHead])
        }

        let given: Given
        /// The events whose heads were not enough, by their place.
        var read: [Int: Result<Envelope, MalformedInput>] = [:]
        /// For each event, whether a limit applies to it.
        var isLimited: [Bool] = []
        /// The keys of the events that a limit applies to.
        var keys: RateKeys

        init(_ given: Given) {
            self.given = given
            let count =
                switch given {
                case .whole(let events): events.count
                case .heads(let heads): heads.count
                }
            keys = RateKeys(events: count)
            isLimited.reserveCapacity(count)
        }

        /// Returns a head that was enough so far.
        func head(_ index: Int) -> EventHead? {
            guard case .heads(let heads) = given, read.isEmpty || read[index] == nil else { return nil }
            return heads[index]
        }

        /// Returns the whole event, which is parsed if need be.
        func envelope(_ index: Int) -> Result<Envelope, MalformedInput> {
            switch given {
            case .whole(let events): return .success(events[index])
            case .heads(let heads):
                let head = heads[index]
                return read[index] ?? Result { () throws(MalformedInput) in try head.envelope() }
            }
        }

        func correlationID(_ index: Int) -> EventID {
            switch given {
            case .whole(let events): events[index].correlationID
            case .heads(let heads): heads[index].correlationID
            }
        }

        func type(_ index: Int) -> String {
            switch given {
            case .whole(let events): events[index].type
            case .heads(let heads): heads[index].type
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
        exemptRoleBytes = exemptRoles.map { Array($0.utf8) }
    }

    /// Represents decisions that were asked for; returns them, one for each event, in order.
    package typealias Answer = @Sendable () async throws -> [Decision]

    /// Returns one decision for each event, in order. Redis is asked once for all keys.
    package func decide(_ events: [Envelope]) async throws -> [Decision] { try await ask(Batch(.whole(events)))() }

    /// Asks for one decision for each event, in order, of which no more than the head is read where that is enough. Redis is asked once
    /// for all keys, and decides on the events of an earlier call first.
    ///
    /// - Parameter heads: are read by `headReader`.
    package func ask(_ heads: [EventHead]) async throws -> Answer { try await ask(Batch(.heads(heads))) }

    /// Makes what reads the heads of events for this stage.
    package func headReader() -> EventHeadReader {
        EventHeadReader(
            fields: [["meta", "role"]] + (key.fieldPath.map { [$0] } ?? []), metaKeys: ExceededLimit.metaKeys)
    }

    private func ask(_ given: Batch) async throws -> Answer {
        var batch = given
        readKeys(&batch)
        guard batch.keys.count > 0 else {
            let decisions = decisions(on: batch, [])
            return { decisions }
        }
        let question = try await counter.ask(batch.keys, mode)
        return { [batch] in
            let limited = self.mayRefund ? batch.isLimited.indices.filter { batch.isLimited[$0] } : []
            let verdicts = try await question.decisions { event in
                limited.isEmpty ? nil : self.refundableRequest(batch, limited[event])
            }
            return self.decisions(on: batch, verdicts)
        }
    }

    private func decisions(on batch: Batch, _ verdicts: [RateDecision]) -> [Decision] {
        var refused = 0
        var next = 0
        var decisions: [Decision] = []
        decisions.reserveCapacity(batch.isLimited.count)
        let logLevel = log.logLevel
        for (index, isLimited) in batch.isLimited.enumerated() {
            guard isLimited else {
                if case .failure(let fault) = batch.read[index] {
                    decisions.append(.refuse(fault))
                } else {
                    decisions.append(.forward)
                }
                continue
            }
            let verdict = verdicts[next]
            next += 1
            if verdict.isAllowed {
                decisions.append(.forward)
            } else {
                refused += 1
                decisions.append(refuse(batch, index, verdict, logLevel))
            }
        }
        totals.withLock { [refused] in
            $0 = ($0.decided + batch.keys.count, $0.refused + refused, $0.uncounted)
        }
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

    private var mayRefund: Bool { mode == .checkAndCount && !countsFailures }

    /// Returns the correlation id of a request that tg-send gives back if it fails, because it sees the failure.
    private func refundableRequest(_ batch: Batch, _ index: Int) -> String? {
        batch.type(index).hasPrefix("commands.media.") ? batch.correlationID(index).description : nil
    }

    /// Finds the keys to count the events of a batch by. Reads those whose heads are not enough.
    private func readKeys(_ batch: inout Batch) {
        switch batch.given {
        case .whole(let events):
            for event in events { addKey(of: event, to: &batch) }
        case .heads(let heads):
            for index in heads.indices {
                // A limit must not keep anyone from ending what costs the most.
                if heads[index].type == MediaCancel.type {
                    batch.isLimited.append(false)
                } else if let isLimited = addKey(of: heads[index], to: &batch.keys) {
                    batch.isLimited.append(isLimited)
                } else {
                    let event = batch.envelope(index)
                    batch.read[index] = event
                    if case .success(let event) = event {
                        addKey(of: event, to: &batch)
                    } else {
                        batch.isLimited.append(false)
                    }
                }
            }
        }
    }

    /// Adds the key of an event.
    ///
    /// - Returns: whether a limit applies to the event; nil if only the whole event tells.
    private func addKey(of head: EventHead, to keys: inout RateKeys) -> Bool? {
        let isExempt: Bool? = head.withField(0) { role in
            switch role {
            case .absent: false
            case .text(let text): exemptRoleBytes.contains { $0.elementsEqual(text) }
            case .unclear: nil
            }
        }
        guard let isExempt, !isExempt else { return isExempt == nil ? nil : false }
        return head.withField(1) { value in
            guard case .text(let text) = value else { return nil }
            if text.count <= EventKey.maxBytes {
                keys.add(text)
            } else {
                keys.add(EventKey.counted(String(decoding: text, as: UTF8.self)))
            }
            return true
        }
    }

    /// Adds the key of an event, if a limit applies to it.
    private func addKey(of event: Envelope, to batch: inout Batch) {
        guard let key = limitedKey(of: event) else { return batch.isLimited.append(false) }
        batch.keys.add(key)
        batch.isLimited.append(true)
    }

    /// Returns the key to count an event by; nil for an event that no limit applies to.
    private func limitedKey(of envelope: Envelope) -> String? {
        if envelope.type == MediaCancel.type { return nil }
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
                metadata: ["key": "\(key)", "type": "\(envelope.type)"])
        }
        return nil
    }

    private func refuse(_ batch: Batch, _ index: Int, _ verdict: RateDecision, _ logLevel: Logger.Level) -> Decision {
        let level: Logger.Level = verdict.isFirstRefusal ? .info : .debug
        let answers = action == .reply && verdict.isFirstRefusal
        // A flood of refusals that nobody logs needs no more than the heads.
        if logLevel > level, !answers {
            if action != .mark { return .drop }
            if batch.head(index)?.takesMetaMembers == true { return .addToMeta(markMembers(verdict)) }
        }
        switch batch.envelope(index) {
        case .failure(let fault): return .refuse(fault)
        case .success(let envelope):
            return Tracer.correlating(with: envelope) {
                log.log(
                    level: level, "over the limit",
                    metadata: [
                        "limit": "\(counter.rule.name)", "key": "\((key.value(in: envelope) ?? "").prefix(80))",
                        "type": "\(envelope.type)",
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
