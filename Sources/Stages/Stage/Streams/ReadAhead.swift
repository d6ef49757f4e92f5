import JSON
import Queue
import Synchronization

/// Holds lines between a reader and the work on them, so that both run at the same time.
///
/// The work takes all lines at once: the slower the work, the larger its batches.
final class ReadAhead: Sendable {
    private struct State {
        var items: [Received] = []
        var bytes = 0
        var isEnded = false
        var reader: CheckedContinuation<Void, Never>?
        var worker: CheckedContinuation<Void, Never>?
    }

    /// The number of bytes after which no further read is taken, besides the batch in work. A read is at most 256 KiB or one line. Larger
    /// batches ask Redis less often, and once for all events of one key.
    private static let maxBytes = 5 * 256 << 10

    private let state = Mutex(State())

    /// Adds the lines of one read, and waits while enough are held.
    ///
    /// - Returns: false after `end`: no more lines are taken.
    func put(_ items: [Received]) async -> Bool {
        let worker = state.withLock { state in
            state.items.append(contentsOf: items)
            state.bytes += items.reduce(0) { $0 + $1.incoming.line.range.count }
            return state.worker.take()
        }
        worker?.resume()
        await withCheckedContinuation { continuation in
            let isFree = state.withLock { state in
                if state.bytes < Self.maxBytes || state.isEnded { return true }
                state.reader = continuation
                return false
            }
            if isFree { continuation.resume() }
        }
        return state.withLock { !$0.isEnded }
    }

    /// Takes all lines; waits for the first. Returns nil at the end.
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
            defer { (state.items, state.bytes) = ([], 0) }
            return (state.items, state.reader.take())
        }
        reader?.resume()
        return items.isEmpty ? nil : items
    }

    /// Ends both sides: no more lines are put or taken.
    func end() {
        let waiting = state.withLock { state in
            state.isEnded = true
            return [state.reader.take(), state.worker.take()]
        }
        for continuation in waiting { continuation?.resume() }
    }
}

extension EventStream {
    /// Runs `work` on batch after batch of the lines that are readable.
    ///
    /// - Throws: the first failure, which also requests the shutdown, to end the reader's wait for input.
    func forEachBatch(
        shutdown: Shutdown, output: EventOutput, _ work: ([Received]) async throws -> Void
    ) async throws {
        switch source {
        case .lines(let input): try await forEachBatch(of: input, shutdown, work)
        case .queue(let queue):
            let limit = min(EventStream.queueBatch, output.sink?.outputs.maxLength ?? .max)
            try await queue.keepingLeases {
                while let taken = try await queue.next(limit: limit, isIdle: true) {
                    let batch = try await received(taken.entries, from: queue, to: output) { _, _ in [] }
                    if !batch.isEmpty { try await work(batch) }
                }
            }
        }
    }

    /// Asks about batch after batch of the lines that are readable, and finishes each with the answer, in order.
    ///
    /// With a queue as input, the answer to one batch is awaited before the next one is taken.
    /// - Parameters:
    ///   - ask: asks about one batch at a time.
    ///   - finish: waits for the answer and writes the results. It may run while later batches are asked about.
    /// - Throws: the first failure, after the batches that were asked about before it have been finished.
    func forEachBatch<Asked: Sendable>(
        shutdown: Shutdown, output: EventOutput, asking ask: @escaping @Sendable ([Received]) async throws -> Asked,
        _ finish: ([Received], Asked) async throws -> Void
    ) async throws {
        guard case .lines(let input) = source else {
            return try await forEachBatch(shutdown: shutdown, output: output) { batch in
                try await finish(batch, try await ask(batch))
            }
        }
        let ahead = ReadAhead()
        let inFlight = InFlight<(batch: [Received], asked: Asked)>(limit: EventStream.batchesInFlight)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { ahead.end() }
                while let items = try await self.next(of: input), await ahead.put(items) {}
            }
            group.addTask {
                do {
                    // While there is no room, the next batch grows.
                    while await inFlight.waitForRoom(), let batch = await ahead.take() {
                        inFlight.put((batch, try await ask(batch)))
                    }
                    inFlight.finish()
                } catch {
                    inFlight.finish(error)
                }
            }
            do {
                while let (batch, asked) = try await inFlight.take() { try await finish(batch, asked) }
            } catch {
                inFlight.abandon()
                ahead.end()
                shutdown.request()
                throw error
            }
            try await group.waitForAll()
        }
    }

    private static let queueBatch = 512
    /// The number of batches that wait for their answer, besides the one whose answer is awaited.
    private static let batchesInFlight = 1

    /// Reads the next batch while a batch is in work.
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
