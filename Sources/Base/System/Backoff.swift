/// Computes the pauses between attempts: a delay that doubles with each failure, up to a longest one, with jitter.
///
/// Every retry of the project takes its pauses from here. Jitter keeps clients that failed together from coming back together.
package struct Backoff: Sendable, Hashable {
    /// The range of random factors by which a delay is multiplied.
    package struct Jitter: Sendable, Hashable {
        let factors: ClosedRange<Double>

        /// Delays are exact.
        package static let none = Jitter(factors: 1...1)
        /// A pause lasts from half of the delay up to the delay.
        package static let half = Jitter(factors: 0.5...1)
        /// A pause lasts from nothing up to the delay.
        package static let full = Jitter(factors: 0...1)

        /// A pause is shorter or longer than the delay by up to the given fraction of it.
        package static func plusMinus(_ fraction: Double) -> Jitter { Jitter(factors: (1 - fraction)...(1 + fraction)) }
    }

    /// The delay after the first failure.
    package var first: Duration
    /// The longest delay, before jitter.
    package var longest: Duration
    package var jitter: Jitter
    /// The number of failures since the last success.
    private var failures = 0

    package init(
        first: Duration = .milliseconds(500), longest: Duration = .seconds(30), jitter: Jitter = .half
    ) {
        self.first = first
        self.longest = longest
        self.jitter = jitter
    }

    /// Returns the delay after a number of failures in a row, without jitter; zero without a failure.
    package func delay(after failures: Int) -> Duration {
        guard failures > 0 else { return .zero }
        var delay = first
        // 64 doublings exceed every longest delay; a first delay of zero would go on for ever.
        for _ in 1..<min(failures, 64) where delay < longest { delay *= 2 }
        return min(delay, longest)
    }

    /// Returns the pause after a number of failures in a row.
    ///
    /// - Parameter least: the shortest delay, before jitter.
    package func pause(after failures: Int, atLeast least: Duration = .zero) -> Duration {
        max(delay(after: failures), least) * Double.random(in: jitter.factors)
    }

    /// Counts a failure and returns the pause after it.
    package mutating func next() -> Duration {
        failures += 1
        return pause(after: failures)
    }

    /// Notes a success: the next pause is the first one again.
    package mutating func reset() { failures = 0 }
}

/// Limits the attempts at one piece of work, and computes the pauses between them.
package struct RetryPolicy: Sendable, Hashable {
    /// The number of attempts in all, the first included; nil for no limit.
    package var attempts: Int?
    package var backoff: Backoff

    package init(attempts: Int?, backoff: Backoff) {
        self.attempts = attempts
        self.backoff = backoff
    }

    /// Returns whether another attempt is allowed after a number of failures in a row.
    package func allowsAttempt(after failures: Int) -> Bool { failures < attempts ?? .max }

    /// Returns the pause before the next attempt, or nil if no attempt is left.
    ///
    /// - Parameter failures: the number of failures in a row, from 1.
    package func pause(after failures: Int) -> Duration? {
        allowsAttempt(after: failures) ? backoff.pause(after: failures) : nil
    }
}
