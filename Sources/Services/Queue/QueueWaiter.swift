package import Redis

/// `queue/NAME/GROUP/ENTRY`: an event of a queue that waits for something.
package struct QueueWaiter: Sendable {
    let queue: String
    let group: String
    let id: String

    init(queue: String, group: String, id: String) { (self.queue, self.group, self.id) = (queue, group, id) }

    /// nil for one that is in no queue.
    package init?(_ waiter: Waiter) {
        let words = waiter.rawValue.split(separator: "/").map(String.init)
        guard words.count == 4, words[0] == "queue" else { return nil }
        self.init(queue: words[1], group: words[2], id: words[3])
    }

    var waiter: Waiter { Waiter(rawValue: "queue/\(queue)/\(group)/\(id)") }

    /// Has entries taken again that are held, or will be when who works on them holds them; the others are left alone. May be repeated.
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
                    // The queue was purged, and those who waited with it.
                } catch {
                    throw group.queue.explained(error)
                }
            }
        }
    }
}
