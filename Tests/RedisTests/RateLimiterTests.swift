import TestSupport
import Testing

@testable import Redis

@Suite struct RateLimiterTests {
    private let server: RedisServer
    private let redis: Redis

    init() throws {
        server = try RedisServer()
        redis = Redis(try RedisAddress(parsing: server.address), clientName: "test")
    }

    private func limiter(
        _ algorithm: RateLimit.Algorithm, _ limit: Int, _ window: Duration = .seconds(60), burst: Int? = nil
    ) throws -> RateLimiter {
        RateLimiter(
            redis, try RateLimit(name: "test", algorithm: algorithm, limit: limit, window: window, burst: burst))
    }

    @Test(arguments: RateLimit.Algorithm.allCases)
    func `A rate limit allows the given number, then reports when to retry`(algorithm: RateLimit.Algorithm) async throws
    {
        let limiter = try limiter(algorithm, 3)
        let decisions = try await limiter.decide(["a", "a", "a", "a", "a", "b"])
        #expect(decisions.map(\.isAllowed) == [true, true, true, false, false, true])
        #expect(decisions.map(\.remaining) == [2, 1, 0, 0, 0, 2])
        #expect(decisions.map(\.isFirstRefusal) == [false, false, false, true, false, false])
        // The bucket gets one back in a third of the window, the windows all of it at the end.
        let longest: Int64 = algorithm == .tokenBucket ? 20_000 : 60_000
        for decision in decisions[3...4] {
            #expect((longest - 10_000...longest).contains(decision.retryAfterMilliseconds))
        }
        #expect(decisions[0].retryAfterMilliseconds == 0)
    }

    @Test(arguments: RateLimit.Algorithm.allCases)
    func `A rate limit allows requests again after its window`(algorithm: RateLimit.Algorithm) async throws {
        let limiter = try limiter(algorithm, 2, .milliseconds(300))
        for _ in 0..<3 {
            let decisions = try await limiter.decide(["a", "a", "a"])
            #expect(decisions.map(\.isAllowed) == [true, true, false])
            #expect(decisions[2].isFirstRefusal)
            try await Task.sleep(for: .milliseconds(310))
        }
        #expect(try await eventually { try server.cli("DBSIZE") == "0" })
    }

    @Test(arguments: RateLimit.Algorithm.allCases)
    func `Checking does not use up the rate limit`(algorithm: RateLimit.Algorithm) async throws {
        let limiter = try limiter(algorithm, 2)
        #expect(try await limiter.decide(["a", "a", "a"], .check).map(\.remaining) == [2, 2, 2])
        #expect(try await limiter.decide(["a", "a"], .count).map(\.remaining) == [1, 0])
        let refusals = try await limiter.decide(["a", "a"], .check)
        #expect(refusals.map(\.isAllowed) == [false, false])
        #expect(refusals.map(\.isFirstRefusal) == [true, false])
    }

    @Test(arguments: RateLimit.Algorithm.allCases)
    func `Counting continues beyond the limit`(algorithm: RateLimit.Algorithm) async throws {
        let limiter = try limiter(algorithm, 2)
        let counted = try await limiter.decide(["a", "a", "a", "a"], .count)
        #expect(counted.filter(\.isAllowed).count == 4)
        let refused = try await limiter.decide("a")
        #expect(!refused.isAllowed)
        #expect(refused.isFirstRefusal)
        #expect(refused.retryAfterMilliseconds <= 60_000)
    }

    @Test func `Later events do not extend a fixed window`() async throws {
        let limiter = try limiter(.fixed, 100)
        _ = try await limiter.decide("a")
        try server.cli("PEXPIRE", "tgpipe:rate:test:{a}", "5000")
        _ = try await limiter.decide(Array(repeating: "a", count: 200))
        let text = try server.cli("PTTL", "tgpipe:rate:test:{a}")
        let rest = try #require(Int(text))
        #expect((1...5000).contains(rest))
    }

    @Test func `A counter without an expiry is given one`() async throws {
        let limiter = try limiter(.fixed, 1)
        _ = try await limiter.decide("a")
        try server.cli("PERSIST", "tgpipe:rate:test:{a}")
        #expect(try await limiter.decide("a").retryAfterMilliseconds == 60_000)
        #expect(try server.cli("TTL", "tgpipe:rate:test:{a}") != "-1")
    }

    @Test func `A sliding window never allows more than the limit in any window`() async throws {
        let limiter = try limiter(.sliding, 2)
        let log = "tgpipe:rate:test:{a}:log"
        _ = try await limiter.decide(["a", "a"])
        let text = try server.cli("LINDEX", log, "0")
        let first = try #require(Int(text))
        try server.cli("LSET", log, "0", "\(first - 50_000_000)")
        let refused = try await limiter.decide("a")
        #expect(!refused.isAllowed)
        #expect(refused.retryAfterMilliseconds <= 10_000)
        // The first leaves the window, the second stays in it.
        try server.cli("LSET", log, "0", "\(first - 61_000_000)")
        let decisions = try await limiter.decide(["a", "a"])
        #expect(decisions.map(\.isAllowed) == [true, false])
        #expect(decisions[1].retryAfterMilliseconds > 10_000)
    }

