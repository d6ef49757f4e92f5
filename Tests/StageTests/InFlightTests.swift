import Synchronization
import Testing

@testable import Stage

@Suite(.timeLimit(.minutes(1))) struct InFlightTests {
    private struct Failure: Error {}

    @Test func `Elements keep their order, and no more than the limit are held`() async throws {
        struct Ahead {
            var now = 0
            var most = 0
        }
        final class Count: Sendable { let ahead = Mutex(Ahead()) }
        let inFlight = InFlight<Int>(limit: 2)
        let count = Count()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for number in 0..<1000 {
                    guard await inFlight.waitForRoom() else { return }
                    count.ahead.withLock {
                        $0.now += 1
                        $0.most = max($0.most, $0.now)
                    }
                    inFlight.put(number)
                }
                inFlight.finish()
            }
            var taken: [Int] = []
            while let number = try await inFlight.take() {
                count.ahead.withLock { $0.now -= 1 }
                taken.append(number)
                if number % 100 == 0 { await Task.yield() }
            }
            #expect(taken == Array(0..<1000))
            try await group.waitForAll()
        }
        // The one that is being taken frees its place before it is counted here.
        #expect(count.ahead.withLock { $0.most } <= 3)
    }

    @Test func `An error comes after the elements before it`() async throws {
        let inFlight = InFlight<Int>(limit: 5)
        inFlight.put(1)
        inFlight.put(2)
        inFlight.finish(Failure())
        #expect(try await inFlight.take() == 1)
        #expect(try await inFlight.take() == 2)
        await #expect(throws: Failure.self) { try await inFlight.take() }
        #expect(await !inFlight.waitForRoom())
    }

    @Test func `A taker that gives up frees the one who waits for room`() async throws {
        let inFlight = InFlight<Int>(limit: 1)
        inFlight.put(1)
        async let hasRoom = inFlight.waitForRoom()
        try await Task.sleep(for: .milliseconds(50))
        inFlight.abandon()
        #expect(await !hasRoom)
        #expect(try await inFlight.take() == nil)
    }
}
