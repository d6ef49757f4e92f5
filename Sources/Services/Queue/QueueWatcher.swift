import JSON
package import Redis
import Synchronization

/// Reads the events that come into a queue and takes none of them: it belongs to no group.
package final class QueueWatcher: Sendable {
    private static let most: Int64 = 500

    private let queue: QueueName
    private let redis: Redis
    /// The id of the last entry that was seen; nil before the first look.
    private let last: Mutex<String?>

    /// - Parameters:
    ///   - redis: a connection of its own, since reading waits in the server.
    ///   - fromStart: whether the events that are there already are read first.
    package init(_ queue: QueueName, redis: Redis, fromStart: Bool) {
        (self.queue, self.redis) = (queue, redis)
        last = Mutex(fromStart ? "0-0" : nil)
    }

    /// Returns the lines of the next entries, without line feeds; waits for the first. An entry of another program without a line is
    /// left out.
    ///
    /// - Parameter limit: the longest wait, after which there are none.
    package func next(atMost limit: Duration) async throws -> [[UInt8]] {
        let start = try await start()
        let answer: RedisValue
        do throws(RedisError) {
            answer = try await redis.send(
                [
                    "XREAD", "COUNT", .integer(QueueWatcher.most), "BLOCK", .integer(max(1, limit.milliseconds)),
                    "STREAMS",
                    .text(queue.streamKey), .text(start),
                ], timeout: limit + .seconds(5))
        } catch {
            throw queue.explained(error)
        }
        let entries = answer.array?.first?.array?.last?.array ?? []
        var lines: [[UInt8]] = []
        for entry in entries {
            guard let parts = entry.array, parts.count == 2, let id = parts[0].string else { continue }
            last.withLock { $0 = id }
            let fields = parts[1].array ?? []
            for index in stride(from: 0, to: fields.count - 1, by: 2) where fields[index].string == "e" {
                // Another program can add a line with line feeds, which would be several.
                guard case .bytes(let line) = fields[index + 1], !line.contains(UInt8(ascii: "\n")) else { continue }
                lines.append(line)
            }
        }
        return lines
    }

    /// Returns the id behind which to read. Without one, it is that of the newest entry at the first look: `$` would miss what comes
    /// between two looks.
    private func start() async throws -> String {
        if let known = last.withLock({ $0 }) { return known }
        let newest: RedisValue
        do throws(RedisError) {
            newest = try await redis.send("XREVRANGE", .text(queue.streamKey), "+", "-", "COUNT", 1)
        } catch {
            throw queue.explained(error)
        }
        let id = newest.array?.first?.array?.first?.string ?? "0-0"
        last.withLock { $0 = $0 ?? id }
        return id
    }
}
