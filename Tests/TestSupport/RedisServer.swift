import Foundation

/// Runs a real `redis-server` on a Unix socket in a temporary folder, and stops it when the object is released.
package final class RedisServer: Sendable {
    /// The configuration lines with which acknowledged writes survive SIGKILL.
    package static let durable = ["appendonly yes", "appendfsync always"]

    package let folder: TemporaryFolder
    package var socketPath: String { folder("redis.sock") }
    /// The server's address in the form of `TGPIPE_REDIS`.
    package var address: String { "unix:\(socketPath)" }
    /// The port on 127.0.0.1, if the server has one.
    package let port: Int?
    private let process = ServerProcess("redis-server")

    /// Writes the configuration and starts the server.
    /// - Parameter configuration: further lines of redis.conf.
    package init(configuration: [String] = [], tcp: Bool = false) throws {
        folder = try TemporaryFolder()
        port = tcp ? try LoopbackListener.freePort() : nil
        let lines = [
            "port \(port ?? 0)", "bind 127.0.0.1", "unixsocket \(folder("redis.sock"))", "unixsocketperm 600",
            "dir \(folder.path)", "logfile \(folder("redis.log"))", "save \"\"", "daemonize no",
        ]
        let text = (lines + configuration).joined(separator: "\n") + "\n"
        try text.write(toFile: folder("redis.conf"), atomically: true, encoding: .utf8)
        try start()
    }

    deinit { kill() }

    package var processIdentifier: Int32? { process.processIdentifier }

    /// Starts or restarts the server and waits until it answers. With `waiting: false` it returns at once.
    /// - Parameter options: configuration lines for this start only.
    package func start(adding options: [String] = [], waiting: Bool = true) throws {
        let extra = options.flatMap { "--\($0)".split(separator: " ").map(String.init) }
        try process.start(["redis-server", folder("redis.conf")] + extra)
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
