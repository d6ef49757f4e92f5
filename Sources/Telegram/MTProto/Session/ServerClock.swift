/// A machine's clocks at one moment.
struct Moment: Sendable {
    /// Seconds since 1970, as the machine believes.
    var wall: Double
    /// Seconds of a clock that never jumps, and goes on while the machine sleeps.
    var steady: Double
}

/// What time it is at the server, and the ids of messages, which are made of it.
///
/// Once known, it is kept by the steady clock: whatever is done to the machine's own time of day does not matter.
struct ServerClock {
    /// Seconds: the server's time less the steady clock; nil while the machine's time of day has to do.
    private var difference: Double?
    private var last: Int64 = 0

    /// Later than any time that a message's id can hold.
    private static let end = 2_147_480_000.0

    var isKnown: Bool { difference != nil }

    /// - Parameter time: seconds since 1970 at the server.
    mutating func set(_ time: Double, at now: Moment) { difference = time - now.steady }

    func time(at now: Moment) -> Double { difference.map { now.steady + $0 } ?? now.wall }

    /// When it is a certain time at the server, by the steady clock; never, while that is not known.
    func steady(at time: Double) -> Double { difference.map { time - $0 } ?? .infinity }

    /// An id for the next message: greater than all before, a multiple of four.
    mutating func nextMessageID(at now: Moment) -> Int64 {
        let id = Int64(min(max(time(at: now), 0), ServerClock.end) * 4_294_967_296) & ~3
        last = max(id, last + 4)
        return last
    }

    /// Lets ids be less than before, as a new session may.
    mutating func startOver() { last = 0 }

    static func time(of messageID: Int64) -> Double { Double(messageID) / 4_294_967_296 }
}
