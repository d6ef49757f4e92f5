import System

/// Represents commands on their way to the server, and the task that waits for their replies.
final class Exchange: Sendable {
    typealias Outcome = Result<[RedisValue], RedisError>

    let bytes: [UInt8]
    let replyCount: Int
    let deadline: Deadline
    private let outcome = Promise<Outcome>()

    init(_ batch: CommandBatch, deadline: Deadline) {
        bytes = batch.bytes
        replyCount = batch.count
        self.deadline = deadline
    }

    /// Is true if no task waits any more; replies that still arrive are discarded.
    var isFinished: Bool { outcome.result != nil }

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
