import JSON
package import Queue
package import Redis

/// Tells which queues the live stages read and write, as their heartbeats say, so that a queue without one of its ends is noticed: a
/// misspelled name makes two such queues.
package struct QueueUsers: Sendable {
    private var readers: Set<String> = []
    private var writers: Set<String> = []

    init(_ heartbeats: [Heartbeat]) {
        for beat in heartbeats {
            readers.formUnion(beat.from.filter { $0.kind == .queue }.map(\.name))
            writers.formUnion(beat.to.filter { $0.kind == .queue }.map(\.name))
        }
    }

    /// Reads the heartbeats of all live stages with this Redis.
    package static func read(_ redis: Redis) async throws -> QueueUsers {
        let entries = try await HeartbeatStore(redis).entries()
        return QueueUsers(
            entries.compactMap { entry in entry.value.flatMap { try? JSON(parsing: $0) }.flatMap { Heartbeat($0) } })
    }

    /// Returns the warning about a queue that nobody reads, or that nobody has ever written; nil for a queue in use.
    ///
    /// - Parameters:
    ///   - events: the number of unfinished events.
    ///   - wasUsed: whether there has been an event in the queue.
    package func warning(of queue: QueueName, events: Int, wasUsed: Bool) -> String? {
        let name = queue.text
        if events > 0, !readers.contains(name) {
            return
                "no running stage reads \(queue), in which \(events == 1 ? "one event waits" : "\(events) events wait")"
        }
        guard !wasUsed, readers.contains(name), !writers.contains(name) else { return nil }
        return "no running stage writes to \(queue), from which others read, and there has never been an event in it"
    }
}
