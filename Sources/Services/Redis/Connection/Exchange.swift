import Glibc
import Synchronization
import System

/// Represents commands on their way to the server, and the task that waits for their replies.
final class Exchange: Sendable {
    typealias Outcome = Result<[RedisValue], RedisError>

    let bytes: [UInt8]
    let replyCount: Int
    let deadline: Deadline
    /// How many replicas must have the writes; 0 if none was asked for. The last reply tells how many have them.
    let replicas: Int64
    private let sent = Atomic(0)
    private let outcome = Promise<Outcome>()

    init(_ batch: CommandBatch, deadline: Deadline, replicas: Int64 = 0) {
        self.replicas = replicas
        bytes = batch.bytes
        replyCount = batch.count
        self.deadline = deadline
    }

    /// Is true if no task waits any more; replies that still arrive are discarded.
    var isFinished: Bool { outcome.result != nil }

    /// The number of bytes that a task has sent before the connection's thread took the exchange; see `Lane`.
    var alreadySent: Int { sent.load(ordering: .relaxed) }

    func noteSent(_ count: Int) { sent.store(count, ordering: .relaxed) }

    /// Sets the outcome. Only the first call has an effect.
    func finish(_ outcome: Outcome) { self.outcome.fulfil(.success(outcome)) }

    /// Waits for the replies.
    ///
    /// - Throws: `RedisError`, `cancelled` if the task is cancelled; the exchange is then finished.
    func replies() async throws(RedisError) -> [RedisValue] {
        let result: Outcome
        do {
            result = try await outcome.value()
        } catch {
            result = .failure(Exchange.cancelled)
            finish(result)
        }
        return try result.get()
    }

    static var cancelled: RedisError { RedisError(.cancelled, "the wait for Redis was cancelled") }
}

/// Represents the end of a wait on the monotonic clock.
struct Deadline: Sendable, Comparable {
    private let nanoseconds: Int64

    static let never = Deadline(nanoseconds: .max)

    private init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    static func after(_ duration: Duration) -> Deadline {
        let (seconds, attoseconds) = duration.components
        let (wait, tooLong) = max(seconds, 0).multipliedReportingOverflow(by: 1_000_000_000)
        let (point, overflow) = wait.addingReportingOverflow(now + max(attoseconds, 0) / 1_000_000_000)
        return tooLong || overflow ? .never : Deadline(nanoseconds: point)
    }

    var hasPassed: Bool { Self.now >= nanoseconds }

    var remaining: Duration { .nanoseconds(max(0, nanoseconds - Self.now)) }

    /// The remaining time in ms for `poll`, rounded up; -1 for no limit.
    var pollTimeout: Int32 {
        guard self != .never else { return -1 }
        let rest = max(0, nanoseconds - Self.now)
        return Int32(clamping: rest / 1_000_000 + (rest % 1_000_000 == 0 ? 0 : 1))
    }

    static func < (a: Deadline, b: Deadline) -> Bool { a.nanoseconds < b.nanoseconds }

    private static var now: Int64 { SystemClocks.monotonicNanoseconds }
}
