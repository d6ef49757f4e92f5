/// A Redis server of the user's own, for machines where nobody set one up.
package enum PrivateRedis {
    /// Where Redis is: what is configured, else a private server that is started when it does not run.
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
        return try await onOwnThread { () throws(RedisError) in try server.running(until: startDeadline) }
    }

    /// A connection to what `address` gives; one to a private server starts it again should it die.
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
