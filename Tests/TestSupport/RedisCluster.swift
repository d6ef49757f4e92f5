/// Runs a real Redis cluster: three nodes that own the slots, and replicas of them if wanted.
package final class RedisCluster: Sendable {
    package let nodes: [RedisServer]
    /// The address in the form of `TGPIPE_REDIS`.
    package var address: String {
        "redis+cluster://" + nodes.compactMap(\.port).map { "127.0.0.1:\($0)" }.joined(separator: ",")
    }

    /// - Parameter replicas: the number of replicas of each node that owns slots. They take over after about a second.
    package init(replicas: Int = 0, configuration: [String] = []) throws {
        nodes = try (0..<(3 * (1 + replicas))).map { _ in
            try RedisServer(
                configuration: [
                    "cluster-enabled yes", "cluster-port \(try LoopbackListener.freePort())",
                    "cluster-node-timeout 1000",
                    "repl-diskless-sync-delay 0", "cluster-allow-replica-migration no",
                ] + configuration, tcp: true)
        }
        let bounds = [0, 5461, 10923, 16384]
        for (index, node) in nodes.prefix(3).enumerated() {
            try node.cli("CLUSTER", "ADDSLOTSRANGE", "\(bounds[index])", "\(bounds[index + 1] - 1)")
            // Equal numbers of a node's configuration would have to be told apart by the nodes first.
            try node.cli("CLUSTER", "SET-CONFIG-EPOCH", "\(index + 1)")
        }
        for node in nodes.dropFirst() {
            let bus = try node.cli("CONFIG", "GET", "cluster-port").split(separator: "\n").last.map(String.init) ?? ""
            try nodes[0].cli("CLUSTER", "MEET", "127.0.0.1", "\(node.port ?? 0)", bus)
        }
        try wait { try $0.cli("CLUSTER", "INFO").contains("cluster_known_nodes:\(nodes.count)") }
        for (index, node) in nodes.enumerated().dropFirst(3) {
            try node.cli("CLUSTER", "REPLICATE", try nodes[index % 3].cli("CLUSTER", "MYID"))
        }
        try wait { try $0.cli("CLUSTER", "INFO").contains("cluster_state:ok") }
        for node in nodes.dropFirst(3) {
            try ServerProcess.wait(for: "a replica") {
                try node.cli("INFO", "replication").contains("master_link_status:up")
            }
        }
    }

    private func wait(_ isReady: (RedisServer) throws -> Bool) throws {
        for node in nodes { try ServerProcess.wait(for: "the cluster") { try isReady(node) } }
    }
}

/// Runs a primary Redis server with two replicas, and three sentinels that elect another one when it is lost.
package final class RedisSentinels: Sendable {
    package static let primaryName = "mymaster"
    package let servers: [RedisServer]
    package let sentinels: [RedisServer]
    /// The address in the form of `TGPIPE_REDIS`, without options.
    package var address: String {
        let hosts = sentinels.compactMap(\.port).map { "127.0.0.1:\($0)" }
        return "redis+sentinel://\(hosts.joined(separator: ","))/\(RedisSentinels.primaryName)"
    }

    /// Lets another server replace the primary one, which comes back and does not learn of it.
    ///
    /// - Returns: the former primary server.
    package func replaceUnknowingPrimary() async throws -> RedisServer {
        guard let former = primary else {
            throw ToolRun.TookTooLong(description: "the sentinels know no primary server")
        }
        // Otherwise the sentinels would turn it into a replica after about ten seconds.
        try former.cli("ACL", "SETUSER", "default", "-replicaof", "-slaveof")
        former.freeze()
        let isReplaced = try await eventually {
            // Until the third server follows the new one, it would confirm writes of the former one.
            guard let new = primary, new.port != former.port else { return false }
            return try new.cli("INFO", "replication").contains("connected_slaves:1")
        }
        former.thaw()
        guard isReplaced else { throw ToolRun.TookTooLong(description: "no server replaces the primary one") }
        return former
    }

    package init(configuration: [String] = RedisServer.durable) throws {
        let common = configuration + ["repl-diskless-sync-delay 0"]
        let primary = try RedisServer(configuration: common, tcp: true)
        let port = primary.port ?? 0
        let replicas = try (0..<2).map { _ in
            try RedisServer(configuration: common + ["replicaof 127.0.0.1 \(port)"], tcp: true)
        }
        servers = [primary] + replicas
        for replica in replicas {
            try ServerProcess.wait(for: "a replica") {
                try replica.cli("INFO", "replication").contains("master_link_status:up")
            }
        }
        sentinels = try (0..<3).map { _ in
            let name = RedisSentinels.primaryName
            return try RedisServer(
                configuration: [
                    "sentinel monitor \(name) 127.0.0.1 \(port) 2", "sentinel down-after-milliseconds \(name) 1000",
                    "sentinel failover-timeout \(name) 3000",
                ], tcp: true, mode: .sentinel)
        }
        for sentinel in sentinels {
            try ServerProcess.wait(for: "the sentinels") {
                let text = try sentinel.cli("SENTINEL", "MASTER", RedisSentinels.primaryName)
                let lines = text.split(separator: "\n").map(String.init)
                func value(_ name: String) -> String? { lines.firstIndex(of: name).map { lines[$0 + 1] } }
                return value("num-other-sentinels") == "2" && value("num-slaves") == "2"
            }
        }
    }

    /// The server that the sentinels name as the primary one.
    package var primary: RedisServer? {
        let lines = try? sentinels[0].cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", RedisSentinels.primaryName)
        let port = lines?.split(separator: "\n").last.flatMap { Int($0) }
        return servers.first { $0.port == port }
    }
}
