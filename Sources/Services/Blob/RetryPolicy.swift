/// How often, and after which waits, a call is tried again.
struct RetryPolicy: Sendable {
    var attempts = 5
    var firstDelay: Duration = .milliseconds(200)
    var maxDelay: Duration = .seconds(10)

    /// The wait after attempt `number` (from 1): doubled each time, by chance up to half longer or shorter, so that clients
    /// that failed together do not come back together.
    func delay(after number: Int) -> Duration {
        let doubled = firstDelay * (1 << min(number - 1, 16))
        return min(doubled, maxDelay) * Double.random(in: 0.5...1.5)
    }
}
