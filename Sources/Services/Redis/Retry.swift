package import System

/// Calls Redis again after temporary failures, with growing pauses, until `limit` is over.
///
/// Use it only for calls that may be carried out twice.
/// - Throws: the last failure.
package func withRetry<Answer>(
    for limit: Duration, backoff: Backoff = Backoff(first: .milliseconds(50), longest: .seconds(2)),
    _ call: () async throws(RedisError) -> Answer
) async throws(RedisError) -> Answer {
    let end = ContinuousClock.now + limit
    var backoff = backoff
    while true {
        do throws(RedisError) {
            return try await call()
        } catch {
            let pause = backoff.next()
            guard error.isTemporary, ContinuousClock.now + pause < end else { throw error }
            guard (try? await Task.sleep(for: pause)) != nil else {
                throw Exchange.cancelled
            }
        }
    }
}
