import System

/// A reading of this machine's clocks.
struct Moment: Sendable {
    /// Seconds since 1970 by the machine's time of day, which may be wrong.
    var wall: Double
    /// Seconds of a clock that never jumps and continues while the machine sleeps.
    var steady: Double
}

/// Tracks the server's time, and makes message ids from it.
///
/// Once known, the time is tracked with the steady clock, so that changes of the machine's time of day do not matter.
struct ServerClock {
    /// The server's time less the steady clock, in seconds; nil while only the machine's time of day is known.
    private var difference: Double?
    private var last: Int64 = 0

    /// The limit of the times that a message id can hold, in seconds since 1970.
    private static let end = 2_147_480_000.0

    var isKnown: Bool { difference != nil }

    /// Sets the server's time.
    ///
    /// - Parameter time: in seconds since 1970.
    mutating func set(_ time: Double, at now: Moment) { difference = time - now.steady }

    func time(at now: Moment) -> Double { difference.map { now.steady + $0 } ?? now.wall }

    /// Converts a server time to the steady clock; infinity while the server's time is not known.
    func steady(at time: Double) -> Double { difference.map { time - $0 } ?? .infinity }

    /// Makes the next message's id: a multiple of four, greater than all ids before.
    mutating func nextMessageID(at now: Moment) -> Int64 {
        let id = Int64(min(max(time(at: now), 0), ServerClock.end) * 4_294_967_296) & ~3
        last = max(id, last + 4)
        return last
    }

    /// Allows lower ids than before, for a new session.
    mutating func startOver() { last = 0 }

    static func time(of messageID: Int64) -> Double { Double(messageID) / 4_294_967_296 }
}

extension Moment {
    static var now: Moment {
        Moment(
            wall: Double(SystemClocks.realtimeNanoseconds) / 1e9, steady: Double(SystemClocks.bootNanoseconds) / 1e9)
    }
}
