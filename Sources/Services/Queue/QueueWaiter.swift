package import Redis

/// Names an event of a queue that waits for something: `queue/NAME/GROUP/ENTRY`.
package struct QueueWaiter: Sendable {
    let queue: String
    let group: String
    let id: String

    init(queue: String, group: String, id: String) { (self.queue, self.group, self.id) = (queue, group, id) }

    /// Reads a waiter's name; returns nil if its event is not in a queue.
    package init?(_ waiter: Waiter) {
        let words = waiter.rawValue.split(separator: "/").map(String.init)
        guard words.count == 4, words[0] == "queue" else { return nil }
        self.init(queue: words[1], group: words[2], id: words[3])
    }

    var waiter: Waiter { Waiter(rawValue: "queue/\(queue)/\(group)/\(id)") }

    /// Makes entries due that are held, or that are in work and will be held. Other entries are left alone. May be repeated.
    package static func wake(_ waiters: [QueueWaiter], redis: Redis) async throws {
        let groups = Dictionary(grouping: waiters) { "\($0.queue)/\($0.group)" }
        for waiters in groups.values {
            guard let first = waiters.first else { continue }
            let group = try QueueGroup(QueueName(first.queue), first.group)
            for start in stride(from: 0, to: waiters.count, by: 1000) {
                let ids = waiters[start..<min(start + 1000, waiters.count)].map { RedisArgument.text($0.id) }
                do throws(RedisError) {
                    _ = try await redis.run(
                        QueueScripts.wake, keys: group.keys, arguments: [.text(group.name), ""] + ids)
                } catch  where error.message.contains("NOGROUP") {
                    // The queue was purged, and its waiting events with it.
                } catch {
                    throw group.queue.explained(error)
                }
            }
        }
    }
}
