import Redis
import TestSupport
import Testing

@Suite struct SentinelTests {
    private func redis(_ group: RedisSentinels, _ options: String = "") throws -> Redis {
        Redis(try RedisAddress(parsing: group.address + options), clientName: "test")
    }

    @Test func `Writes go to the server that the sentinels elect when the primary one is killed`() async throws {
        let group = try RedisSentinels()
        let redis = try redis(group, "?replicas=1")
        for number in 1...3 {
            let confirmed = try await withRetry(for: .seconds(30)) { () throws(RedisError) in
                try await redis.send("RPUSH", "list", .integer(Int64(number)))
            }
            #expect(confirmed.int ?? 0 >= 1)
            let lost = try #require(group.primary)
            guard number < 3 else { break }
            lost.kill()
            #expect(try await eventually { group.primary?.processIdentifier != nil })
            // What was confirmed is there.
            let list = try await withRetry(for: .seconds(30)) { () throws(RedisError) in
                try await redis.send("LRANGE", "list", 0, -1)
            }
            #expect(list.array?.compactMap(\.int).contains(Int64(number)) == true)
            try lost.start()
            #expect(try await eventually { try lost.cli("INFO", "replication").contains("master_link_status:up") })
        }
    }

    @Test func `A server that has become a replica is left`() async throws {
        let group = try RedisSentinels()
        let redis = try redis(group)
        try await redis.send("SET", "a", "1")
        let former = try #require(group.primary)
        try group.sentinels[0].cli("SENTINEL", "FAILOVER", RedisSentinels.primaryName)
        #expect(try await eventually { try former.cli("ROLE").hasPrefix("slave") })
        try await withRetry(for: .seconds(20)) { () throws(RedisError) in _ = try await redis.send("SET", "a", "2") }
        let new = try #require(group.primary)
        #expect(new.port != former.port)
        #expect(try new.cli("GET", "a") == "2")
    }

    @Test func `A primary server that was replaced is left, although it does not know it yet`() async throws {
        let group = try RedisSentinels()
        let redis = try redis(group, "?replicas=1")
        try await redis.send("SET", "a", "1")
        let former = try await group.replaceUnknowingPrimary()
        try await withRetry(for: .seconds(30)) { () throws(RedisError) in _ = try await redis.send("SET", "a", "2") }
        let new = try #require(group.primary)
        #expect(new.port != former.port)
        #expect(try new.cli("GET", "a") == "2")
    }

    @Test func `A write that too few replicas confirm is not done`() async throws {
        let group = try RedisSentinels()
        let redis = try redis(group, "?replicas=2")
        try await redis.send("SET", "a", "1")
        for replica in group.servers.dropFirst() { replica.freeze() }
        defer { for replica in group.servers { replica.thaw() } }
        let error = await #expect(throws: RedisError.self) { try await redis.send("SET", "a", "2") }
        #expect(error?.isTransient == true)
        #expect(error?.message.contains("of 2 replicas") == true, "\(error?.message ?? "")")
    }

    @Test func `Unknown names, servers in the place of sentinels and sentinels that are away are told apart`()
        async throws
    {
        let group = try RedisSentinels()
        let ports = group.sentinels.compactMap(\.port)
        let unused = try LoopbackListener.freePort()
        func failure(_ address: String) async throws -> RedisError {
            let redis = Redis(
                try RedisAddress(parsing: address), clientName: "test", connectTimeout: .seconds(2),
                commandTimeout: .seconds(3))
            return try #require(await #expect(throws: RedisError.self) { try await redis.send("PING") })
        }
        let unknown = try await failure("redis+sentinel://127.0.0.1:\(ports[0]),127.0.0.1:\(unused)/other")
        #expect(unknown.code == .configuration && unknown.message.contains("named other"), "\(unknown.message)")
        let server = try await failure("redis+sentinel://127.0.0.1:\(group.servers[0].port ?? 0)/mymaster")
        #expect(server.code == .configuration && server.message.contains("no sentinel"), "\(server.message)")
        let away = try await failure("redis+sentinel://127.0.0.1:\(unused)/mymaster")
        #expect(away.code == .unreachable || away.code == .timedOut, "\(away.message)")
    }
}
