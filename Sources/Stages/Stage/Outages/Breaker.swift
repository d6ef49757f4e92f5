import System

/// Decides when a service counts as away, and when it is probed again: a circuit breaker.
///
/// A failure that may be an event's own fault only raises a suspicion, which the first probe confirms or dismisses.
/// Callers pass the time and carry out the probes, one at a time.
struct Breaker: Sendable {
    typealias Time = ContinuousClock.Instant

    private enum Phase: Sendable {
        case closed
        case suspected
        case open(since: Time)
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

    private var phase = Phase.closed
    private var backoff = Breaker.backoff
    private var probeAt: Time?
    private var isProbing = false

    /// Is true from the confirmation of an outage to the first probe that succeeds.
    var isOpen: Bool { if case .open = phase { true } else { false } }

    /// Notes a failure that may be the sign of an outage.
    ///
    /// - Parameter isCertain: whether the event cannot have caused it, so that no probe has to confirm it.
    mutating func fail(isCertain: Bool, now: Time) -> Change {
        switch phase {
        case .open: return .none
        case .closed, .suspected:
            guard isCertain else {
                if case .closed = phase { (phase, probeAt) = (.suspected, now) }
                return .none
            }
            (phase, probeAt) = (.open(since: now), now + backoff.next())
            return .opened
        }
    }

    mutating func step(now: Time) -> Step {
        if case .closed = phase { return .closed }
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
