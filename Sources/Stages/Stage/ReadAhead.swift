import Queue
import Synchronization

/// What has been read and not yet worked on: a reader fills it while the work on what came before is under way.
///
/// The work takes all of it at once: the slower the work, the larger its batches.
final class ReadAhead: Sendable {
    private struct State {
        var items: [Received] = []
        var reads = 0
        var isEnded = false
        var reader: CheckedContinuation<Void, Never>?
        var worker: CheckedContinuation<Void, Never>?
    }

    /// A read is 256 KiB or one line: so much is held besides what is being worked on.
    private static let maxReads = 2

    private let state = Mutex(State())

    /// Adds what was read; waits while there is enough. False: nobody takes it any more.
    func put(_ items: [Received]) async -> Bool {
        let worker = state.withLock { state in
            state.items.append(contentsOf: items)
            state.reads += 1
            return state.worker.take()
        }
        worker?.resume()
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.reads < Self.maxReads || state.isEnded { return true }
                state.reader = continuation
                return false
            }
            if isFree { continuation.resume() }
        }
        return state.withLock { !$0.isEnded }
    }

    /// Everything there is; waits for the first. nil at the end.
    func take() async -> [Received]? {
        await withCheckedContinuation { continuation in
            let isReady = state.withLock { state in
                if !state.items.isEmpty || state.isEnded { return true }
                state.worker = continuation
                return false
            }
            if isReady { continuation.resume() }
        }
        let (items, reader) = state.withLock { state in
            defer { (state.items, state.reads) = ([], 0) }
            return (state.items, state.reader.take())
        }
        reader?.resume()
        return items.isEmpty ? nil : items
    }

    /// No more will be put, or taken.
    func end() {
        let waiting = state.withLock { state in
            state.isEnded = true
            return [state.reader.take(), state.worker.take()]
        }
        for continuation in waiting { continuation?.resume() }
    }
}

extension EventStream {
    /// Runs `work` on everything that is readable, again and again.
    ///
    /// - Throws: the first failure; a reader that waits for input then hears of it by the shutdown.
    func forEachBatch(
        shutdown: Shutdown, sink: QueueSink?, _ work: ([Received]) async throws -> Void
    ) async throws {
        switch source {
        case .lines(let input): try await forEachBatch(of: input, shutdown, work)
        case .queue(let queue):
            let limit = min(EventStream.queueBatch, sink?.outputs.maxLength ?? .max)
            try await queue.keepingLeases {
                while let taken = try await queue.next(limit: limit, isIdle: true) {
                    let batch = try await received(taken.entries, from: queue, to: sink)
                    if !batch.isEmpty { try await work(batch) }
                }
            }
        }
    }

    private static let queueBatch = 512

    /// More is read while the work on what came before is under way.
    private func forEachBatch(
        of input: EventInput, _ shutdown: Shutdown, _ work: ([Received]) async throws -> Void
    ) async throws {
        let ahead = ReadAhead()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { ahead.end() }
                while let items = try await self.next(of: input), await ahead.put(items) {}
            }
            do {
                while let batch = await ahead.take() { try await work(batch) }
            } catch {
                ahead.end()
                shutdown.request()
                throw error
            }
            try await group.waitForAll()
        }
    }
}
