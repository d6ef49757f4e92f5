import Foundation
import Synchronization

/// A real `redis-server` on a Unix socket in a folder of its own; stopped when it goes out of use.
package final class RedisServer: Sendable {
    /// Lines with which what was acknowledged survives SIGKILL.
    package static let durable = ["appendonly yes", "appendfsync always"]

    package let folder: TemporaryFolder
    package var socketPath: String { folder("redis.sock") }
    /// What `TGPIPE_REDIS` takes.
    package var address: String { "unix:\(socketPath)" }
    /// The port on 127.0.0.1, when one was asked for.
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

    /// Starts it (again) and waits until it answers; `waiting: false` returns at once.
    /// - Parameter options: configuration lines for this start only.
    package func start(adding options: [String] = [], waiting: Bool = true) throws {
        let extra = options.flatMap { "--\($0)".split(separator: " ").map(String.init) }
        end(with: SIGKILL)
        let server = try SpawnedProgram(["redis-server", folder("redis.conf")] + extra)
        process.withLock { $0 = server }
        if waiting { try waitUntilReady() }
    }

    /// Asks it to end, as `systemctl stop` would, and waits until it has.
    package func stop() { end(with: SIGTERM) }

    /// Ends it with SIGKILL, as a crash would.
    package func kill() { end(with: SIGKILL) }

    /// Freezes it: connections stay, answers do not come.
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

    /// A port that was free a moment ago.
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
