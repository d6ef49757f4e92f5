import JSON

/// Represents a lock with a time limit, which its holder renews.
///
/// Each holder has a fencing token, larger than the tokens of all earlier holders, also after Redis lost its data. The token of a holder
/// that was followed by another, or that released the lock, is void.
package struct Lease: Sendable {
    package let token: Int64
    /// The duration of the lease from its last renewal.
    package let duration: Duration
    let redis: Redis
    let keys: InterestKeys
    let holder: String

    /// Extends the lease by its whole duration from now.
    ///
    /// - Returns: false if another holder has the lease, or had it.
    package func renew() async throws(RedisError) -> Bool {
        let reply = try await redis.run(
            InterestScripts.renew, keys: [keys.owner, keys.token],
            arguments: [.integer(token), .text(holder), .integer(duration.milliseconds)])
        return reply.int == 1
    }

    /// Runs `work` and renews the lease until it ends; cancels `work` if the lease is lost.
    ///
    /// While Redis does not answer, the work goes on; `complete` refuses its result if the lease was lost.
    /// - Returns: nil if the lease was lost.
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
            // No renewal may be in progress when the lock is released.
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
