/// Tells when a transfer has taken too long, as a whole or since bytes last moved.
struct TransferClock {
    private let stallTimeout: Duration
    private let deadline: Duration?
    private let interval: Duration
    private var started = ContinuousClock.now
    private var lastMoved = ContinuousClock.now
    private var nextCheck = ContinuousClock.now
    private var lastActivity: Int64 = -1

    enum Verdict {
        case goOn
        case stalled
        case overdue
    }

    init(stallTimeout: Duration, deadline: Duration?) {
        self.stallTimeout = stallTimeout
        self.deadline = deadline
        interval = max(.milliseconds(20), min(.seconds(1), min(stallTimeout, deadline ?? stallTimeout) / 5))
    }

    mutating func start() {
        started = .now
        lastMoved = started
        nextCheck = started + interval
    }

    var untilNextCheck: Duration { max(.zero, nextCheck - .now) }

    var isDue: Bool { ContinuousClock.now >= nextCheck }

    /// Judges the transfer by a number that changes whenever bytes move.
    mutating func check(activity: Int64) -> Verdict {
        let now = ContinuousClock.now
        nextCheck = now + interval
        if activity != lastActivity {
            lastActivity = activity
            lastMoved = now
        }
        if let deadline, now - started >= deadline { return .overdue }
        return now - lastMoved >= stallTimeout ? .stalled : .goOn
    }
}
