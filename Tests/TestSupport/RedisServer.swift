import Foundation
import Synchronization

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
    private let process = Mutex<SpawnedProgram?>(nil)

    /// Writes the configuration and starts the server.
    /// - Parameter configuration: further lines of redis.conf.
    package init(configuration: [String] = [], tcp: Bool = false) throws {
        folder = try TemporaryFolder()
        port = tcp ? try Self.freePort() : nil
        let lines = [
            "port \(port ?? 0)", "bind 127.0.0.1", "unixsocket \(folder("redis.sock"))", "unixsocketperm 600",
            "dir \(folder.path)", "logfile \(folder("redis.log"))", "save \"\"", "daemonize no",
        ]
        let text = (lines + configuration).joined(separator: "\n") + "\n"
        try text.write(toFile: folder("redis.conf"), atomically: true, encoding: .utf8)
        try start()
    }

    deinit { kill() }

    package var processIdentifier: Int32? { process.withLock { $0?.processIdentifier } }

    /// Starts or restarts the server and waits until it answers. With `waiting: false` it returns at once.
    /// - Parameter options: configuration lines for this start only.
    package func start(adding options: [String] = [], waiting: Bool = true) throws {
        let extra = options.flatMap { "--\($0)".split(separator: " ").map(String.init) }
        end(with: SIGKILL)
        let server = try SpawnedProgram(["redis-server", folder("redis.conf")] + extra)
        process.withLock { $0 = server }
        if waiting { try waitUntilReady() }
    }

    /// Ends the server with SIGTERM, as `systemctl stop` does, and waits for its end.
    package func stop() { end(with: SIGTERM) }

    /// Ends the server with SIGKILL, like a crash.
    package func kill() { end(with: SIGKILL) }

    /// Freezes the server: its connections stay open without replies.
    package func freeze() { signal(SIGSTOP) }
    package func thaw() { signal(SIGCONT) }

    /// Runs `redis-cli` and returns what it prints.
    @discardableResult
    package func cli(_ arguments: String...) throws -> String {
        var text = try SpawnedProgram.output(of: ["redis-cli", "-s", socketPath] + arguments)
        while text.last == "\n" { text.removeLast() }
        return text
    }

    private func signal(_ number: Int32) {
        process.withLock { $0?.signal(number) }
    }

    private func end(with number: Int32) {
        let running = process.withLock { process in
            defer { process = nil }
            return process
        }
        running?.signal(number)
        running?.wait()
    }

    private func waitUntilReady() throws {
        let deadline = Date(timeIntervalSinceNow: 20)
        while try !answers() {
            guard Date() < deadline else { throw Failure(reason: "redis-server does not answer; see \(folder.path)") }
            usleep(5000)
        }
    }

    private func answers() throws -> Bool {
        guard FileManager.default.fileExists(atPath: socketPath) else { return false }
        let reply = try cli("PING")
        return reply == "PONG" || reply.contains("NOAUTH")
    }

    /// Returns a port that was free at the time of the call.
    package static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, size) == 0 && getsockname(descriptor, $0, &size) == 0
            }
        }
        guard bound else { throw Failure(reason: "no free port") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    package struct Failure: Error {
        package let reason: String
    }
}
