import Synchronization
import TestSupport
import Testing

@testable import media_fetch

@Suite(.timeLimit(.minutes(1))) struct FetchPlacesTests {
    @Test func `At most the allowed number runs at once, in order of arrival`() async throws {
        let places = FetchPlaces(2)
        let gate = Gate()
        let running = Noted(0)
        let most = Noted(0)
        let order = Noted<[String]>([])
        let queued = Noted(0)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<6 {
                group.addTask {
                    _ = try await places.run(onWait: { queued.withLock { $0 += 1 } }) {
                        let now = running.withLock { running in
                            running += 1
                            return running
                        }
                        most.withLock { $0 = max($0, now) }
                        order.withLock { $0.append("\(number)") }
                        await gate.wait()
                        running.withLock { $0 -= 1 }
                    }
                }
                // The next fetch arrives only after this one runs or waits.
                #expect(try await eventually { order.withLock { $0.count } + queued.withLock { $0 } == number + 1 })
            }
            #expect(order.withLock { $0 } == ["0", "1"])
            gate.open()
            try await group.waitForAll()
        }
        #expect(most.withLock { $0 } == 2)
        #expect(order.withLock { $0.count } == 6)
    }

    @Test func `One user's fetches leave places to others, and users take turns`() async throws {
        let places = FetchPlaces(2, maxPerUser: 1)
        let gates = (0..<6).map { _ in Gate() }
        let order = Noted<[String]>([])
        let queued = Noted(0)
        try await withThrowingTaskGroup(of: Void.self) { group in
            // Ann asks four times, then Bob twice.
            for (number, user) in [1, 1, 1, 1, 2, 2].enumerated() {
                group.addTask {
                    try await places.run(for: Int64(user), onWait: { queued.withLock { $0 += 1 } }) {
                        order.withLock { $0.append("\(user)") }
                        await gates[number].wait()
                    }
                }
                #expect(try await eventually { order.withLock { $0.count } + queued.withLock { $0 } == number + 1 })
            }
            // Bob's first request runs although three of Ann's came earlier.
            #expect(order.withLock { $0 } == ["1", "2"])
            for gate in gates { gate.open() }
            try await group.waitForAll()
        }
        #expect(order.withLock { $0.count } == 6)
    }

    @Test func `With one place, a user with one request waits for one request of another user only`() async throws {
        let places = FetchPlaces(1)
        let gate = Gate()
        let order = Noted<[Int]>([])
        let queued = Noted(0)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (number, user) in [1, 1, 1, 1, 2].enumerated() {
                group.addTask {
                    try await places.run(for: Int64(user), onWait: { queued.withLock { $0 += 1 } }) {
                        order.withLock { $0.append(user) }
                        await gate.wait()
                    }
                }
                #expect(try await eventually { order.withLock { $0.count } + queued.withLock { $0 } == number + 1 })
            }
            gate.open()
            try await group.waitForAll()
        }
        #expect(order.withLock { $0 } == [1, 2, 1, 1, 1])
    }

    @Test func `A cancelled wait leaves the line`() async throws {
        let places = FetchPlaces(1)
        let gate = Gate()
        let queued = Noted(0)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                _ = try await places.run(onWait: {}) {
                    await gate.wait()
                }
            }
            #expect(try await eventually { gate.isWaitedFor })
            let cancelled = Task {
                try await places.run(onWait: { queued.withLock { $0 += 1 } }) {}
            }
            #expect(try await eventually { queued.withLock { $0 } == 1 })
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            gate.open()
            try await group.waitForAll()
        }
        #expect(try await places.run(onWait: {}) { true })
    }
}

/// Holds a value that tasks share.
private final class Noted<Value: Sendable>: Sendable {
    private let value: Mutex<Value>

    init(_ value: Value) { self.value = Mutex(value) }

    func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result { value.withLock { body(&$0) } }
}

/// Blocks the tasks that wait until it is opened.
private final class Gate: Sendable {
    private let state = Mutex<(isOpen: Bool, waiting: [CheckedContinuation<Void, Never>])>((false, []))

    var isWaitedFor: Bool { state.withLock { !$0.waiting.isEmpty } }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiting.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }

    func open() {
        let waiting = state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }
}
