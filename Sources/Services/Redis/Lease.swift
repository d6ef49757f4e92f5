/// A lock that ends by itself: its holder renews it, and learns when it has lost it.
///
/// Each holder has a fencing token, larger than those of all before it, also after Redis lost its data. Whoever was
/// followed by another holder, or has given the lock back, can do nothing with its own any more.
package struct Lease: Sendable {
    package let token: Int64
    /// How long it lasts from its last renewal.
    package let duration: Duration
    let redis: Redis
    let keys: InterestKeys
    let holder: String

    /// Makes it last its whole duration again.
    ///
    /// - Returns: false when somebody else has it, or had it.
    package func renew() async throws(RedisError) -> Bool {
        let reply = try await redis.run(
            InterestScripts.renew, keys: [keys.owner, keys.token],
            arguments: [.integer(token), .text(holder), .integer(duration.wholeMilliseconds)])
        return reply.int == 1
    }

    /// Runs `work`, and renews the lease meanwhile; when it is lost, `work` is cancelled.
    ///
    /// While Redis does not answer, the work goes on: what it comes to is refused at the end if the lease was lost.
    /// - Returns: nil when the lease was lost.
    package func holding<Value: Sendable>(_ work: @escaping @Sendable () async throws -> Value) async throws -> Value? {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await work() }
            group.addTask {
                await renewUntilLost()
                return nil
            }
            defer { group.cancelAll() }
            let first = try await group.next() ?? nil
            group.cancelAll()
            // Nothing of a renewal may be under way when the lock is given back.
            while (try? await group.next()) != nil {}
            try Task.checkCancellation()
            return first
        }
    }

    private func renewUntilLost() async {
        while (try? await Task.sleep(for: duration / 3)) != nil {
            if (try? await renew()) == false { return }
        }
    }
}
