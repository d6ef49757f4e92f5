@testable import Redis
import TestSupport
import Testing

@Suite struct ClusterTests {
    private func redis(_ cluster: RedisCluster, _ options: String = "") throws -> Redis {
        Redis(try RedisAddress(parsing: cluster.address + options), clientName: "test")
    }

    @Test func `Slots are those of the server`() throws {
        let server = try RedisServer(
            configuration: ["cluster-enabled yes", "cluster-port \(try LoopbackListener.freePort())"], tcp: true)
        for key in [
            "", "a", "123456789", "tgpipe:{queues}:x", "{}a", "{a}b", "a{b}{c}", "{a", "}{x}", "ключ", "{{a}}b",
        ] {
            #expect(try server.cli("CLUSTER", "KEYSLOT", key) == "\(KeySlot.of(key.utf8))", "\(key)")
        }
    }

    @Test func `The key of each command that tgpipe sends is found`() {
        let commands: [([RedisArgument], String?)] = [
            (["GET", "k"], "k"), (["get", "k"], "k"), (["EVALSHA", "h", 1, "k", "a"], "k"), (["EVALSHA", "h", 0], nil),
            (["XREAD", "COUNT", 1, "BLOCK", 5, "STREAMS", "k", "0"], "k"), (["XGROUP", "CREATE", "k", "g", "$"], "k"),
            (["XINFO", "STREAM", "k"], "k"), (["BLPOP", "k", 1], "k"), (["PING"], nil), (["SCAN", "0"], nil),
            (["MULTI"], nil), (["SET", .bytes([0, 255, 13, 10]), ""], nil),
        ]
        let batch = CommandBatch(commands.map(\.0))
        let found = EncodedCommand.all(in: batch)
        #expect(found.count == commands.count)
        #expect(found.last?.bytes.upperBound == batch.encoded.count)
        for (command, expected) in zip(found, commands).dropLast() {
            #expect(command.slot == expected.1.map { KeySlot.of($0.utf8) }, "\(expected.0)")
        }
        #expect(found.last?.slot == KeySlot.of([0, 255, 13, 10]))
    }

