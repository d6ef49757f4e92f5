import MTProto
import System

/// Tracks the attempts of one call: the time and the waits that are left, and the data centre.
struct CallAttempt {
    /// The most changes of the data centre, and the most attempts after failures of Telegram.
    private static let most = 4
    private static let retry = RetryPolicy(
        attempts: most, backoff: Backoff(first: .milliseconds(500), longest: .seconds(30)))

    let method: String
    /// The data centre to call; nil for the account's home.
    var dataCenter: Int?
    private let options: CallOptions
    private var deadline: ContinuousClock.Instant
    private var waitLeft: Duration
    private var moves = 0
    private var failures = 0

    init(_ method: String, _ options: CallOptions) {
        (self.method, self.options, waitLeft) = (method, options, options.longestWait)
        deadline = .now + options.deadline
    }

    var timeLeft: Duration { max(deadline - .now, .milliseconds(1)) }

    /// Observes a wait that Telegram demands.
    ///
    /// - Throws: `error`, when the wait exceeds what is left of the caller's limit.
    mutating func keep(to wait: FloodWait, otherwise error: TelegramRPCError) async throws {
        guard wait.remaining <= waitLeft else { throw error }
        waitLeft -= wait.remaining
        options.onWait?(wait)
        // A little longer, because the two clocks differ.
        let pause = wait.remaining + .milliseconds(50)
        try await Task.sleep(for: pause)
        deadline += pause
    }

    /// Returns the refusal that Telegram would answer now, during a known wait.
    func refusal(_ wait: FloodWait) -> TelegramRPCError {
        let (seconds, rest) = wait.remaining.components
        let whole = rest > 0 ? seconds + 1 : seconds
        let name = TelegramRPCError(code: 420, text: wait.reason).name
        return TelegramRPCError(code: 420, text: "\(name)_\(whole)")
    }

    mutating func move(to place: Int, because error: TelegramRPCError) throws {
        moves += 1
        guard moves <= CallAttempt.most, (1...1000).contains(place) else { throw error }
        dataCenter = place
    }

    /// Pauses after a failure of Telegram.
    ///
    /// - Throws: `error`, after the last attempt, and when too little time is left.
    mutating func pause(otherwise error: TelegramRPCError) async throws {
        failures += 1
        guard let pause = CallAttempt.retry.pause(after: failures), pause < timeLeft else { throw error }
        try await Task.sleep(for: pause)
    }
}