    @Test func `A token bucket allows its burst, then the limit's rate`() async throws {
        let limiter = try limiter(.tokenBucket, 1, .seconds(10), burst: 4)
        #expect(try await limiter.decide("a", .check).remaining == 4)
        let decisions = try await limiter.decide(Array(repeating: "a", count: 5))
        #expect(decisions.map(\.isAllowed) == [true, true, true, true, false])
        #expect(decisions[4].retryAfterMilliseconds <= 10_000)
    }

    @Test(arguments: RateLimit.Algorithm.allCases)
    func `All connections share one exact count`(algorithm: RateLimit.Algorithm) async throws {
        let rule = try RateLimit(name: "test", algorithm: algorithm, limit: 100, window: .seconds(86_400))
        let address = redis.address
        let allowed = try await withThrowingTaskGroup(of: Int.self) { group in
            for _ in 0..<5 {
                group.addTask {
                    let limiter = RateLimiter(Redis(address, clientName: "other"), rule)
                    var allowed = 0
                    for _ in 0..<10 {
                        let keys = Array(repeating: "a", count: 30)
                        allowed += try await limiter.decide(keys).count { $0.isAllowed }
                    }
                    return allowed
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(allowed == 100)
    }

    @Test func `Hostile keys are kept apart inside one hash tag`() async throws {
        let limiter = try limiter(.sliding, 1)
        let keys = ["", "}", "%7D", "{}", "a\u{0}\r\nDEL", "}\u{301}", String(repeating: "k", count: 100_000)]
        let first = try await limiter.decide(keys)
        #expect(first.filter(\.isAllowed).count == keys.count)
        let second = try await limiter.decide(keys)
        #expect(second.filter(\.isAllowed).isEmpty)
        #expect(try server.cli("EXISTS", "tgpipe:rate:test:{%7D}:log", "tgpipe:rate:test:{%257D}:log") == "2")
    }

    @Test(arguments: RateLimit.Algorithm.allCases)
    func `Keys that look the same and have other bytes count apart`(algorithm: RateLimit.Algorithm) async throws {
        let limiter = try limiter(algorithm, 1)
        let decisions = try await limiter.decide(["\u{E9}", "e\u{301}", "\u{E9}", "e\u{301}"])
        #expect(decisions.map(\.isAllowed) == [true, true, false, false])
    }

    @Test func `A window that ends while an event is counted leaves no counter without an end`() async throws {
        let limiter = try limiter(.fixed, 1_000_000, .milliseconds(1))
        for _ in 0..<2_000 { _ = try await limiter.decide("a") }
        #expect(try await eventually { try server.cli("DBSIZE") == "0" })
    }

    @Test func `Decisions for many keys are made in order`() async throws {
        let limiter = try limiter(.fixed, 1)
        let keys = (0..<20_000).map { "key \($0 % 15_000)" }
        let decisions = try await limiter.decide(keys)
        #expect(decisions.map(\.isAllowed) == (0..<20_000).map { $0 < 15_000 })
    }

    private func keys(_ names: [String]) -> RateKeys {
        var keys = RateKeys()
        for name in names { keys.add(name) }
        return keys
    }

    @Test(arguments: RateLimit.Algorithm.allCases)
    func `Questions that are asked before the answers came are decided on in order`(
        algorithm: RateLimit.Algorithm
    ) async throws {
        let limiter = try limiter(algorithm, 100)
        var questions: [RateLimiter.Question] = []
        for _ in 0..<20 { questions.append(try await limiter.ask(keys(Array(repeating: "a", count: 7) + ["b"]))) }
        var decisions: [[RateDecision]] = []
        for question in questions { decisions.append(try await question.decisions()) }
        let ofA = decisions.flatMap { $0.prefix(7) }
        #expect(ofA.map(\.isAllowed) == (0..<140).map { $0 < 100 })
        #expect(ofA.prefix(100).map(\.remaining) == (0..<100).reversed())
        #expect(ofA.count { $0.isFirstRefusal } == 1 && ofA[100].isFirstRefusal)
        #expect(decisions.map { $0[7].remaining } == (80..<100).reversed())
    }

    @Test(arguments: RateLimit.Algorithm.allCases)
    func `An error of one question leaves the questions around it`(algorithm: RateLimit.Algorithm) async throws {
        let limiter = try limiter(algorithm, 100)
        let name = algorithm == .fixed ? "x}" : algorithm == .sliding ? "x}:log" : "x}:bucket"
        try server.cli("HSET", "tgpipe:rate:test:{\(name)", "f", "v")
        let before = try await limiter.ask(keys(["a"]))
        let wrong = try await limiter.ask(keys(["x"]))
        let after = try await limiter.ask(keys(["a"]))
        #expect(try await before.decisions().map(\.remaining) == [99])
        let error = await #expect(throws: RedisError.self) { try await wrong.decisions() }
        #expect(error?.isTransient == false)
        #expect(try await after.decisions().map(\.remaining) == [98])
    }

    @Test func `Questions that were asked before Redis went away fail, each by itself`() async throws {
        let limiter = try limiter(.fixed, 100)
        _ = try await limiter.decide("a")
        server.freeze()
        var questions: [RateLimiter.Question] = []
        for _ in 0..<3 { questions.append(try await limiter.ask(keys(["a"]))) }
        server.kill()
        for question in questions {
            let error = await #expect(throws: RedisError.self) { try await question.decisions() }
            #expect(error?.isTransient == true)
        }
        try server.start()
        #expect(try await limiter.decide("a").isAllowed)
    }

    @Test func `A question that Redis answers after its window has ended leaves a counter with an end`() async throws {
        let limiter = try limiter(.fixed, 5, .milliseconds(500))
        _ = try await limiter.decide("a")
        server.freeze()
        let question = try await limiter.ask(keys(["a"]), timeout: .milliseconds(100))
        await #expect(throws: RedisError.self) { try await question.decisions() }
        try await Task.sleep(for: .milliseconds(600))
        server.thaw()
        // Redis carries out what nobody waits for any more.
        #expect(try await eventually { try server.cli("INFO", "commandstats").contains("cmdstat_incrby:calls=2,") })
        #expect(try await eventually { try server.cli("EXISTS", "tgpipe:rate:test:{a}") == "0" })
    }

    @Test func `Events in place of the oldest ones keep a sliding window at its limit`() async throws {
        let limiter = try limiter(.sliding, 2500)
        let count = try await limiter.ask(keys(Array(repeating: "a", count: 6000)), .count).decisions()
        #expect(count.allSatisfy { $0.isAllowed })
        #expect(try server.cli("LLEN", "tgpipe:rate:test:{a}:log") == "2500")
        #expect(try await !limiter.decide("a").isAllowed)
    }

    @Test(arguments: [1, 100])
    func `A counter that Redis has lost within its window gets an end again`(limit: Int) async throws {
        let limiter = try limiter(.fixed, limit)
        for _ in 0..<2 { _ = try await limiter.decide("a") }
        try server.cli("DEL", "tgpipe:rate:test:{a}")
        #expect(try await limiter.decide("a").remaining == limit - 1)
        let rest = try #require(Int(try server.cli("PTTL", "tgpipe:rate:test:{a}")))
        #expect((50_000...60_000).contains(rest))
    }

    @Test func `Each key of a batch is kept once, whatever its bytes are`() {
        var keys = RateKeys()
        let names = (0..<5000).map { "key \($0 % 1000)" } + ["", "}", "%7D", "\n", "", "}"]
        for name in names { keys.add(name) }
        #expect(keys.keys.count == 1000 + 4)
        #expect(keys.count == names.count)
        #expect(keys.keys.prefix(1000).allSatisfy { $0.events == 5 })
        #expect(names.indices.allSatisfy { keys.escapedKey(ofEvent: $0) == HashTag.escaped(names[$0]) })
        #expect(HashTag.escaped("a}%\né") == "a%7D%25%0Aé")
    }

    @Test func `A rate limit works in a cluster, with the keys of one event only`() async throws {
        let server = try RedisServer(
            configuration: ["cluster-enabled yes", "cluster-port \(LoopbackListener.freePort())"], tcp: true)
        try server.cli("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        #expect(try await eventually { try server.cli("CLUSTER", "INFO").contains("cluster_state:ok") })
        let redis = Redis(try RedisAddress(parsing: server.address), clientName: "test")
        for algorithm in RateLimit.Algorithm.allCases {
            let limiter = RateLimiter(
                redis, try RateLimit(name: "test", algorithm: algorithm, limit: 2, window: .seconds(60)))
            let keys = (0..<100).map { "key \($0 % 34)" }
            let decisions = try await limiter.decide(keys)
            #expect(decisions.map(\.isAllowed) == (0..<100).map { $0 < 68 })
        }
    }

    @Test func `Contradictory settings of a rate limit are refused`() throws {
        func problem(_ algorithm: RateLimit.Algorithm, _ name: String, _ limit: Int, _ window: Duration, _ burst: Int?)
        {
            #expect(throws: RedisError.self) {
                try RateLimit(name: name, algorithm: algorithm, limit: limit, window: window, burst: burst)
            }
        }
        problem(.fixed, "", 1, .seconds(1), nil)
        problem(.fixed, "a{b", 1, .seconds(1), nil)
        problem(.fixed, "a", 0, .seconds(1), nil)
        problem(.fixed, "a", 1, .microseconds(1), nil)
        problem(.fixed, "a", 1, .seconds(400 * 86400), nil)
        problem(.sliding, "a", 100_001, .seconds(1), nil)
        problem(.tokenBucket, "a", 1000, .milliseconds(1), nil)
        problem(.tokenBucket, "a", 1, .seconds(1), 0)
    }
}