    @Test func `Commands, scripts and transactions reach the nodes of their keys`() async throws {
        let cluster = try RedisCluster()
        let redis = try redis(cluster)
        let keys = (0..<200).map { "key:\($0)" }
        let set = try await redis.pipeline(keys.map { ["SET", .text($0), .text("value of \($0)")] })
        #expect(set.allSatisfy { $0 == .status("OK") })
        let values = try await redis.pipeline(keys.map { ["GET", .text($0)] })
        #expect(values.map(\.string) == keys.map { "value of \($0)" })
        let script = RedisScript("return redis.call('GET', KEYS[1])")
        let answers = try await redis.run(script, keys.map { ScriptCall(keys: [$0]) })
        #expect(answers.map(\.string) == keys.map { "value of \($0)" })
        let results = try await redis.transaction([["SET", "{a}x", "1"], ["INCR", "{a}x"], ["GET", "{a}x"]])
        #expect(results.last?.int == 2)
        #expect(try await redis.sendEverywhere("DBSIZE").compactMap(\.int).reduce(0, +) == 201)
        // Keys of several slots in one step are a mistake of the caller.
        let error = await #expect(throws: RedisError.self) {
            try await redis.transaction([["SET", "a", "1"], ["SET", "b", "1"]])
        }
        #expect(error?.message.contains("MOVED") == true || error?.message.contains("CROSSSLOT") == true)
        await redis.close()
    }

    @Test func `Slots that move to another node are followed`() async throws {
        let cluster = try RedisCluster()
        let redis = try redis(cluster)
        let slot = KeySlot.of("moving".utf8)
        try await redis.send("SET", "moving", "1")
        var owner = cluster.nodes[0]
        for node in cluster.nodes where try node.cli("CLUSTER", "COUNTKEYSINSLOT", "\(slot)") == "1" { owner = node }
        let target = try #require(cluster.nodes.first { $0.port != owner.port })
        let (from, to) = (try owner.cli("CLUSTER", "MYID"), try target.cli("CLUSTER", "MYID"))
        try target.cli("CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", from)
        try owner.cli("CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", to)
        // On its way: keys that are not there any more are asked for at the new node.
        try owner.cli("MIGRATE", "127.0.0.1", "\(target.port ?? 0)", "moving", "0", "5000")
        #expect(try await redis.send("INCR", "moving").int == 2)
        #expect(try await redis.transaction([["INCR", "moving"], ["GET", "moving"]]).last?.int == 3)
        for node in cluster.nodes { try node.cli("CLUSTER", "SETSLOT", "\(slot)", "NODE", to) }
        #expect(try await redis.send("INCR", "moving").int == 4)
        #expect(try target.cli("GET", "moving") == "4")
        let script = RedisScript("return redis.call('INCR', KEYS[1])")
        #expect(try await redis.run(script, keys: ["moving"]).int == 5)
    }

    @Test func `Many commands that need the map at once read it once`() async throws {
        let cluster = try RedisCluster()
        let redis = try redis(cluster)
        func readings() throws -> Int {
            try cluster.nodes.reduce(0) { sum, node in
                let line = try node.cli("INFO", "commandstats").split(whereSeparator: \.isNewline)
                    .first { $0.hasPrefix("cmdstat_cluster|slots:") }
                return sum
                    + (line?.split(separator: "=").dropFirst().first.flatMap { Int($0.prefix { $0 != "," }) } ?? 0)
            }
        }
        func increase() async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<200 { group.addTask { try await redis.send("INCR", "{moving}:count") } }
                try await group.waitForAll()
            }
        }
        let first = try readings()
        try await increase()
        // A reading asks a further node when the first one is slow, and each node once at most.
        #expect(try (1...cluster.nodes.count).contains(readings() - first))
        let slot = KeySlot.of("moving".utf8)
        let owner = try #require(
            try cluster.nodes.first { try $0.cli("CLUSTER", "COUNTKEYSINSLOT", "\(slot)") == "1" })
        let target = try #require(cluster.nodes.first { $0.port != owner.port })
        let (from, to) = (try owner.cli("CLUSTER", "MYID"), try target.cli("CLUSTER", "MYID"))
        try target.cli("CLUSTER", "SETSLOT", "\(slot)", "IMPORTING", from)
        try owner.cli("CLUSTER", "SETSLOT", "\(slot)", "MIGRATING", to)
        try owner.cli("MIGRATE", "127.0.0.1", "\(target.port ?? 0)", "{moving}:count", "0", "5000")
        for node in cluster.nodes { try node.cli("CLUSTER", "SETSLOT", "\(slot)", "NODE", to) }
        // The first command is sent elsewhere, and all later ones doubt the map.
        try await redis.send("INCR", "{moving}:count")
        let second = try readings()
        try await increase()
        #expect(try (1...cluster.nodes.count).contains(readings() - second))
        #expect(try await redis.send("GET", "{moving}:count").int == 401)
        await redis.close()
    }

    @Test func `A replica takes the place of a node that is killed`() async throws {
        let cluster = try RedisCluster(replicas: 1)
        let writer = try redis(cluster, "?replicas=1")
        let keys = (0..<60).map { "key:\($0)" }
        for key in keys { try await writer.send("SET", .text(key), "1") }
        cluster.nodes[1].kill()
        // The node that takes over has no replica that could confirm anything.
        let redis = try self.redis(cluster)
        for key in keys {
            let value = try await withRetry(for: .seconds(30)) { () throws(RedisError) in
                try await redis.send("GET", .text(key))
            }
            #expect(value.int == 1, "\(key)")
        }
    }

    @Test func `A node that does not answer holds up no command for the others`() async throws {
        let cluster = try RedisCluster(configuration: ["cluster-require-full-coverage no"])
        let redis = Redis(
            try RedisAddress(parsing: cluster.address), clientName: "test", commandTimeout: .milliseconds(1200))
        func key(of node: Int) -> String {
            (0...).lazy.map { "key:\($0)" }.first { KeySlot.of($0.utf8) * 3 / KeySlot.count == node } ?? ""
        }
        for node in 0..<3 { try await redis.send("SET", .text(key(of: node)), .integer(Int64(node))) }
        cluster.nodes[0].freeze()
        defer { cluster.nodes[0].thaw() }
        for _ in 0..<3 {
            let error = await #expect(throws: RedisError.self) { try await redis.send("GET", .text(key(of: 0))) }
            #expect(error?.isTransient == true)
            for node in 1..<3 {
                #expect(try await redis.send("GET", .text(key(of: node))).int == Int64(node))
            }
        }
        // The map itself comes from a node that answers.
        let other = Redis(try RedisAddress(parsing: cluster.address), clientName: "test")
        #expect(try await other.send("GET", .text(key(of: 1))).int == 1)
        await other.close()
    }

    @Test func `What a replica refuses while its cluster is down can be tried again`() async throws {
        let cluster = try RedisCluster(replicas: 1)
        // Without most of the nodes that own slots, nobody can be elected.
        for node in cluster.nodes[1...2] { node.kill() }
        let replica = cluster.nodes[3]
        #expect(try await eventually { try replica.cli("CLUSTER", "INFO").contains("cluster_state:fail") })
        let address = "redis://127.0.0.1:\(replica.port ?? 0)?replicas=1"
        let redis = Redis(try RedisAddress(parsing: address), clientName: "test")
        // It also refuses WAIT, with an error that says nothing of the cluster.
        let error = await #expect(throws: RedisError.self) { try await redis.send("SET", "a", "1") }
        #expect(error?.isTransient == true && error?.message.contains("CLUSTERDOWN") == true, "\(error?.message ?? "")")
    }

    @Test func `Addresses that do not fit the server are explained`() async throws {
        let cluster = try RedisCluster()
        let node = Redis(
            try RedisAddress(parsing: "redis://127.0.0.1:\(cluster.nodes[0].port ?? 0)"), clientName: "test")
        var moved: RedisError?
        for number in 0..<30 where moved == nil {
            do throws(RedisError) { try await node.send("GET", .text("key:\(number)")) } catch { moved = error }
        }
        #expect(moved?.code == .configuration && moved?.message.contains("redis+cluster://") == true)
        let single = try RedisServer(configuration: ["cluster-enabled no"], tcp: true)
        let redis = Redis(
            try RedisAddress(parsing: "redis+cluster://127.0.0.1:\(single.port ?? 0)"), clientName: "test")
        let error = await #expect(throws: RedisError.self) { try await redis.send("PING") }
        #expect(error?.code == .configuration)
        #expect(error?.message.contains("redis://HOST:PORT") == true, "\(error?.message ?? "")")
    }
}
