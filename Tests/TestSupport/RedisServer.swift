import Foundation

/// Runs a real `redis-server` on a Unix socket in a temporary folder, and stops it when the object is released.
package final class RedisServer: Sendable {
    /// The configuration lines with which acknowledged writes survive SIGKILL.
    package static let durable = ["appendonly yes", "appendfsync always"]

    package let folder: TemporaryFolder
    package var socketPath: String { folder("redis.sock") }
    /// The server's address in the form of `TGPIPE_REDIS`.
    package var address: String {
        if RedisServer.isCluster, let port { "redis+cluster://127.0.0.1:\(port)" } else { "unix:\(socketPath)" }
    }
    /// The port on 127.0.0.1, if the server has one.
    package let port: Int?
    /// Is true if the tests run on clusters: each server is then one of a single node, which refuses what a larger one refuses.
    package static let isCluster = ProcessInfo.processInfo.environment["TGPIPE_TEST_REDIS"] == "cluster"
    private let process = ServerProcess("redis-server")
    private let mode: Mode

    package enum Mode: Sendable { case server, sentinel }

    /// Writes the configuration and starts the server.
    /// - Parameters:
    ///   - configuration: further lines of redis.conf.
    ///   - mode: a server that stores data, or a sentinel that watches others.
    package init(configuration: [String] = [], tcp: Bool = false, mode: Mode = .server) throws {
        self.mode = mode
        folder = try TemporaryFolder()
        port = tcp || RedisServer.isCluster ? try LoopbackListener.freePort() : nil
        let cluster =
            RedisServer.isCluster && !configuration.contains("cluster-enabled yes") && mode == .server
            ? ["cluster-enabled yes", "cluster-port \(try LoopbackListener.freePort())"] : []
        let lines =
            [
                "port \(port ?? 0)", "bind 127.0.0.1", "unixsocket \(folder("redis.sock"))", "unixsocketperm 600",
                "dir \(folder.path)", "logfile \(folder("redis.log"))", "daemonize no",
            ] + (mode == .server ? ["save \"\""] : [])
        let text = (lines + cluster + configuration).joined(separator: "\n") + "\n"
        try text.write(toFile: folder("redis.conf"), atomically: true, encoding: .utf8)
        try start()
        if !cluster.isEmpty {
            try cli("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
            try process.waitUntilReady(atMost: .seconds(20)) { try cli("CLUSTER", "INFO").contains("cluster_state:ok") }
        }
    }

    deinit { kill() }

    package var processIdentifier: Int32? { process.processIdentifier }

    /// Starts or restarts the server and waits until it answers. With `waiting: false` it returns at once.
    /// - Parameter options: configuration lines for this start only.
    package func start(adding options: [String] = [], waiting: Bool = true) throws {
        let extra = options.flatMap { "--\($0)".split(separator: " ").map(String.init) }
        let role = mode == .sentinel ? ["--sentinel"] : []
        try process.start(["redis-server", folder("redis.conf")] + role + extra)
        if waiting { try process.waitUntilReady(atMost: .seconds(20), answers) }
    }

    /// Ends the server with SIGTERM, as `systemctl stop` does, and waits for its end.
    package func stop() { process.end(with: SIGTERM) }

    /// Ends the server with SIGKILL, like a crash.
    package func kill() { process.end(with: SIGKILL) }

    /// Freezes the server: its connections stay open without replies.
    package func freeze() { process.signal(SIGSTOP) }
    package func thaw() { process.signal(SIGCONT) }

    /// Runs `redis-cli` and returns what it prints.
    @discardableResult
    package func cli(_ arguments: String...) throws -> String {
        var text = try SpawnedProgram.output(of: ["redis-cli", "-s", socketPath] + arguments)
        while text.last == "\n" { text.removeLast() }
        return text
    }

    private func answers() throws -> Bool {
        guard FileManager.default.fileExists(atPath: socketPath) else { return false }
        let reply = try cli("PING")
        return reply == "PONG" || reply.contains("NOAUTH")
    }
}
