/// Tells when a transfer has taken too long, as a whole or since bytes last moved.
struct TransferClock {
    private let stallTimeout: Duration
    private let deadline: Duration?
    private let interval: Duration
    private var started = ContinuousClock.now
    private var lastMoved = ContinuousClock.now
    private var nextCheck = ContinuousClock.now
    private var lastActivity: Int64 = -1
    private let minimumRate: HTTPRequest.MinimumRate?
    private var window: (start: ContinuousClock.Instant, activity: Int64)?

    enum Verdict {
        case goOn
        case stalled
        case overdue
        case tooSlow
    }

    init(stallTimeout: Duration, deadline: Duration?, minimumRate: HTTPRequest.MinimumRate? = nil) {
        self.minimumRate = minimumRate
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
        if now - lastMoved >= stallTimeout { return .stalled }
        return isTrickling(activity, now) ? .tooSlow : .goOn
    }

    /// Judges one window after the other. The first begins with the first bytes, so that what comes before them counts for nothing.
    private mutating func isTrickling(_ activity: Int64, _ now: ContinuousClock.Instant) -> Bool {
        guard let minimumRate, activity > 0 else { return false }
        guard let window else {
            window = (now, activity)
            return false
        }
        guard now - window.start >= minimumRate.window else { return false }
        self.window = (now, activity)
        return Double(activity - window.activity) < minimumRate.bytesPerSecond * ((now - window.start) / .seconds(1))
    }
}
