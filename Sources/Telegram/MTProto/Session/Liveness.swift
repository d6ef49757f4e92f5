/// Whether the other side is still there: what is asked when it is silent, and when silence means that it is gone.
struct Liveness {
    /// After so many seconds without anything the server is asked whether it is there.
    static let quiet = 60.0
    /// The same while it owes the confirmation of a message.
    static let quietWhileWaiting = 10.0
    static let patience = 15.0
    /// The server closes the connection when it hears nothing for so many seconds.
    static let disconnectDelay: Int32 = 90

    private(set) var lastHeard: Double
    private(set) var askedAt: Double?
    /// When messages were asked about last that nobody has acknowledged.
    var askedAboutMessages: Double

    init(at now: Double) { (lastHeard, askedAboutMessages) = (now, now) }

    mutating func heard(at now: Double) { (lastHeard, askedAt) = (now, nil) }

    mutating func asked(at now: Double) { askedAt = now }

    func isGone(at now: Double) -> Bool { askedAt.map { now >= $0 + Liveness.patience } ?? false }

    func wantsPing(at now: Double, isWaiting: Bool) -> Bool {
        askedAt == nil && now >= lastHeard + (isWaiting ? Liveness.quietWhileWaiting : Liveness.quiet)
    }

    /// When there is something to do next.
    func deadline(isWaiting: Bool) -> Double {
        askedAt.map { $0 + Liveness.patience }
            ?? lastHeard + (isWaiting ? Liveness.quietWhileWaiting : Liveness.quiet)
    }
}
