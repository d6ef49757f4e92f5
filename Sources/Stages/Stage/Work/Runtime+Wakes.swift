import Logging
import Queue
package import Redis
import Synchronization
import System

extension Runtime {
    /// Wakes held events so that they are handled again, in whichever process holds them. Waiters whose events are no
    /// longer held are ignored.
    package func wake(_ waiters: [Waiter]) async throws {
        var here: [Int] = []
        var elsewhere: [String: [RedisArgument]] = [:]
        var queued: [QueueWaiter] = []
        for waiter in waiters {
            if let waiter = QueueWaiter(waiter) { queued.append(waiter) }
            guard let event = PipeWaiter(waiter) else { continue }
            if event.process == ProcessName.own {
                here.append(event.number)
            } else {
                elsewhere[event.process, default: []].append(.integer(Int64(event.number)))
            }
        }
        if !here.isEmpty { workList.withLock { $0 }?.wake(here) }
        for (process, numbers) in elsewhere { try await wake(numbers, of: process) }
        guard !queued.isEmpty else { return }
        let redis = try await redis()
        try await untilRedisAnswers { try await QueueWaiter.wake(queued, redis: redis) }
    }

    /// Returns the name under which other processes may wake an event that this process read from a pipe.
    static func waiter(number: Int) -> Waiter { PipeWaiter(process: ProcessName.own, number: number).waiter }

    private func wake(_ numbers: [RedisArgument], of process: String) async throws {
        let key = RedisArgument.text(Self.wakeKey(process))
        _ = try await untilRedisAnswers { redis throws(RedisError) in
            try await redis.transaction([["RPUSH", key] + numbers, ["EXPIRE", key, 3600]])
        }
    }

    private static func wakeKey(_ process: String) -> String { "tgpipe:wake:\(process)" }

    /// Takes the wakes that other processes send, for as long as this process holds events.
    ///
    /// Without Redis, held events are handled again when their time is over.
    func listenForWakes(of list: WorkList) async {
        var connection: Redis?
        var backoff = Backoff()
        while await list.waitUntilHeld(), !Task.isCancelled {
            do {
                let redis = if let connection { connection } else { try await separateRedis() }
                connection = redis
                let key = RedisArgument.text(Self.wakeKey(ProcessName.own))
                let first = try await redis.send(["BLPOP", key, 10], timeout: .seconds(15)).array?.last?.int
                let rest = try await redis.transaction([["LRANGE", key, 0, -1], ["DEL", key]])
                list.wake(([first] + (rest.first?.array ?? []).map(\.int)).compactMap { $0.map(Int.init) })
                backoff.reset()
            } catch {
                log.debug("unable to receive wakes: \(error)")
                try? await Task.sleep(for: backoff.next())
            }
        }
    }
}

/// Names an event that a process read from a pipe: `pipe/PROCESS/NUMBER`.
private struct PipeWaiter {
    let process: String
    let number: Int

    init(process: String, number: Int) { (self.process, self.number) = (process, number) }

    init?(_ waiter: Waiter) {
        let words = waiter.rawValue.split(separator: "/")
        guard words.count == 3, words[0] == "pipe", let number = Int(words[2]) else { return nil }
        self.init(process: String(words[1]), number: number)
    }

    var waiter: Waiter { Waiter(rawValue: "pipe/\(process)/\(number)") }
}
