/// The numbers that the server wants in each message, each for about an hour.
struct Salts {
    struct Future {
        /// Seconds since 1970, at the server.
        let since: Int32
        let until: Int32
        let salt: Int64
    }

    static let mostRemembered = 64

    private(set) var current: Int64
    /// Those after it, by time.
    private var future: [Future] = []
    private var lastUntil: Double = 0
    private var nextRequest: Double = 0

    init(_ current: Int64) { self.current = current }

    /// The server says that another one is right now.
    mutating func replace(_ salt: Int64) {
        current = salt
        // What it announced before does not hold any more, if it is not among it.
        if !future.contains(where: { $0.salt == salt }) {
            future = []
            lastUntil = 0
            nextRequest = 0
        }
    }

    mutating func add(_ announced: [Future]) {
        future = Array(announced.sorted { $0.since < $1.since }.suffix(Salts.mostRemembered))
        lastUntil = Double(future.last?.until ?? 0)
    }

    /// The one for a message that is sent now.
    mutating func salt(at serverTime: Double) -> Int64 {
        while let next = future.first, Double(next.since) <= serverTime {
            if serverTime < Double(next.until) { current = next.salt }
            future.removeFirst()
        }
        return current
    }

    /// Whether to ask for more: at most once a minute.
    mutating func wantsMore(at serverTime: Double) -> Bool {
        guard lastUntil < serverTime + 1800, serverTime >= nextRequest else { return false }
        nextRequest = serverTime + 60
        return true
    }
}
