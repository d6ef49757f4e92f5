import Synchronization
import TestSupport
import Testing

@testable import Redis

@Suite(.timeLimit(.minutes(2))) struct InterestTests {
    private let server: RedisServer
    private let redis: Redis
    private let interest: Interest

    init() throws {
        server = try RedisServer()
        redis = Redis(try RedisAddress(parsing: server.address), clientName: "test")
        interest = Interest(redis, name: "fetch", lease: .seconds(20))
    }

    private func own(_ address: String, _ waiter: String, _ interest: Interest? = nil) async throws -> Ownership {
        guard
            case .own(let ownership) = try await (interest ?? self.interest).join(
                address, waiter: Waiter(rawValue: waiter))
        else {
            throw NotOwner()
        }
        return ownership
    }

    private struct NotOwner: Error {}

    private func wait(_ address: String, _ waiter: String) async throws -> Duration? {
        if case .wait(let rest) = try await interest.join(address, waiter: Waiter(rawValue: waiter)) {
            rest
        } else {
            nil
        }
    }

    private func told(_ address: String, _ waiter: String) async throws -> String? {
        guard case .result(let result) = try await interest.join(address, waiter: Waiter(rawValue: waiter)) else {
            return nil
        }
        return String(decoding: result, as: UTF8.self)
    }

    @Test func `An interest has one owner and delivers the result to every waiter once`() async throws {
        let ownership = try await own("a", "w0")
        for waiter in 1...3 {
            let rest = try #require(try await wait("a", "w\(waiter)"))
            #expect(rest > .zero && rest <= .milliseconds(20_005))
        }
        // Once more, as when its event is handed out anew.
        #expect(try await wait("a", "w2") != nil)
        #expect(try await ownership.complete(Array("done".utf8))?.map(\.rawValue) == ["w1", "w2", "w3"])
        for waiter in 1...3 { #expect(try await told("a", "w\(waiter)") == "done") }
        // Whoever asks now, one of them included, is a new request.
        let next = try await own("a", "w1")
        #expect(next.lease.token > ownership.lease.token)
        #expect(try await wait("a", "w2") != nil)
    }

    @Test func `An interest belongs to one address and one kind`() async throws {
        _ = try await own("a", "w0")
        _ = try await own("b", "w0")
        _ = try await own("a", "w1", Interest(redis, name: "store"))
    }

    @Test func `A kept result is delivered to later requests`() async throws {
        _ = try await own("a", "w0").complete(Array("done".utf8), keptFor: .milliseconds(300))
        #expect(try await told("a", "w1") == "done")
        #expect(try await told("a", "w2") == "done")
        try await Task.sleep(for: .milliseconds(320))
        #expect(try await told("a", "w1") == nil)
    }

    @Test func `A result that is not kept makes later requests start anew`() async throws {
        _ = try await own("a", "w0").complete(Array("failed".utf8))
        _ = try await own("a", "w1")
    }

    @Test func `Another waiter takes over from a dead owner, which can then change nothing`() async throws {
        let short = Interest(redis, name: "fetch", lease: .milliseconds(200))
        let dead = try await own("a", "w0", short)
        let rest = try #require(try await wait("a", "w1"))
        #expect(rest <= .milliseconds(205))
        try await Task.sleep(for: rest)
        let heir = try await own("a", "w1", short)
        #expect(try await !dead.lease.renew())
        #expect(try await dead.complete(Array("old".utf8)) == nil)
        #expect(try await dead.abandon() == [])
        #expect(try await heir.lease.renew())
        #expect(try await wait("a", "w2") != nil)
        #expect(try await heir.complete(Array("new".utf8))?.map(\.rawValue) == ["w2"])
        #expect(try await told("a", "w2") == "new")
    }

    @Test func `The owner's own redelivered event takes over at once`() async throws {
        let dead = try await own("a", "w 0")
        let again = try await own("a", "w 0")
        #expect(again.lease.token > dead.lease.token)
        #expect(try await !dead.lease.renew())
    }

    @Test func `An expired owner can complete the work when no waiter took over`() async throws {
        let short = Interest(redis, name: "fetch", lease: .milliseconds(50))
        let slow = try await own("a", "w0", short)
        #expect(try await wait("a", "w1") != nil)
        try await Task.sleep(for: .milliseconds(80))
        #expect(try await slow.complete(Array("late".utf8))?.map(\.rawValue) == ["w1"])
        #expect(try await told("a", "w1") == "late")
    }

    @Test func `An abandoned interest wakes one waiter, which becomes the owner`() async throws {
        let ownership = try await own("a", "w0")
        #expect(try await wait("a", "w1") != nil)
        #expect(try await wait("a", "w2") != nil)
        #expect(try await ownership.abandon().map(\.rawValue) == ["w1"])
        #expect(try await !ownership.lease.renew())
        let next = try await own("a", "w1")
        #expect(try await next.complete([1])?.map(\.rawValue) == ["w2"])
        #expect(try await own("b", "w0").abandon() == [])
    }

    @Test func `A waiter that cannot do the work may still take over the interest`() async throws {
        guard case .wait = try await interest.join("a", waiter: Waiter(rawValue: "w1"), mayOwn: false) else {
            throw NotOwner()
        }
        let ownership = try await own("a", "w0")
        #expect(try await ownership.complete(Array("done".utf8))?.map(\.rawValue) == ["w1"])
        #expect(try await told("a", "w1") == "done")
        guard case .wait = try await interest.join("a", waiter: Waiter(rawValue: "w1"), mayOwn: false) else {
            throw NotOwner()
        }
        try await interest.leave("a", waiter: Waiter(rawValue: "w1"))
        #expect(try await own("a", "w0").complete([]) == [])
    }

    @Test func `The lease is renewed for as long as the work lasts`() async throws {
        let short = Interest(redis, name: "fetch", lease: .milliseconds(150))
        let ownership = try await own("a", "w0", short)
        let result = try await ownership.lease.holding {
            try await Task.sleep(for: .milliseconds(600))
            guard case .wait = try await short.join("a", waiter: Waiter(rawValue: "w1")) else { throw NotOwner() }
            return "done"
        }
        #expect(result == "done")
        #expect(try await ownership.complete([])?.map(\.rawValue) == ["w1"])
    }

    @Test func `An owner that lost its lease has its work cancelled`() async throws {
        let short = Interest(redis, name: "fetch", lease: .milliseconds(150))
        let ownership = try await own("a", "w0", short)
        let ended = Mutex(false)
        _ = try await own("a", "w0", short)
        let result: Void? = try await ownership.lease.holding {
            try? await Task.sleep(for: .seconds(60))
            ended.withLock { $0 = Task.isCancelled }
        }
        #expect(result == nil)
        #expect(ended.withLock { $0 })
    }

    @Test func `An interest survives the loss of all data in Redis`() async throws {
        let before = try await own("a", "w0")
        #expect(try await wait("a", "w1") != nil)
        try server.cli("FLUSHALL")
        let after = try await own("a", "w1")
        #expect(after.lease.token > before.lease.token)
        #expect(try await before.complete([]) == nil)
        try server.cli("FLUSHALL")
        #expect(try await after.lease.renew())
        #expect(try await wait("a", "w2") != nil)
    }

    @Test func `Every key of an interest has an expiry`() async throws {
        let ownership = try await own("a}b", "w0")
        _ = try await wait("a}b", "w1")
        _ = try await ownership.complete([1], keptFor: .seconds(1))
        _ = try await own("c", "w0")
        _ = try await wait("c", "w1")
        let keys = try server.cli("KEYS", "*").split(separator: "\n")
        #expect(keys.count >= 6)
        for key in keys {
            #expect(key.hasPrefix("tgpipe:{a%7Db}:fetch:") || key.hasPrefix("tgpipe:{c}:fetch:"))
            #expect(Int(try server.cli("TTL", String(key))) ?? -1 >= 0)
        }
    }

    private final class Owners: Sendable {
        let count = Mutex(0)

        func next() -> Int {
            count.withLock { count in
                count += 1
                return count
            }
        }
    }

    @Test func `An interest has one owner at a time under concurrency and crashes`() async throws {
        let short = Interest(redis, name: "fetch", lease: .milliseconds(100))
        let owners = Owners()
        let answers = try await withThrowingTaskGroup(of: Bool.self) { group in
            for number in 0..<200 {
                group.addTask { try await Self.ask(short, Waiter(rawValue: "w\(number)"), owners) }
            }
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(answers == 200)
        #expect(owners.count.withLock { $0 } == 4)
    }

    /// Repeats the request until there is a result; the first three owners die.
    private static func ask(_ interest: Interest, _ waiter: Waiter, _ owners: Owners) async throws -> Bool {
        while true {
            switch try await interest.join("a", waiter: waiter) {
            case .result(let result): return result == [7]
            case .wait(let rest): try await Task.sleep(for: rest)
            case .own where owners.next() <= 3: try await Task.sleep(for: .milliseconds(300))
            case .own(let ownership):
                _ = try await ownership.complete([7], keptFor: .seconds(20))
                return true
            }
        }
    }
}
