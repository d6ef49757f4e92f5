import Logging
package import Queue
import Redis
import Synchronization
import System

/// Queues as a stage's output: they are waited for while they are full, and while Redis is away.
package final class QueueSink: Sendable {
    package let outputs: QueueOutputs
    private let runtime: Runtime
    private let publisher: QueuePublisher

    /// - Throws: what is wrong with Redis or a queue.
    package init(_ queues: [QueueName], maxLength: Int, runtime: Runtime) async throws {
        outputs = QueueOutputs(queues, maxLength: maxLength)
        self.runtime = runtime
        let publisher = QueuePublisher(outputs, redis: try await runtime.redis(), name: ProcessName.unique())
        self.publisher = publisher
        try await runtime.atStart { try await publisher.open() }
        await runtime.warnOfForgetfulRedis()
    }

    /// Returns when the queues have the lines, each in the order given; the keys are set together with the last of them.
    package func publish(_ lines: [QueueLine], setting: [(key: String, value: String)] = []) async throws {
        for part in lines.publications(of: min(1000, outputs.maxLength)) {
            let publication = publisher.begin()
            defer { publisher.end(publication) }
            let isLast = part.endIndex == lines.endIndex
            try await runtime.untilThereIsRoom(in: outputs.description) {
                try await publisher.publish(Array(part), setting: isLast ? setting : [], as: publication) ? () : nil
            }
        }
    }
}

extension [QueueLine] {
    /// Parts that Redis can take in one step without making others wait for long.
    fileprivate func publications(of limit: Int) -> [ArraySlice<QueueLine>] {
        var parts: [ArraySlice<QueueLine>] = []
        var start = 0
        var bytes = 0
        for (index, line) in enumerated() {
            bytes += line.bytes.count
            guard bytes >= 1 << 20 || index + 1 - start >= limit else { continue }
            parts.append(self[start...index])
            (start, bytes) = (index + 1, 0)
        }
        if start < count { parts.append(self[start...]) }
        return parts
    }
}

extension Runtime {
    /// Tries until queues have room, which their readers make; a shutdown does not end it, because what is in flight is to go out.
    ///
    /// - Parameter attempt: nil when there was no room.
    package func untilThereIsRoom<Answer>(
        in place: String, _ attempt: () async throws -> Answer?
    ) async throws -> Answer {
        var backoff = Backoff(first: .milliseconds(20), longest: .seconds(1))
        var nextNote = ContinuousClock.now
        while true {
            if let answer = try await patiently(attempt) { return answer }
            if nextNote <= .now {
                log.warning("\(place): full; waiting for room")
                nextNote = .now + .seconds(60)
            }
            try await Task.sleep(for: backoff.next())
        }
    }

    /// Says what of Redis's settings loses queues; once a tool.
    func warnOfForgetfulRedis() async {
        guard !hasWarned.exchange(true, ordering: .relaxed) else { return }
        guard let redis = try? await redis(), let info = try? await redis.send("INFO").string else { return }
        let facts = Dictionary(
            info.utf8.split(whereSeparator: { $0 == 10 || $0 == 13 }).compactMap { line -> (String, String)? in
                let words = line.split(separator: UInt8(ascii: ":"), maxSplits: 1)
                guard words.count == 2 else { return nil }
                return (String(decoding: words[0], as: UTF8.self), String(decoding: words[1], as: UTF8.self))
            }, uniquingKeysWith: { $1 })
        if let policy = facts["maxmemory_policy"], policy != "noeviction" {
            log.warning(
                "Redis may throw queues away when its memory is full: its maxmemory-policy is \(policy); set it to noeviction"
            )
        }
        if facts["aof_enabled"] == "0" {
            log.notice("Redis keeps no append-only file: queued events do not survive its crash; set appendonly yes")
        }
    }
}
