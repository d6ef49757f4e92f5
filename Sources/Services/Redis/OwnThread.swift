import System

/// Runs blocking work on a thread of its own, away from the cooperative pool, and returns its answer.
func onOwnThread<Answer: Sendable>(
    _ work: @escaping @Sendable () throws(RedisError) -> Answer
) async throws(RedisError) -> Answer {
    let result: Result<Answer, RedisError> = await withCheckedContinuation { continuation in
        BlockingThread.start { continuation.resume(returning: Result(catching: work)) }
    }
    return try result.get()
}
