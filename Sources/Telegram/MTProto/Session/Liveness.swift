/// Decides when the server is sent a ping, and when its silence means that the connection is lost.
///
/// Each ping is a `ping_delay_disconnect`: the server closes the connection when the delay ends, unless another such
/// message renews it. No other message does, so a connection that always carries data needs pings, too.
/// Source: https://core.telegram.org/mtproto/service_messages#deferred-connection-closure-ping
struct Liveness {
    /// The seconds after a ping, or after the connection's start, after which the next ping is due.
    static let renewalSeconds = 60.0
    /// The seconds of silence after which the server is sent a ping while an acknowledgement is due.
    static let quietSecondsWhileWaiting = 10.0
    /// The seconds after a ping after which a silent server counts as gone.
    static let answerSeconds = 15.0
    /// The seconds after the last ping after which the server closes the connection.
    static let disconnectDelay: Int32 = 90

    private(set) var lastHeard: Double
    private(set) var askedAt: Double?
    /// The time of the last ping that the server can have received, or of the connection's start.
    private var lastPing: Double
    /// The last time when the server was asked about unacknowledged messages.
    var askedAboutMessages: Double

    init(at now: Double) { (lastHeard, lastPing, askedAboutMessages) = (now, now, now) }

    mutating func heard(at now: Double) { (lastHeard, askedAt) = (now, nil) }

    mutating func asked(at now: Double) { (askedAt, lastPing) = (now, now) }

    /// Makes the next ping due, because the last one is lost with its session.
    mutating func lostPing() { (askedAt, lastPing) = (nil, -.infinity) }

    func isGone(at now: Double) -> Bool { askedAt.map { now >= $0 + Liveness.answerSeconds } ?? false }

    func wantsPing(at now: Double, isWaiting: Bool) -> Bool { askedAt == nil && now >= nextPing(isWaiting) }

    /// Returns the next time when there is something to do.
    func deadline(isWaiting: Bool) -> Double { askedAt.map { $0 + Liveness.answerSeconds } ?? nextPing(isWaiting) }

    private func nextPing(_ isWaiting: Bool) -> Double {
        min(lastPing + Liveness.renewalSeconds, isWaiting ? lastHeard + Liveness.quietSecondsWhileWaiting : .infinity)
    }
}
