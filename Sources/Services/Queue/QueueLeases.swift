package import Redis
import Synchronization

/// What a worker does about the leases that it has.
extension QueueConsumer {
    /// Gives entries back, as if they had not been taken.
    package func release(_ entries: [QueueEntry]) async throws {
        for start in stride(from: 0, to: entries.count, by: 1000) {
            let part = entries[start..<min(start + 1000, entries.count)]
            _ = try await run(QueueScripts.release, QueueConsumer.words(of: part))
            forget(Array(part))
        }
    }

    /// Gives back all that was not finished, and leaves the group.
    package func close() async throws {
        try await release(leases.withLock { $0.map { QueueEntry(id: $0.key, attempt: $0.value) } })
        _ = try await run(QueueScripts.trim, [])
        _ = try await run(QueueScripts.leave, [])
    }

    /// Keeps the leases of all that is being worked on; to be called several times a lease.
    ///
    /// - Returns: those that are lost; others may have taken them.
    package func renew() async throws -> [QueueEntry] {
        let lost = try await confirm(leases.withLock { $0.map { QueueEntry(id: $0.key, attempt: $0.value) } })
        // What was finished meanwhile is no loss.
        let news = leases.withLock { leases in lost.filter { leases[$0.id] == $0.attempt } }
        forget(news)
        return news
    }

    /// Keeps the leases of some entries.
    ///
    /// - Returns: those that this worker does not have, or no longer.
    package func confirm(_ entries: [QueueEntry]) async throws -> [QueueEntry] {
        var lost: Set<String> = []
        for start in stride(from: 0, to: entries.count, by: 1000) {
            let part = entries[start..<min(start + 1000, entries.count)]
            let answer = try await run(
                QueueScripts.renew, [.integer(settings.lease.wholeMilliseconds)] + QueueConsumer.words(of: part))
            guard let ids = answer.array else { throw unexpected() }
            lost.formUnion(ids.compactMap(\.string))
        }
        return entries.filter { lost.contains($0.id) }
    }

    private static func words(of entries: some Sequence<QueueEntry>) -> [RedisArgument] {
        entries.flatMap { [.text($0.id), .integer(Int64($0.attempt))] }
    }

    /// The entry as one who waits.
    package func waiter(of entry: QueueEntry) -> Waiter {
        QueueWaiter(queue: queue.text, group: group.name, id: entry.id).waiter
    }
}
