import Redis
import TestSupport
import Testing

@Suite struct ConnectionTests {
    private func redis(_ server: RedisServer, timeout: Duration = .seconds(5)) throws -> Redis {
        Redis(try RedisAddress(parsing: server.address), clientName: "test tool", commandTimeout: timeout)
    }

    @Test func `Every kind of reply is read`() async throws {
        let server = try RedisServer()
        let redis = try redis(server)
        #expect(try await redis.send("SET", "a", "1") == .status("OK"))
        #expect(try await redis.send("INCRBY", "a", 41) == .integer(42))
        #expect(try await redis.send("GET", "a").int == 42)
        #expect(try await redis.send("GET", "none").isNull)
        #expect(try await redis.send("INCRBY", "a", .integer(.min + 100)).int == .min + 142)
        try await redis.send("RPUSH", "l", "x", .bytes([0, 255, 13, 10]), "")
        let elements: [RedisValue] = [.bytes([0x78]), .bytes([0, 255, 13, 10]), .bytes([])]
        #expect(try await redis.send("LRANGE", "l", 0, -1) == .array(elements))
        #expect(try await redis.send("CLIENT", "GETNAME").string == "test-tool")
        await redis.close()
    }

    @Test func `Concurrent callers receive their own replies`() async throws {
        let server = try RedisServer()
        let redis = try redis(server)
        let wrong = try await withThrowingTaskGroup(of: Int.self) { group in
            for caller in 0..<200 {
                group.addTask {
                    var wrong = 0
                    for turn in 0..<20 {
                        let text = "\(caller)-\(turn)"
                        if try await redis.send("ECHO", .text(text)).string != text { wrong += 1 }
                    }
                    return wrong
                }
            }
            return try await group.reduce(0, +)
        }
        #expect(wrong == 0)
        let connections = try server.cli("CLIENT", "LIST").split(separator: "\n").filter { $0.contains("test-tool") }
        #expect(connections.count == 1)
    }

    @Test func `An error reply is thrown with its code and the connection remains usable`() async throws {
        let server = try RedisServer()
        let redis = try redis(server)
        try await redis.send("SET", "a", "text")
        let error = await #expect(throws: RedisError.self) { try await redis.send("LPUSH", "a", "1") }
        #expect(error?.code == .wrongType)
        #expect(error?.message.contains(server.socketPath) == true)
        let replies = try await redis.pipeline([["INCR", "a"], ["SET", "b", "2"], ["GET", "b"]])
        #expect(replies.count == 3)
        #expect(replies[2].int == 2)
        guard case .error(let text) = replies[0] else {
            Issue.record("INCR of a text was not refused")
            return
        }
        #expect(text.hasPrefix("ERR"))
    }

    @Test func `Values and batches larger than any buffer are transferred`() async throws {
        let server = try RedisServer()
        let redis = try redis(server)
        let large = [UInt8](repeating: 7, count: 20_000_000)
        try await redis.send("SET", "large", .bytes(large))
        #expect(try await redis.send("GET", "large") == .bytes(large))
        var batch = CommandBatch()
        for number in 0..<50_000 { batch.append(["ECHO", .integer(Int64(number))]) }
        let replies = try await redis.pipeline(batch)
        let expected: [Int64?] = (0..<50_000).map { Int64($0) }
        #expect(replies.map(\.int) == expected)
    }

