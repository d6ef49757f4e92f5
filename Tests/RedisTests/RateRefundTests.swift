import Redis
import TestSupport
import Testing

/// Tests that a request which fails does not use up a limit.
@Suite(.timeLimit(.minutes(2))) struct RateRefundTests {
    private let redis: Redis
    private let server: RedisServer

    init() throws {
        server = try RedisServer()
        redis = Redis(try RedisAddress(parsing: server.address), clientName: "test")
    }

    private func limiter(
        _ algorithm: RateLimit.Algorithm, _ name: String = "t", window: Duration = .seconds(3600)
    ) throws -> RateLimiter {
        RateLimiter(redis, try RateLimit(name: name, algorithm: algorithm, limit: 3, window: window))
    }

    /// Counts requests, and returns whether each is allowed.
    private func count(_ limiter: RateLimiter, _ requests: [String]) async throws -> [Bool] {
        try await limiter.decide(requests.map { _ in "a}\nb" }, requests: requests).map(\.isAllowed)
    }

    @Test(arguments: [RateLimit.Algorithm.fixed, .sliding, .tokenBucket])
    func `A failed request is given back once, also after refusals`(_ algorithm: RateLimit.Algorithm) async throws {
        let limiter = try limiter(algorithm)
        let refund = RateRefund(redis)
        // Refusals do not raise the count.
        #expect(
            try await count(limiter, ["1", "2", "3", "4", "5", "6", "7"]) == [true, true, true]
                + Array(repeating: false, count: 4))
        for _ in 1...3 { try await refund.giveBack("2") }
        try await refund.giveBack("4")
        #expect(try await count(limiter, ["8", "9"]) == [true, false])
        for request in ["1", "3", "8"] { try await refund.giveBack(request) }
        #expect(try await count(limiter, ["a", "b", "c", "d"]) == [true, true, true, false])
    }

    @Test func `A request is given back to all limits that counted it`() async throws {
        let limiters = try [limiter(.fixed, "one"), limiter(.sliding, "two")]
        for limiter in limiters { _ = try await count(limiter, ["1", "2", "3"]) }
        try await RateRefund(redis).giveBack("1")
        for limiter in limiters { #expect(try await count(limiter, ["4", "5"]) == [true, false]) }
    }

    @Test(arguments: [[60, 3600], [3600, 60]])
    func `A note lives as long as the longest window`(_ seconds: [Int]) async throws {
        for (name, seconds) in zip(["one", "two"], seconds) {
            _ = try await count(try limiter(.fixed, name, window: .seconds(seconds)), ["1"])
        }
        let rest = try #require(Int(try server.cli("TTL", "tgpipe:counted:1")))
        #expect((3000...3600).contains(rest))
    }

    @Test func `Many requests of one moment are noted and given back each by itself`() async throws {
        let limiter = RateLimiter(
            redis, try RateLimit(name: "t", algorithm: .fixed, limit: 5000, window: .seconds(3600)))
        // The same request twice: it counts twice, and is given back twice.
        let requests = (0..<1000).map { "01930b7a-4f00-7abc-9def-\(100_000_000_000 + $0)" } + ["other", "other"]
        _ = try await limiter.decide(requests.map { _ in "a" }, requests: requests)
        #expect(try server.cli("HLEN", "tgpipe:counted:01930b7a-4") == "1000")
        for request in requests.suffix(502) { try await RateRefund(redis).giveBack(request) }
        #expect(try server.cli("HLEN", "tgpipe:counted:01930b7a-4") == "500")
        #expect(try server.cli("GET", "tgpipe:rate:t:{a}") == "500")
    }

    @Test func `A request that was never counted, or whose window has ended, changes nothing`() async throws {
        let limiter = try limiter(.fixed)
        try await RateRefund(redis).giveBack("1")
        _ = try await count(limiter, ["1"])
        _ = try server.cli("DEL", "tgpipe:rate:t:{a%7D%0Ab}")
        try await RateRefund(redis).giveBack("1")
        #expect(try await count(limiter, ["2", "3", "4", "5"]) == [true, true, true, false])
    }
}
