import System

/// Provides a Redis server of the user's own, for machines without a configured one.
package enum PrivateRedis {
    /// Returns the address of the configured server, or of a private server, which is started if it is not running.
    ///
    /// The private server listens on `<state>/redis/redis.sock` only, keeps its data in that folder (append-only file,
    /// written to disk every second), and outlives the tool; `redis-cli -s <state>/redis/redis.sock shutdown` ends it.
    /// Tools that start at the same time start one server between them.
    /// - Parameter environment: the value of `TGPIPE_REDIS`; nil or empty for the private server.
    package static func address(
        environment: String?, stateDirectory: String
    ) async throws(RedisError) -> RedisAddress {
        if let environment, !environment.isEmpty { return try RedisAddress(parsing: environment) }
        let server = try PrivateServer(stateDirectory: stateDirectory)
        return try await BlockingThread.once { () throws(RedisError) in try server.running(until: startDeadline) }
    }

    /// Opens a connection to the server of `address`. A private server that dies is started again.
    package static func connection(
        environment: String?, stateDirectory: String, clientName: String,
        connectTimeout: Duration = .seconds(5), commandTimeout: Duration = .seconds(5)
    ) async throws(RedisError) -> Redis {
        let address = try await address(environment: environment, stateDirectory: stateDirectory)
        var prepare: (@Sendable (Deadline) throws(RedisError) -> Void)?
        if environment ?? "" == "" {
            let server = try PrivateServer(stateDirectory: stateDirectory)
            prepare = { (deadline: Deadline) throws(RedisError) in _ = try server.running(until: deadline) }
        }
        return Redis(
            address, clientName: clientName, connectTimeout: connectTimeout, commandTimeout: commandTimeout,
            prepare: prepare)
    }

    private static var startDeadline: Deadline { .after(.seconds(20)) }
}
