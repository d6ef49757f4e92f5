public import Envelope
public import Queue

/// A queue as the input of a stage that keeps its own loop: entries out, each acknowledged when it may be forgotten.
public struct QueueFeed: Sendable {
    private let source: QueueSource
    private let runtime: Runtime

    /// - Returns: nil when the input is no queue.
    /// - Throws: what is wrong with Redis, the queue or the group's name.
    public init?(_ options: InputOptions, runtime: Runtime) async throws {
        guard let queue = try QueueName(endpoint: options.from) else { return nil }
        source = try await QueueSource(queue, options: options.queue, runtime: runtime)
        self.runtime = runtime
    }

    /// Calls `body` with entries until the shutdown is requested, keeping their leases meanwhile. Those that `body` does not finish
    /// are given back.
    public func forEach(most: Int, _ body: ([TakenEntry]) async throws -> Void) async throws {
        try await source.keepingLeases {
            while let taken = try await source.next(limit: most, isIdle: true) {
                if !taken.entries.isEmpty { try await body(taken.entries) }
            }
        }
    }

    /// Acknowledges entries: whatever came of them will outlive this process.
    public func finish(_ entries: [TakenEntry]) async throws {
        guard !entries.isEmpty else { return }
        try await source.finish(entries.map { QueueResult($0.entry) })
    }

    /// Puts an entry to the dead letters of its queue.
    public func bury(_ entry: TakenEntry, _ fault: MalformedInput) async throws {
        try await source.bury(entry.entry, Burial(code: fault.code.rawValue, reason: fault.reason), to: nil)
    }
}
