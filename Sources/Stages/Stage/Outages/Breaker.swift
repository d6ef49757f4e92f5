import System

/// Decides when a service counts as away, and when it is probed again: a circuit breaker.
///
/// A failure that may be an event's own fault only raises a suspicion, which the first probe confirms or dismisses. A service
/// can answer the probe and fail all the same, for instance if its disk is full. Then time takes the probe's place: after a
/// pause, calls are tried again.
/// Callers pass the time and carry out the probes, one at a time.
struct Breaker: Sendable {
    typealias Time = ContinuousClock.Instant

    private enum Phase: Sendable {
        case closed
        case suspected
        case open(since: Time)
        /// The service answers probes, but calls fail, whichever event they are for.
        case failing(since: Time, until: Time)
        /// The same, but calls are tried again.
        case trying(since: Time)
    }

    enum Step: Sendable, Equatable {
        /// The service answers, as far as is known.
        case closed
        /// The caller is to probe now, and to report the result with `probed` or `abandonProbe`.
        case probe
        /// Another caller probes, or the next probe is due at this time.
        case wait(until: Time?)
    }

    enum Change: Sendable, Equatable {
        case none
        case opened
        case closed(after: Duration)
    }

    static let backoff = Backoff(first: .milliseconds(200), longest: .seconds(10))
    static let pauses = Backoff(first: .seconds(1), longest: .seconds(10))
    /// The time after which calls that fail although the service answers are the events' own fault again, so that they end.
    static let longestFailing = Duration.seconds(3600)

    private var phase = Phase.closed
    private var backoff = Breaker.backoff
    private var pauses = Breaker.pauses
    private var probeAt: Time?
    private var isProbing = false

    /// Is true from the confirmation of an outage to the first probe that succeeds, or until calls are tried again.
    var isOpen: Bool {
        switch phase {
        case .open, .failing: true
        case .closed, .suspected, .trying: false
        }
    }

    /// Is true if calls are tried again that have failed although the service answers.
    var isTrying: Bool { if case .trying = phase { true } else { false } }

    /// Notes a failure that may be the sign of an outage.
    ///
    /// - Parameter isCertain: whether the event cannot have caused it, so that no probe has to confirm it.
    mutating func fail(isCertain: Bool, now: Time) -> Change {
        switch phase {
        case .open, .failing: return .none
        case .trying(let since):
            if isCertain { (phase, probeAt) = (.open(since: since), now + backoff.next()) }
            return .none
        case .closed, .suspected:
            guard isCertain else {
                if case .closed = phase { (phase, probeAt) = (.suspected, now) }
                return .none
            }
            (phase, probeAt) = (.open(since: now), now + backoff.next())
            return .opened
        }
    }

    /// Notes that calls fail for several events, although the service answers probes.
    mutating func failDespiteAnswers(now: Time) -> Change {
        switch phase {
        case .open, .failing: return .none
        case .closed, .suspected:
            phase = .failing(since: now, until: now + pauses.next())
            return .opened
        case .trying(let since):
            guard now - since < Breaker.longestFailing else { return succeed(now: now) }
            phase = .failing(since: since, until: now + pauses.next())
            return .none
        }
    }

    /// Notes that a call succeeded, or that calls are no longer waited for.
    mutating func succeed(now: Time) -> Change {
        guard case .trying(let since) = phase else { return .none }
        (phase, pauses) = (.closed, Breaker.pauses)
        return .closed(after: now - since)
    }

    mutating func step(now: Time) -> Step {
        switch phase {
        case .closed, .trying: return .closed
        case .failing(let since, let until):
            guard until <= now else { return .wait(until: until) }
            phase = .trying(since: since)
            return .closed
        case .suspected, .open: break
        }
        if isProbing { return .wait(until: nil) }
        if let probeAt, probeAt > now { return .wait(until: probeAt) }
        isProbing = true
        return .probe
    }

    /// Notes the result of a probe.
    mutating func probed(isBack: Bool, now: Time) -> Change {
        isProbing = false
        guard !isBack else {
            defer { (phase, backoff) = (.closed, Breaker.backoff) }
            if case .open(let since) = phase { return .closed(after: now - since) }
            return .none
        }
        probeAt = now + backoff.next()
        guard case .suspected = phase else { return .none }
        phase = .open(since: now)
        return .opened
    }

    /// Lets another caller probe, because the one that should cannot.
    mutating func abandonProbe() { isProbing = false }
}
