/// Bytes a second over the last seconds, and a gate that lets a report through now and then.
struct RateMeter {
    private var samples: [(time: ContinuousClock.Instant, bytes: Int64)] = []
    private var lastReport: ContinuousClock.Instant?
    private let interval = Duration.milliseconds(100)
    private let window = Duration.seconds(3)

    /// The rate to report, when it is time to.
    mutating func report(at bytes: Int64) -> Double?? {
        let now = ContinuousClock.now
        if let lastReport, now - lastReport < interval { return nil }
        lastReport = now
        samples.append((now, bytes))
        let oldest = now - window
        samples.removeAll { $0.time < oldest }
        guard let first = samples.first, now > first.time else { return .some(nil) }
        let elapsed = (now - first.time) / .seconds(1)
        return .some(max(0, Double(bytes - first.bytes) / elapsed))
    }
}
