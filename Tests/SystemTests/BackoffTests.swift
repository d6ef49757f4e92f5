import System
import Testing

@Suite struct BackoffTests {
    @Test func `Delays double up to the longest one`() {
        let backoff = Backoff(first: .seconds(1), longest: .seconds(8))
        #expect((0...5).map { backoff.delay(after: $0) } == [0, 1, 2, 4, 8, 8].map { .seconds($0) })
        #expect(backoff.delay(after: .max) == .seconds(8))
    }

    @Test func `A first delay of zero or above the longest one is no fault`() {
        #expect(Backoff(first: .zero, longest: .seconds(1)).delay(after: .max) == .zero)
        #expect(Backoff(first: .seconds(9), longest: .seconds(1)).delay(after: 1) == .seconds(1))
    }

    @Test(
        arguments: [
            (.none, 1, 1), (.half, 0.5, 1), (.full, 0, 1), (.plusMinus(0.25), 0.75, 1.25),
        ] as [(Backoff.Jitter, Double, Double)])
    func `Pauses stay within the jitter`(_ jitter: Backoff.Jitter, _ least: Double, _ most: Double) {
        let backoff = Backoff(first: .seconds(4), longest: .seconds(4), jitter: jitter)
        let pauses = (0..<200).map { _ in backoff.pause(after: 3) }
        #expect(pauses.allSatisfy { $0 >= .seconds(4) * least && $0 <= .seconds(4) * most })
        #expect(least == most || Set(pauses).count > 10)
    }

    @Test func `A least delay applies before jitter`() {
        let backoff = Backoff(first: .seconds(1), longest: .seconds(8), jitter: .none)
        #expect(backoff.pause(after: 0, atLeast: .seconds(3)) == .seconds(3))
        #expect(backoff.pause(after: 4, atLeast: .seconds(3)) == .seconds(8))
    }

    @Test func `A success starts again with the first pause`() {
        var backoff = Backoff(first: .seconds(1), longest: .seconds(8), jitter: .none)
        #expect([backoff.next(), backoff.next(), backoff.next()] == [.seconds(1), .seconds(2), .seconds(4)])
        backoff.reset()
        #expect(backoff.next() == .seconds(1))
    }

    @Test func `A policy ends after its number of attempts`() {
        let policy = RetryPolicy(
            attempts: 3, backoff: Backoff(first: .seconds(1), longest: .seconds(8), jitter: .none))
        #expect((1...4).map { policy.pause(after: $0) } == [.seconds(1), .seconds(2), nil, nil])
        #expect(RetryPolicy(attempts: nil, backoff: policy.backoff).pause(after: 1_000_000) == .seconds(8))
    }
}
