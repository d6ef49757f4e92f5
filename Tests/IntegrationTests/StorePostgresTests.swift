import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Tests what only PostgreSQL does.
@Suite(.timeLimit(.minutes(5))) struct StorePostgresTests {
    private let events = StoreEvents()

    @Test func `The same again writes next to nothing and leaves the rows alone`() async throws {
        let store = try StoreFixture(.postgres)
        let history = events.history(Array(1...5000))
        #expect(try await store.run("load", input: history).status == 0)
        let rows = "SELECT md5(string_agg(xmin::text || ctid::text, ',' ORDER BY message_id)) FROM messages"
        let before = try store.query(rows)
        let start = try store.query("SELECT pg_current_wal_lsn()")
        #expect(try await store.run("load", input: history).status == 0)
        let written = try #require(Int(try store.query("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '\(start)')")))
        #expect(try store.query(rows) == before)
        // The catalogues note the temporary table, and the server's own work may write a little.
        #expect(written <= 5 * 5000 + 65_536)
    }

    @Test func `A poisonous row amid thousands is set aside to the byte, and stored by replay`() async throws {
        let store = try StoreFixture(.postgres)
        var history = events.history(Array(1...5000))
        let index = try #require(history.firstIndex { $0.contains(#""message_id":2500,"#) })
        history[index] = events.message(2500, "a\0b", views: 2500)
        let loaded = try await store.run("load", "--failures", store.folder("failed.ndjson"), input: history)
        #expect(loaded.status == 65)
        #expect(try store.query("SELECT count(*) FROM messages") == "4999")
        #expect(try store.query("SELECT convert_from(line, 'UTF8') FROM failures") == history[index])
        #expect(try String(contentsOfFile: store.folder("failed.ndjson"), encoding: .utf8) == history[index] + "\n")
        #expect(try await store.run("replay", "--list").output == history[index] + "\n")
        let verified = try await store.run("verify", "--json")
        #expect(verified.status == 1)
        #expect(try JSON(parsing: verified.lines[0])["failures"] == [2500])
        // Telegram would answer with the same message.
        let plan = try await store.run("plan", "--all", "--holes-only")
        #expect(plan.status == 0 && plan.output.isEmpty)
        #expect(plan.errors.contains("1 messages are not asked for again"))
        #expect(try await store.run("replay", "--exact").status == 1)
        #expect(try await store.run("verify").status == 1)
        #expect(try await store.run("replay").status == 0)
        #expect(try store.query("SELECT text FROM messages WHERE message_id = 2500") == "a\u{FFFD}b")
        #expect(try await store.run("verify").status == 0)
    }

    @Test func `Rows that a rule of the database refuses are stored once the rule is gone`() async throws {
        let store = try StoreFixture(.postgres)
        #expect(try await store.run("load").status == 0)
        try store.query("ALTER TABLE messages ADD CONSTRAINT odd CHECK (message_id NOT IN (17, 450, 451, 900))")
        let history = events.history(Array(1...1000))
        #expect(try await store.run("load", input: history).status == 65)
        #expect(try store.query("SELECT count(*) FROM messages") == "996")
        #expect(try store.query("SELECT message_id FROM failures ORDER BY 1") == "17\n450\n451\n900")
        #expect(try await store.run("replay").status == 1)
        try store.query("ALTER TABLE messages DROP CONSTRAINT odd")
        #expect(try await store.run("replay").status == 0)
        #expect(try await store.run("verify").status == 0)
    }

    @Test func `A time that no database holds does not keep the others from being stored`() async throws {
        let store = try StoreFixture(.postgres)
        let far = events.message(2).replacingOccurrences(of: #""date":1790000002"#, with: #""date":9000000000000000"#)
        #expect(far.contains("9000000000000000"))
        #expect(try await store.run("load", input: [events.message(1), far, events.message(3)]).status == 65)
        #expect(try store.query("SELECT message_id FROM messages ORDER BY 1") == "1\n3")
        #expect(try await store.run("replay").status == 0)
        #expect(try store.query("SELECT date FROM messages WHERE message_id = 2").hasPrefix("9999-"))
    }

    @Test func `A message that another program stores at the same moment is merged`() async throws {
        let store = try StoreFixture(.postgres)
        let server = try #require(store.server)
        #expect(try await store.run("load").status == 0)
        // Load does not see the row before it copies its own, and waits for it then.
        let insert = "INSERT INTO messages (chat_id, message_id, owner_id) VALUES (\(StoreEvents.channel), 250, 0)"
        let other = try server.begin(store.name, "\(insert); SELECT pg_sleep(3)")
        let sleeping =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
        while try store.query(sleeping) != "1" { try await Task.sleep(for: .milliseconds(20)) }
        #expect(try await store.run("load", input: events.history(Array(1...500))).status == 0)
        _ = other
        #expect(try store.query("SELECT count(*) FROM messages") == "500")
        #expect(try store.query("SELECT text FROM messages WHERE message_id = 250") == "text 250")
        #expect(try await store.run("verify").status == 0)
    }

    @Test func `Messages kept as jsonb are copied over two connections`() async throws {
        let store = try StoreFixture(.postgres)
        #expect(try await store.run("load", "--raw", "jsonb").status == 0)
        try noteConnections(in: store)
        #expect(try await store.run("load", input: events.history(Array(1...2400))).status == 0)
        #expect(try store.query("SELECT count(*) FROM messages") == "2400")
        #expect(try store.query("SELECT count(DISTINCT pid) FROM connections") == "2")
        #expect(try await store.run("verify").status == 0)
    }

    @Test func `A poisonous row of the half that the second connection copies is set aside`() async throws {
        let store = try StoreFixture(.postgres)
        var history = events.history(Array(1...2000))
        let index = try #require(history.firstIndex { $0.contains(#""message_id":1900,"#) })
        history[index] = events.message(1900, "a\0b", views: 1900)
        #expect(try await store.run("load", "--raw", "jsonb", input: history).status == 65)
        #expect(try store.query("SELECT count(*) FROM messages") == "1999")
        #expect(try await store.run("verify").status == 1)
        #expect(try await store.run("replay").status == 0)
        #expect(try await store.run("verify").status == 0)
    }

    /// Has the database note which connections store messages.
    private func noteConnections(in store: StoreFixture) throws {
        try store.query(
            """
            CREATE TABLE connections (pid integer); GRANT ALL ON connections TO PUBLIC; \
            CREATE FUNCTION note_connection() RETURNS trigger LANGUAGE plpgsql AS \
            'BEGIN INSERT INTO connections VALUES (pg_backend_pid()); RETURN NULL; END'; \
            CREATE TRIGGER noted AFTER INSERT ON messages EXECUTE FUNCTION note_connection()
            """)
    }

    @Test func `Messages kept as jsonb are merged if another program stores one of the second half`() async throws {
        let store = try StoreFixture(.postgres)
        let server = try #require(store.server)
        #expect(try await store.run("load", "--raw", "jsonb").status == 0)
        let insert = "INSERT INTO messages (chat_id, message_id, owner_id) VALUES (\(StoreEvents.channel), 1900, 0)"
        let other = try server.begin(store.name, "\(insert); SELECT pg_sleep(4)")
        let sleeping =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
        while try store.query(sleeping) != "1" { try await Task.sleep(for: .milliseconds(20)) }
        #expect(try await store.run("load", input: events.history(Array(1...2000))).status == 0)
        _ = other
        #expect(try store.query("SELECT count(*), count(text) FROM messages") == "2000|2000")
        #expect(try await store.run("verify").status == 0)
    }

    @Test func `Messages kept as jsonb are stored over one connection if the server allows no second one`() async throws
    {
        let store = try StoreFixture(.postgres)
        let server = try #require(store.server)
        #expect(try await store.run("load", "--raw", "jsonb").status == 0)
        let role = "\(store.name)_single"
        try store.query(
            "CREATE ROLE \(role) LOGIN CONNECTION LIMIT 1; GRANT ALL ON ALL TABLES IN SCHEMA public TO \(role)")
        try noteConnections(in: store)
        let input = events.history(Array(1...2400)).joined(separator: "\n") + "\n"
        let loaded = try await ToolRun.run(
            "msg-store", ["load"], input: input,
            environment: ["TGPIPE_DB": server.address(store.name, user: role)])
        #expect(loaded.status == 0, "\(loaded.errors)")
        #expect(try store.query("SELECT count(*) FROM messages") == "2400")
        #expect(try store.query("SELECT count(DISTINCT pid) FROM connections") == "1")
        #expect(try await store.run("verify").status == 0)
    }

    @Test func `Messages are stored by a user whose rows are limited by policies`() async throws {
        let store = try StoreFixture(.postgres)
        let server = try #require(store.server)
        #expect(try await store.run("load").status == 0)
        let role = "\(store.name)_writer"
        try store.query(
            """
            CREATE ROLE \(role) LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO \(role); \
            ALTER TABLE messages ENABLE ROW LEVEL SECURITY; \
            CREATE POLICY own ON messages TO \(role) USING (chat_id < 0) WITH CHECK (chat_id < 0)
            """)
        let input = events.history(Array(1...300)).joined(separator: "\n") + "\n"
        let loaded = try await ToolRun.run(
            "msg-store", ["load"], input: input,
            environment: ["TGPIPE_DB": server.address(store.name, user: role)])
        #expect(loaded.status == 0, "\(loaded.errors)")
        #expect(try store.query("SELECT count(*) FROM messages") == "300")
    }

    @Test func `The dictionary of packed messages is kept if the first batch was stored in parts`() async throws {
        let store = try StoreFixture(.postgres)
        var history = events.history(Array(1...3000))
        let index = try #require(history.firstIndex { $0.contains(#""message_id":2900,"#) })
        history[index] = events.message(2900, "a\0b")
        #expect(try await store.run("load", "--raw", "zstd", input: history).status == 65)
        #expect(try store.query("SELECT count(*) FROM dictionaries") == "1")
        let exported = try await store.run("export")
        #expect(exported.status == 0)
        #expect(exported.lines.count == 2999)
        #expect(try JSON(parsing: exported.lines[0])["message"]?["text"] == "text 1")
    }

    // MARK: What is refused

    @Test func `A database that does not suit is refused before anything is read`() async throws {
        let server = try PostgresServer.shared.get()
        let latin = try server.makeDatabase("ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
        let taken = try server.makeDatabase()
        try server.query(taken, "CREATE TABLE users (name text)")
        let newer = try server.makeDatabase()
        try server.query(newer, "CREATE TABLE tgpipe_archive (version bigint, raw text)")
        try server.query(newer, "INSERT INTO tgpipe_archive VALUES (99, 'text')")
        try server.query("postgres", "DROP ROLE IF EXISTS guest; CREATE ROLE guest LOGIN")
        let closed = try server.makeDatabase()
        let addresses = [
            (server.address(latin), "its encoding is LATIN1"),
            (server.address(taken), "the table users is another program's"),
            (server.address(newer), "version 99"), (server.address(closed, user: "guest"), "may not make tables"),
            (server.address("nowhere"), "does not exist"),
        ]
        for (address, words) in addresses {
            let result = try await ToolRun.run(
                "msg-store", ["load"], input: events.message(1) + "\n", environment: ["TGPIPE_DB": address])
            #expect(result.status == 78, "\(words): \(result.errors)")
            #expect(result.errors.contains(words), "\(result.errors)")
        }
        #expect(try server.query(taken, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "1")
    }

    @Test func `Missing rights are told`() async throws {
        let store = try StoreFixture(.postgres)
        let server = try #require(store.server)
        #expect(try await store.run("load", input: events.history([1, 2, 3])).status == 0)
        try store.query(
            "CREATE ROLE \(store.name)_reader LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO \(store.name)_reader"
        )
        let address = server.address(store.name, user: "\(store.name)_reader")
        let load = try await ToolRun.run("msg-store", ["load"], environment: ["TGPIPE_DB": address])
        #expect(load.status == 78)
        #expect(load.errors.contains("INSERT on messages"))
        #expect(try await ToolRun.run("msg-store", ["verify"], environment: ["TGPIPE_DB": address]).status == 0)
        try store.query("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM \(store.name)_reader")
        for command in ["load", "verify", "plan"] {
            let arguments = command == "plan" ? [command, "--all"] : [command]
            let refused = try await ToolRun.run("msg-store", arguments, environment: ["TGPIPE_DB": address])
            #expect(refused.status == 78)
            #expect(refused.errors.contains("\(store.name)?host="), "\(refused.errors)")
            #expect(refused.errors.contains("let the owner of its tables GRANT"), "\(refused.errors)")
        }
    }

    @Test func `A password is neither accepted in arguments nor shown`() async throws {
        let secret = "postgresql://ann:Sup3rSecret@127.0.0.1:1/nowhere"
        let flag = try await ToolRun.run("msg-store", ["verify", "--db", secret])
        #expect(flag.status == 78)
        #expect(!flag.errors.contains("Sup3rSecret"))
        let variable = try await ToolRun.run("msg-store", ["verify"], environment: ["TGPIPE_DB": secret])
        #expect(variable.status == 69)
        #expect(variable.errors.contains("postgresql://ann@127.0.0.1:1/nowhere"))
        #expect(!variable.errors.contains("Sup3rSecret"))
        for broken in ["postgresql://ann:Sup3rSecret@[::1/x", "mysql://ann:Sup3rSecret@host/x"] {
            let result = try await ToolRun.run("msg-store", ["verify"], environment: ["TGPIPE_DB": broken])
            #expect(result.status != 0)
            #expect(!result.errors.contains("Sup3rSecret"))
        }
    }

    @Test func `Unknown chats and databases without an archive are told`() async throws {
        let store = try StoreFixture(.postgres)
        #expect(try await store.run("verify").status == 78)
        let plan = try await store.run("plan", "@durov", "https://t.me/telegram")
        #expect(plan.status == 0)
        #expect(try plan.envelopes().map { $0.payload["chat_id"]?.string } == ["@durov", "@telegram"])
        #expect(try await store.run("plan", "--all").status == 78)
        #expect(try await store.run("plan", "no such name!").status == 64)
        #expect(try await store.run("load", input: [events.message(1)]).status == 0)
        #expect(try await store.run("verify", "@durov").status == 1)
        #expect(try await store.run("verify", "@some_news").status == 0)
    }
}
