import Glibc
import TestSupport
import Testing

@testable import Redis

@Suite struct PrivateRedisTests {
    /// A state folder whose server ends with it.
    private final class State: Sendable {
        let folder: TemporaryFolder
        init() throws { folder = try TemporaryFolder() }
        deinit { if let pid { kill(pid, SIGKILL) } }

        var path: String { folder("state") }
        var socket: String { folder("state/redis/redis.sock") }
        var pid: pid_t? {
            (try? String(readingFile: folder("state/redis/redis.pid"))).flatMap { pid_t($0.prefix { $0.isNumber }) }
        }
        func address() async throws -> Redis {
            Redis(try await PrivateRedis.address(environment: nil, stateDirectory: path), clientName: "test")
        }
        func cli(_ words: String...) throws -> String {
            try SpawnedProgram.output(of: ["redis-cli", "-s", socket] + words)
        }
    }

    @Test func `A private Redis is not started when another is configured`() async throws {
        let state = try State()
        let address = try await PrivateRedis.address(environment: "redis://h:1", stateDirectory: state.path)
        #expect(address == RedisAddress(.tcp(host: "h", port: 1)))
        #expect(access(state.path, F_OK) != 0)
    }

    @Test func `Tools that start together start one private Redis, for this user alone, which keeps its data`()
        async throws
    {
        let state = try State()
        let pids = try await withThrowingTaskGroup(of: String.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    let reply = try await state.address().send("INFO", "server").string ?? ""
                    return String(
                        try #require(reply.split(whereSeparator: \.isNewline).first { $0.hasPrefix("process_id") }))
                }
            }
            return try await group.reduce(into: Set<String>()) { $0.insert($1) }
        }
        #expect(pids.count == 1)
        for (path, mode) in [("state", 0o700), ("state/redis", 0o700), ("state/redis/redis.sock", 0o600)] {
            var status = stat()
            #expect(stat(state.folder(path), &status) == 0)
            #expect(status.st_mode & 0o777 == mode, "\(path)")
        }
        #expect(try state.cli("CONFIG", "GET", "port", "maxmemory-policy").contains("noeviction"))
        try await state.address().send("SET", "kept", "yes")
        #expect(try state.cli("SHUTDOWN").isEmpty)
        #expect(try await state.address().send("GET", "kept").string == "yes")
    }

    @Test func `A crashed private Redis is restarted by starting and by running tools`() async throws {
        let state = try State()
        let redis = try await PrivateRedis.connection(
            environment: nil, stateDirectory: state.path, clientName: "running tool")
        try await redis.send("SET", "a", "1")
        for restart in [redis, nil] {
            let pid = try #require(state.pid)
            kill(pid, SIGKILL)
            #expect(try await eventually { kill(pid, 0) != 0 })
            let survivor = if let restart { restart } else { try await state.address() }
            let answer = try await withRetry(for: .seconds(60)) { () throws(RedisError) in
                try await survivor.send("PING")
            }
            #expect(answer == .status("PONG"))
            #expect(state.pid != pid)
        }
    }

    @Test func `A private Redis inherits no descriptors and leads its own session`() async throws {
        let state = try State()
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        try await state.address().send("PING")
        let pid = try #require(state.pid)
        var status = stat()
        #expect(fstat(ends[1], &status) == 0)
        let held = try SpawnedProgram.output(of: ["ls", "-l", "/proc/\(pid)/fd"])
        #expect(held.contains("socket:["))
        #expect(!held.contains("pipe:[\(status.st_ino)]"))
        for end in ends { close(end) }
        #expect(getsid(pid) != getsid(0))
        #expect(getsid(pid) == getpgid(pid))
    }

    @Test func `A private Redis whose socket was removed is not started twice`() async throws {
        let state = try State()
        try await state.address().send("PING")
        #expect(unlink(state.socket) == 0)
        let error = await #expect(throws: RedisError.self) { try await state.address() }
        #expect(error?.code == .configuration)
        let pid = try #require(state.pid)
        #expect(error?.message.contains("\(pid)") == true)
    }

    @Test func `A missing redis-server is reported with how to install it`() throws {
        let folder = try TemporaryFolder()
        let server = try PrivateServer(stateDirectory: folder.path, program: "no-such-redis-server")
        let error = #expect(throws: RedisError.self) { try server.running(until: .after(.seconds(20))) }
        #expect(error?.code == .configuration)
        #expect(error?.message.contains("apt-get install redis-server") == true)
    }

    @Test func `A redis-server that does not start is reported with its reason`() throws {
        let folder = try TemporaryFolder()
        let server = try PrivateServer(stateDirectory: folder.path, program: "ls")
        let error = #expect(throws: RedisError.self) { try server.running(until: .after(.seconds(20))) }
        #expect(error?.message.contains("unable to start a private redis-server") == true)
    }

    @Test func `The state folder must be creatable and its path short enough`() async throws {
        for path in ["/tmp/" + String(repeating: "long/", count: 20), "/proc/nothing/here"] {
            let error = await #expect(throws: RedisError.self) {
                try await PrivateRedis.address(environment: "", stateDirectory: path)
            }
            #expect(error?.code == .configuration)
        }
    }
}

extension String {
    fileprivate init(readingFile path: String) throws {
        self = try SpawnedProgram.output(of: ["cat", path])
    }
}
