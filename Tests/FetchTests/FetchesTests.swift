import Envelope
import Media
import Synchronization
import TestSupport
import Testing

@testable import media_fetch

@Suite(.timeLimit(.minutes(1))) struct FetchesTests {
    private struct Refused: Error {}

    private func media(_ key: String) throws -> FetchedMedia {
        try #require(
            FetchedMedia(payload: [
                "kind": "video", "key": .string(key), "path": "/nowhere", "size_bytes": 1, "sha256": "0",
                "content_type": "video/mp4", "file_name": "a.mp4", "source_url": "https://example.com/a",
                "normalized_url": "https://example.com/a", "domain": "example.com",
                "fetched_at": .string(Timestamp.now.description),
            ]))
    }

    @Test func oneSourceAskedForTwiceIsFetchedOnce() async throws {
        let fetches = Fetches(atOnce: 2)
        let started = Noted(0)
        let gate = Gate()
        let waiting = Noted<[MediaProgress.State]>([])
        try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<5 {
                group.addTask {
                    try await fetches.fetch("one", onWait: { state in waiting.withLock { $0.append(state) } }) {
                        started.withLock { $0 += 1 }
                        await gate.wait()
                        return try media("one")
                    }.key
                }
            }
            #expect(try await eventually { waiting.withLock { $0.count } == 4 })
            gate.open()
            for try await key in group { #expect(key == "one") }
        }
        #expect(started.withLock { $0 } == 1)
        #expect(waiting.withLock { $0 } == [.waiting, .waiting, .waiting, .waiting])
    }

    @Test func aFailureIsTheFailureOfAllWhoAskedForIt() async throws {
        let fetches = Fetches(atOnce: 1)
        let gate = Gate()
        let waiting = Noted(0)
        let failures = try await withThrowingTaskGroup(of: Bool.self) { group in
            for _ in 0..<3 {
                group.addTask {
                    do {
                        _ = try await fetches.fetch("one", onWait: { _ in waiting.withLock { $0 += 1 } }) {
                            await gate.wait()
                            throw Refused()
                        }
                        return false
                    } catch is Refused { return true }
                }
            }
            #expect(try await eventually { waiting.withLock { $0 } == 2 })
            gate.open()
            return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(failures == 3)
        // It is forgotten then: who asks later is a new attempt.
        #expect(try await fetches.fetch("one", onWait: { _ in }) { try media("one") }.key == "one")
    }

    @Test func noMoreRunAtOnceThanMayAndTheFirstToComeIsTheFirstToGo() async throws {
        let fetches = Fetches(atOnce: 2)
        let gate = Gate()
        let running = Noted(0)
        let most = Noted(0)
        let order = Noted<[String]>([])
        let queued = Noted(0)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for number in 0..<6 {
                group.addTask {
                    _ = try await fetches.fetch("\(number)", onWait: { _ in queued.withLock { $0 += 1 } }) {
                        let now = running.withLock { running in
                            running += 1
                            return running
                        }
                        most.withLock { $0 = max($0, now) }
                        order.withLock { $0.append("\(number)") }
                        await gate.wait()
                        running.withLock { $0 -= 1 }
                        return try media("\(number)")
                    }
                }
                // Each in its place before the next one comes.
                #expect(try await eventually { order.withLock { $0.count } + queued.withLock { $0 } == number + 1 })
            }
            #expect(order.withLock { $0 } == ["0", "1"])
            gate.open()
            try await group.waitForAll()
        }
        #expect(most.withLock { $0 } == 2)
        #expect(order.withLock { $0.count } == 6)
    }

    @Test func aWaitThatIsCancelledGivesUpItsPlaceInTheLine() async throws {
        let fetches = Fetches(atOnce: 1)
        let gate = Gate()
        let queued = Noted(0)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                _ = try await fetches.fetch("first", onWait: { _ in }) {
                    await gate.wait()
                    return try media("first")
                }
            }
            #expect(try await eventually { gate.isWaitedFor })
            let cancelled = Task {
                try await fetches.fetch("second", onWait: { _ in queued.withLock { $0 += 1 } }) { try media("second") }
            }
            #expect(try await eventually { queued.withLock { $0 } == 1 })
            cancelled.cancel()
            await #expect(throws: CancellationError.self) { try await cancelled.value }
            gate.open()
            try await group.waitForAll()
        }
        #expect(try await fetches.fetch("third", onWait: { _ in }) { try media("third") }.key == "third")
    }
}

/// A value that tasks share.
private final class Noted<Value: Sendable>: Sendable {
    private let value: Mutex<Value>

    init(_ value: Value) { self.value = Mutex(value) }

    func withLock<Result: Sendable>(_ body: (inout Value) -> Result) -> Result { value.withLock { body(&$0) } }
}

/// Holds up those who wait until it is opened.
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
