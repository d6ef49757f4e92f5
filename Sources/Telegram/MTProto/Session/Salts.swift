/// Holds the server's salts, numbers that each message must contain; each is valid for about an hour.
struct Salts {
    struct Future {
        /// The time from which the salt is valid, in seconds since 1970 by the server's clock.
        let since: Int32
        let until: Int32
        let salt: Int64
    }

    private static let maxRemembered = 64

    private(set) var current: Int64
    /// The salts after the current one, by time.
    private var future: [Future] = []
    private var lastUntil: Double = 0
    private var nextRequest: Double = 0

    init(_ current: Int64) { self.current = current }

    /// Adopts the salt that the server demands now.
    mutating func replace(_ salt: Int64) {
        current = salt
        // If the announced salts do not include this one, the server has discarded its earlier announcements.
        if !future.contains(where: { $0.salt == salt }) {
            future = []
            lastUntil = 0
            nextRequest = 0
        }
    }

    mutating func add(_ announced: [Future]) {
        future = Array(announced.sorted { $0.since < $1.since }.suffix(Salts.maxRemembered))
        lastUntil = Double(future.last?.until ?? 0)
    }

    /// Returns the salt for a message that is sent now.
    mutating func salt(at serverTime: Double) -> Int64 {
        while let next = future.first, Double(next.since) <= serverTime {
            if serverTime < Double(next.until) { current = next.salt }
            future.removeFirst()
        }
        return current
    }

    /// Returns whether to request more salts; true at most once a minute.
    mutating func wantsMore(at serverTime: Double) -> Bool {
        guard lastUntil < serverTime + 1800, serverTime >= nextRequest else { return false }
        nextRequest = serverTime + 60
        return true
    }
}
