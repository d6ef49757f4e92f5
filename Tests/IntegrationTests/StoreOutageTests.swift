import Foundation
import JSON
import TestSupport
import Testing

/// Tests what happens while the database fails.
@Suite(.timeLimit(.minutes(5))) struct StoreOutageTests {
    private let events = StoreEvents()

    @Test func `A server that is stopped for a while loses nothing, and the input waits`() async throws {
        let server = try PostgresServer()
        let store = try StoreFixture(.postgres, server: server)
        let load = try store.start("load")
        for line in events.history(Array(1...200)) { load.send(line) }
        #expect(try await eventually { try store.query("SELECT count(*) FROM messages") == "200" })
        server.stopImmediately()
        for line in events.history(Array(201...400)).filter({ !$0.contains("history_range") }) { load.send(line) }
        #expect(try await eventually { load.log.contains("the database cannot store now") })
        load.closeInput()
        try server.start()
        let result = try await load.result()
        #expect(result.status == 0)
        #expect(result.errors.components(separatedBy: "the database cannot store now").count == 2)
        #expect(result.errors.contains("the database is back"))
        #expect(try store.query("SELECT count(*), count(DISTINCT message_id) FROM messages") == "400|400")
        #expect(try await store.run("verify").status == 0)
    }

    @Test func `A shutdown ends the wait for a database that is away`() async throws {
        let server = try PostgresServer()
        let store = try StoreFixture(.postgres, server: server)
        let load = try store.start("load")
        load.send(events.message(1))
        #expect(try await eventually { try store.query("SELECT count(*) FROM messages") == "1" })
        server.stop()
        load.send(events.message(2))
        #expect(try await eventually { load.log.contains("the database cannot store now") })
        load.signal(SIGTERM)
        #expect(try await load.result().status == 69)
    }

    @Test func `A lock is waited out`() async throws {
        var store = try StoreFixture(.postgres)
        store.environment = ["PGOPTIONS": "-c lock_timeout=100ms"]
        let load = try store.start("load")
        load.send(events.message(1))
        #expect(try await eventually { try store.query("SELECT count(*) FROM messages") == "1" })
        let server = try #require(store.server)
        let holder = try server.begin(
            store.name, "BEGIN; LOCK TABLE messages IN EXCLUSIVE MODE; SELECT pg_sleep(100)")
        let isLocked = "SELECT count(*) FROM pg_locks WHERE mode = 'ExclusiveLock' AND relation = 'messages'::regclass"
        #expect(try await eventually { try store.query(isLocked) == "1" })
        load.send(events.message(2))
        #expect(try await eventually { load.log.contains("lock timeout") })
        try store.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%'"
                + " AND datname = current_database() AND pid <> pg_backend_pid()")
        holder.wait()
        load.closeInput()
        #expect(try await load.result().status == 0)
        #expect(try store.query("SELECT count(*) FROM messages") == "2")
    }

    @Test func `A lost connection and too many clients are waited out`() async throws {
        let store = try StoreFixture(.postgres)
        let server = try #require(store.server)
        let role = "\(store.name)_writer"
        try store.query("CREATE ROLE \(role) LOGIN; GRANT CREATE ON SCHEMA public TO \(role)")
        let load = try ToolRun(
            "msg-store", ["load"], environment: ["TGPIPE_DB": server.address(store.name, user: role)])
        load.send(events.message(1))
        #expect(
            try await eventually {
                try store.query("SELECT count(*) FROM pg_tables WHERE tablename = 'messages'") == "1"
            })
        #expect(try await eventually { try store.query("SELECT count(*) FROM messages") == "1" })
        try store.query("ALTER ROLE \(role) CONNECTION LIMIT 0")
        try store.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '\(role)'")
        load.send(events.message(2))
        load.closeInput()
        #expect(try await eventually { load.log.contains("the database cannot store now") })
        try store.query("ALTER ROLE \(role) CONNECTION LIMIT -1")
        #expect(try await load.result().status == 0)
        #expect(try store.query("SELECT count(*) FROM messages") == "2")
    }

    @Test func `A connection that is cut after each COMMIT loses and doubles nothing`() async throws {
        let store = try StoreFixture(.postgres)
        let server = try #require(store.server)
        let proxy = try PostgresProxy(to: server.socketPath, cuts: 6)
        // The first transaction makes the tables; its loss would only end the start.
        #expect(try await store.run("load").status == 0)
        let address = "postgresql://postgres@127.0.0.1:\(proxy.port)/\(store.name)"
        let load = try ToolRun("msg-store", ["load"], environment: ["TGPIPE_DB": address])
        for line in events.history(Array(1...500)) { load.send(line) }
        load.send(events.deletion([7], at: 5))
        load.closeInput()
        #expect(try await load.result().status == 0)
        #expect(proxy.cutsLeft < 6)
        #expect(
            try store.query("SELECT count(*), count(DISTINCT message_id), count(deleted_at) FROM messages")
                == "500|500|1")
        #expect(try await store.run("verify").status == 0)
    }

    @Test func `A full disk is waited out`() async throws {
        let server = try PostgresServer(tablespaceBytes: 12 << 20)
        let store = try StoreFixture(.postgres, server: server)
        #expect(try await store.run("load").status == 0)
        try store.query("ALTER TABLE messages SET TABLESPACE small")
        let load = try store.start("load")
        // The server would pack a text that repeats itself.
        var generator = SeededGenerator(seed: 1)
        let input = (1...6000).map { id in
            events.message(id, (0..<90).map { _ in String(generator.next(), radix: 36) }.joined())
        }
        Thread.detachNewThread {
            load.send(Array((input.joined(separator: "\n") + "\n").utf8))
            load.closeInput()
        }
        #expect(try await eventually { load.log.contains("No space left on device") })
        try server.enlargeTablespace(toBytes: 200 << 20)
        #expect(try await load.result().status == 0)
        #expect(try store.query("SELECT count(*), count(DISTINCT message_id) FROM messages") == "6000|6000")
    }

    /// `TGPIPE_TEST_KILLS` sets the number of kills; `scripts/test.sh` leaves it at a few.
    @Test func `Killing load and the server at random loses and doubles nothing`() async throws {
        let kills = Int(ProcessInfo.processInfo.environment["TGPIPE_TEST_KILLS"] ?? "") ?? 5
        let server = try PostgresServer()
        let store = try StoreFixture(.postgres, server: server)
        let redis = try RedisServer(configuration: RedisServer.durable)
        let environment = [
            "TGPIPE_DB": store.address, "TGPIPE_REDIS": redis.address, "TGPIPE_LOG": "json:info",
        ]
        let ids = (1...Int64(400 * kills)).filter { $0 % 9 != 0 }
        let lines = events.history(ids)
        #expect(
            try await ToolRun.run(
                "ev-queue", ["push", "history"], input: lines.joined(separator: "\n") + "\n", environment: environment
            ).status == 0)
        var generator = SeededGenerator(seed: 3)
        let arguments = ["load", "--from", "queue:history", "--lease", "500ms", "--max-attempts", "1000"]
        for kill in 0..<kills {
            let load = try ToolRun("msg-store", arguments, environment: environment)
            try await Task.sleep(for: .milliseconds(Int.random(in: 20...400, using: &generator)))
            if kill % 3 == 2 {
                server.stopImmediately()
                try server.start()
            }
            load.signal(SIGKILL)
            _ = try await load.result()
        }
        let load = try ToolRun("msg-store", arguments, environment: environment)
        #expect(
            try await ToolRun.run(
                "ev-queue", ["wait", "history", "--group", "msg-store"], environment: environment
            ).status == 0)
        load.signal(SIGTERM)
        #expect(try await load.result().status == 0)
        #expect(
            try store.query("SELECT count(*), count(DISTINCT message_id), sum(views) FROM messages")
                == "\(ids.count)|\(ids.count)|\(ids.reduce(0, +))")
        #expect(try await store.run("verify").status == 0)
    }

    @Test func `Events of a queue are acknowledged only when they are committed`() async throws {
        let server = try PostgresServer()
        let store = try StoreFixture(.postgres, server: server)
        let queues = try QueueFixture()
        let environment = ["TGPIPE_DB": store.address].merging(queues.environment) { $1 }
        try await queues.run("ev-queue", "push", "news", input: events.message(1))
        let load = try ToolRun("msg-store", ["load", "--from", "queue:news"], environment: environment)
        #expect(try await eventuallyAsync { try await queues.stats("news")["events"] == 0 })
        server.stopImmediately()
        try await queues.run("ev-queue", "push", "news", input: events.message(2) + "\n" + QueueFixture.events(0..<1))
        #expect(try await eventually { load.log.contains("the database cannot store now") })
        #expect(try await queues.stats("news")["events"] == 2)
        try server.start()
        #expect(try await eventuallyAsync { try await queues.stats("news")["events"] == 0 })
        #expect(try store.query("SELECT count(*) FROM messages") == "2")
        load.signal(SIGTERM)
        let result = try await load.result()
        #expect(result.status == 0)
        #expect(result.output == QueueFixture.events(0..<1) + "\n")
    }
}