    @Test func `A transaction runs completely or not at all`() async throws {
        let server = try RedisServer()
        let redis = try redis(server)
        let results = try await redis.transaction([["SET", "a", "x"], ["INCR", "a"], ["GET", "a"]])
        #expect(results.count == 3)
        #expect(results[2].string == "x")
        let error = await #expect(throws: RedisError.self) {
            try await redis.transaction([["SET", "a", "y"], ["NOSUCHCOMMAND"]])
        }
        #expect(error?.code == .server)
        #expect(try await redis.send("GET", "a").string == "x")
    }

    @Test func `A script that the server has not cached is sent, in single calls and in batches`() async throws {
        let server = try RedisServer()
        let redis = try redis(server)
        let script = RedisScript("return redis.call('INCRBY', KEYS[1], ARGV[1])")
        #expect(try await redis.run(script, keys: ["n"], arguments: [2]).int == 2)
        try server.cli("SCRIPT", "FLUSH")
        #expect(try await redis.run(script, keys: ["n"], arguments: [3]).int == 5)
        try server.cli("SCRIPT", "FLUSH")
        let calls = (1...100).map { ScriptCall(keys: ["m"], arguments: [.integer($0)]) }
        let replies = try await redis.run(script, calls)
        let sums: [Int64?] = (1...100).map { Int64($0 * ($0 + 1) / 2) }
        #expect(replies.map(\.int) == sums)
    }

    @Test func `Commands in flight fail when the server dies, and the next ones reconnect`() async throws {
        let server = try RedisServer(configuration: RedisServer.durable)
        let redis = try redis(server)
        try await redis.send("SET", "kept", "yes")
        async let blocked = redis.send(["BLPOP", "nothing", "0"], timeout: .seconds(30))
        #expect(try await eventually { try server.cli("INFO", "clients").contains("blocked_clients:1") })
        server.kill()
        do {
            _ = try await blocked
            Issue.record("the command outlived its server")
        } catch let error as RedisError {
            #expect(error.code == .unreachable)
            #expect(error.isTransient)
        }
        let error = await #expect(throws: RedisError.self) { try await redis.send("PING") }
        #expect(error?.code == .unreachable)
        try server.start()
        #expect(try await redis.send("GET", "kept").string == "yes")
    }

    @Test func `Transient failures are retried until the server is back`() async throws {
        let server = try RedisServer(configuration: RedisServer.durable)
        let redis = try redis(server)
        try await redis.send("SET", "kept", "yes")
        server.kill()
        async let answer = withRetry(for: .seconds(60)) { () throws(RedisError) in
            try await redis.send("GET", "kept").string
        }
        try server.start()
        #expect(try await answer == "yes")
    }

    @Test func `A command ends at its deadline when the server does not answer, and later ones succeed`() async throws {
        let server = try RedisServer()
        let redis = try redis(server, timeout: .milliseconds(200))
        try await redis.send("PING")
        server.freeze()
        let error = await #expect(throws: RedisError.self) { try await redis.send("PING") }
        #expect(error?.code == .timedOut)
        server.thaw()
        let answer = try await withRetry(for: .seconds(60)) { () throws(RedisError) in try await redis.send("PING") }
        #expect(answer == .status("PONG"))
    }

    @Test func `A cancelled caller returns at once and the others' replies stay in order`() async throws {
        let server = try RedisServer()
        let redis = try redis(server, timeout: .seconds(60))
        try await redis.send("PING")
        let caller = Task { try await redis.send(["BLPOP", "list", "0"], timeout: .seconds(60)) }
        #expect(try await eventually { try server.cli("INFO", "clients").contains("blocked_clients:1") })
        caller.cancel()
        let result = await caller.result
        #expect(throws: RedisError.self) { try result.get() }
        async let next = redis.send("ECHO", "mine")
        try server.cli("LPUSH", "list", "theirs")
        #expect(try await next.string == "mine")
    }

    @Test func `The reply to a command that was given up at once goes to nobody else`() async throws {
        let server = try RedisServer()
        let redis = try redis(server, timeout: .seconds(60))
        try await redis.send("PING")
        for number in 0..<300 {
            let caller = Task { try await redis.send("ECHO", "given up") }
            if number % 2 == 0 { await Task.yield() }
            caller.cancel()
            let text = "kept \(number)"
            #expect(try await redis.send("ECHO", .text(text)).string == text)
            _ = await caller.result
        }
    }

    @Test func `A connection that its server closes between two commands is replaced`() async throws {
        let server = try RedisServer()
        let redis = try redis(server, timeout: .seconds(60))
        for _ in 0..<20 {
            let number = try #require(try await redis.send("CLIENT", "ID").int)
            try server.cli("CLIENT", "KILL", "ID", "\(number)")
            let answer = try await withRetry(for: .seconds(60)) { () throws(RedisError) in try await redis.send("PING")
            }
            #expect(answer == .status("PONG"))
        }
    }

    @Test func `A closed connection refuses commands`() async throws {
        let server = try RedisServer()
        let redis = try redis(server)
        async let last = redis.send("SET", "a", "1")
        _ = try await last
        await redis.close()
        await redis.close()
        let error = await #expect(throws: RedisError.self) { try await redis.send("PING") }
        #expect(error?.code == .closed)
        #expect(try !server.cli("CLIENT", "LIST").contains("test-tool"))
    }

    @Test func `A connection closes when its last reference is gone`() async throws {
        let server = try RedisServer()
        do {
            let redis = try redis(server)
            try await redis.send("PING")
        }
        #expect(try await eventually { try !server.cli("CLIENT", "LIST").contains("test-tool") })
    }

    @Test func `A command waits until the server has loaded its data`() async throws {
        let server = try RedisServer(configuration: RedisServer.durable)
        var batch = CommandBatch()
        for number in 0..<2000 { batch.append(["SET", .text("key\(number)"), "value"]) }
        let redis = try redis(server, timeout: .seconds(60))
        _ = try await redis.pipeline(batch)
        server.kill()
        try server.start(adding: ["key-load-delay 500"], waiting: false)
        let answer = try await withRetry(for: .seconds(60)) { () throws(RedisError) in try await redis.send("DBSIZE") }
        #expect(answer.int == 2000)
    }

    @Test func `A TCP connection authenticates with user, password and database`() async throws {
        let server = try RedisServer(
            configuration: ["requirepass s3cret/word", "user app on >p@ss ~* +@all"], tcp: true)
        let port = try #require(server.port)
        for login in [":s3cret%2Fword", "app:p%40ss"] {
            let address = try RedisAddress(parsing: "redis://\(login)@127.0.0.1:\(port)/3")
            let redis = Redis(address, clientName: "test")
            #expect(try await redis.send("CLIENT", "LIST").string?.contains(" db=3 ") == true)
        }
        let named = Redis(try RedisAddress(parsing: "redis://app:p%40ss@localhost:\(port)"), clientName: "test")
        #expect(try await named.send("PING") == .status("PONG"))
        let wrong = Redis(try RedisAddress(parsing: "redis://:guessed-word@127.0.0.1:\(port)"), clientName: "test")
        let refusal = await #expect(throws: RedisError.self) { try await wrong.send("PING") }
        #expect(refusal?.code == .authentication)
        #expect(refusal?.message.contains("guessed-word") == false)
        let none = Redis(try RedisAddress(parsing: "redis://127.0.0.1:\(port)"), clientName: "test")
        let missing = await #expect(throws: RedisError.self) { try await none.send("PING") }
        #expect(missing?.code == .authentication)
    }

    @Test func `An address where no server listens is named`() async throws {
        let folder = try TemporaryFolder()
        let redis = Redis(RedisAddress(.unix(path: folder("none.sock"))), clientName: "test")
        let error = await #expect(throws: RedisError.self) { try await redis.send("PING") }
        #expect(error?.code == .unreachable)
        #expect(error?.message.contains(folder("none.sock")) == true)
        let port = try LoopbackListener.freePort()
        let network = Redis(try RedisAddress(parsing: "redis://127.0.0.1:\(port)"), clientName: "test")
        let refused = await #expect(throws: RedisError.self) { try await network.send("PING") }
        #expect(refused?.code == .unreachable)
    }
}
