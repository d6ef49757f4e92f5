/// Decides when a silent server is sent a ping, and when its silence means that the connection is lost.
struct Liveness {
    /// The seconds of silence after which the server is sent a ping.
    static let quietSeconds = 60.0
    /// The seconds of silence after which the server is sent a ping while an acknowledgement is due.
    static let quietSecondsWhileWaiting = 10.0
    /// The seconds after a ping after which a silent server counts as gone.
    static let answerSeconds = 15.0
    /// The seconds of silence after which the server closes the connection.
    static let disconnectDelay: Int32 = 90

    private(set) var lastHeard: Double
    private(set) var askedAt: Double?
    /// The last time when the server was asked about unacknowledged messages.
    var askedAboutMessages: Double

    init(at now: Double) { (lastHeard, askedAboutMessages) = (now, now) }

    mutating func heard(at now: Double) { (lastHeard, askedAt) = (now, nil) }

    mutating func asked(at now: Double) { askedAt = now }

    func isGone(at now: Double) -> Bool { askedAt.map { now >= $0 + Liveness.answerSeconds } ?? false }

    func wantsPing(at now: Double, isWaiting: Bool) -> Bool {
        askedAt == nil && now >= lastHeard + (isWaiting ? Liveness.quietSecondsWhileWaiting : Liveness.quietSeconds)
    }

    /// Returns the next time when there is something to do.
    func deadline(isWaiting: Bool) -> Double {
        askedAt.map { $0 + Liveness.answerSeconds }
            ?? lastHeard + (isWaiting ? Liveness.quietSecondsWhileWaiting : Liveness.quietSeconds)
    }
}
