/// Growing pauses with jitter: 0.5 to 1 times a delay that doubles from `first` up to `longest`.
package struct Backoff: Sendable {
    private let first: Duration
    private let longest: Duration
    private var delay: Duration

    package init(first: Duration = .milliseconds(500), longest: Duration = .seconds(30)) {
        self.first = first
        self.longest = longest
        delay = first
    }

    package mutating func next() -> Duration {
        defer { delay = min(delay * 2, longest) }
        return delay * Double.random(in: 0.5...1)
    }

    package mutating func reset() { delay = first }
}
