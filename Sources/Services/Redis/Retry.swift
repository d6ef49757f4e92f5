/// Calls again after temporary failures, with growing pauses, until `limit` is over. Only for what may be done twice.
///
/// Pauses start at `firstPause`, double up to `longestPause`, and vary at random by half, so that many tools do not come
/// back in step.
/// - Throws: the last failure.
package func withRetry<Answer>(
    for limit: Duration, firstPause: Duration = .milliseconds(50), longestPause: Duration = .seconds(2),
    _ call: () async throws(RedisError) -> Answer
) async throws(RedisError) -> Answer {
    let end = ContinuousClock.now + limit
    var pause = firstPause
    while true {
        do throws(RedisError) {
            return try await call()
        } catch {
            let wait = pause * Double.random(in: 0.5...1)
            guard error.isTemporary, ContinuousClock.now + wait < end else { throw error }
            guard (try? await Task.sleep(for: wait)) != nil else {
                throw RedisError(.cancelled, "the wait for Redis was cancelled")
            }
            pause = min(pause * 2, longestPause)
        }
    }
}
