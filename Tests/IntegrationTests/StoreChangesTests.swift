import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Tests what the archive keeps of changes: lost updates, figures over time, and the versions of its tables.
@Suite(.timeLimit(.minutes(5))) struct StoreChangesTests {
    private let events = StoreEvents()

    // MARK: Lost updates

    @Test(arguments: StoreFixture.Database.allCases)
    func `After lost updates only the newest messages are read again`(database: StoreFixture.Database) async throws {
        let store = try StoreFixture(database)
        #expect(try await store.run("load", input: events.history(Array(1...300))).status == 0)
        let hole = events.hole(from: 1, to: 320, at: 10)
        #expect(try await store.run("load", "--refresh-last", "100", input: [hole]).status == 0)
        let verified = try await store.run("verify")
        #expect(verified.status == 1)
        #expect(verified.output.contains("missing: 301–320\n"))
        #expect(verified.output.contains("to be read again, because updates were lost: 201–320\n"))
        #expect(try await store.planned() == ["201-320"])
        // What was read before the updates were lost does not know them, whenever it is stored.
        let older = (201...320).map { events.message(Int64($0), "older", views: Int64($0), at: 5) }
        let olderRange = events.range(201, 320, Array(201...320), at: 5)
        #expect(try await store.run("load", input: older + [olderRange]).status == 0)
        #expect(try await store.planned() == ["201-320"])
        // 250 was edited, and 260 deleted, without anybody telling it.
        let ids = (201...320).filter { $0 != 260 }.map(Int64.init)
        let newer = ids.map { id in
            events.message(id, id == 250 ? "edited" : "text \(id)", edited: id == 250 ? 900 : nil, pts: 9, at: 20)
        }
        #expect(try await store.run("load", input: newer + [events.range(201, 320, ids, at: 20)]).status == 0)
        #expect(try await store.run("verify").status == 0)
        #expect(try await store.planned() == [])
        #expect(try store.query("SELECT text FROM messages WHERE message_id = 250") == "edited")
        #expect(try store.query("SELECT message_id FROM messages WHERE deleted_at IS NOT NULL") == "260")
        #expect(try store.query("SELECT count(*) FROM holes") == "0")
    }

    @Test(arguments: StoreFixture.Database.allCases)
    func `What another tool had read when updates were lost is read again, too`(
        database: StoreFixture.Database
    ) async throws {
        let store = try StoreFixture(database)
        #expect(try await store.run("load", input: events.history(Array(1...300))).status == 0)
        // The listener knew messages up to 250, and the rest came from the history.
        let hole = events.hole(from: 1, to: 250, at: 10)
        #expect(try await store.run("load", "--refresh-last", "100", input: [hole]).status == 0)
        #expect(try await store.planned() == ["151-300"])
        // A page that was read at that time comes late.
        let late = (301...310).map { events.message(Int64($0), at: 5) }
        #expect(
            try await store.run("load", input: late + [events.range(301, 310, Array(301...310), newest: 310, at: 5)])
                .status == 0)
        #expect(try await store.run("verify", "--json").lines.contains { $0.contains(#""complete":false"#) })
        let newer = (151...312).map { events.message(Int64($0), at: 20) }
        let range = events.range(151, 312, Array(151...312), newest: 312, at: 20)
        #expect(try await store.run("load", input: newer + [range]).status == 0)
        #expect(try await store.run("verify").status == 0)
    }

    @Test(arguments: StoreFixture.Database.allCases)
    func `Lost updates of an account concern its newest messages of all chats together`(
        database: StoreFixture.Database
    ) async throws {
        let store = try StoreFixture(database)
        let first = StoreEvents(chat: 9, type: "private", account: 5)
        let second = StoreEvents(chat: 10, type: "private", account: 5)
        #expect(
            try await store.run("load", input: first.history(Array(1...50)) + second.history(Array(51...90))).status
                == 0)
        let hole = first.hole(from: 1, at: 10).replacingOccurrences(of: #""chat_id":9,"#, with: "")
        #expect(try await store.run("load", "--refresh-last", "60", input: [hole]).status == 0)
        #expect(try store.query("SELECT chat_id, from_id FROM holes ORDER BY chat_id") == "9|31\n10|31")
        // With no message to read again, there is nothing but what is newer.
        #expect(try await store.run("load", "--refresh-last", "0", input: [hole]).status == 0)
        #expect(try store.query("SELECT chat_id, from_id FROM holes ORDER BY 1, 2") == "9|31\n9|91\n10|31\n10|91")
    }

    @Test func `Known messages are asked for again on demand, and each only once`() async throws {
        let store = try StoreFixture(.sqlite)
        #expect(try await store.run("load", input: events.history(Array(1...300))).status == 0)
        try store.query("DELETE FROM messages WHERE message_id IN (20, 280)")
        let plan = try await store.run("plan", "--all", "--refresh-last", "100").envelopes()
        #expect(plan.map { $0.payload["from_id"]?.int } == [200, 20])
        #expect(plan.map { $0.payload["to_id"]?.int } == [nil, 20])
    }

    // MARK: Figures over time

    @Test(arguments: StoreFixture.Database.allCases)
    func `Figures are kept over time on demand, each time that they change`(
        database: StoreFixture.Database
    ) async throws {
        let reaction =
            #"{"id":"0191e0a0-0000-7000-8000-00000000000a","type":"events.telegram.raw","version":1,"#
            + #""correlation_id":"0191e0a0-0000-7000-8000-000000000001","timestamp":"2027-01-01T00:00:00.000000Z","#
            + #""payload":{"update_id":1,"message_reaction_count":{"chat":{"id":\#(StoreEvents.channel),"type":"channel"},"#
            + #""message_id":1,"date":1,"reactions":[{"type":{"type":"emoji","emoji":"a\u0000b"},"total_count":3}]}}}"#
        let stream =
            [(10, 0), (10, 5), (12, 9), (12, 11), (15, 20)].map { views, time in
                events.message(1, views: Int64(views), at: Int64(time))
            } + [events.message(2, views: 7, at: 1), events.message(3, at: 1)]
        let rows = "SELECT message_id, views FROM counters ORDER BY message_id, counted_at"
        let expected = "1|10\n1|12\n1|15\n2|7"
        for order in [stream, stream.reversed(), stream + stream] {
            let store = try StoreFixture(database)
            #expect(try await store.run("load", "--counters", input: order).status == 0)
            #expect(try store.query(rows) == expected)
        }
        // The same in transactions of their own.
        let store = try StoreFixture(database)
        for event in stream.reversed() + stream {
            #expect(try await store.run("load", "--counters", input: [event]).status == 0)
        }
        #expect(try store.query(rows) == expected)
        let reacted = try await store.run("load", "--counters", input: [reaction])
        #expect(reacted.status == 0, "\(reacted.errors.suffix(1000))")
        let export = try await store.run("export", "--counters", "--until", "2026-12-31").lines.map {
            try JSON(parsing: $0)
        }
        #expect(export.map { $0["views"]?.int } == [10, 12, 15, 7])
        #expect(export.first?["counted_at"]?.string?.hasPrefix("2026-") == true)
        let csv = try await store.run("export", "--counters", "--format", "csv", "--since", "2026-12-31").lines
        #expect(csv.count == 2 && csv[1].contains("2027-01-01T00:00:00") && csv[1].contains("total_count"))
        let status = try await store.run("status", "--json").lines.map { try JSON(parsing: $0) }
        #expect(status.map { $0["counters"]?.int } == [5])
        // They are only kept when they are asked for.
        #expect(try await store.run("load", input: [events.message(2, views: 99, at: 50)]).status == 0)
        #expect(try store.query("SELECT count(*) FROM counters") == "5")
        #expect(try store.query("SELECT views FROM messages WHERE message_id = 2") == "99")
    }

    // MARK: Broken tables

    @Test(arguments: StoreFixture.Database.allCases)
    func `Ranges that somebody has broken are named, read again, and end no tool`(
        database: StoreFixture.Database
    ) async throws {
        let store = try StoreFixture(database)
        let history = events.history((1...2500).filter { $0 % 7 != 0 })
        #expect(try await store.run("load", input: history).status == 0)
        let last = "WHERE to_id = (SELECT max(to_id) FROM ranges WHERE to_id < 10000)"
        for change in [
            "checksum = 'zz'", "count = -1", "count = \(Int64.max)", "count = \(Int64.max - 1)",
            "from_id = 0 \(last)", "from_id = \(Int64.max) \(last)", "to_id = \(Int64.max) \(last)",
        ] {
            try store.query("UPDATE ranges SET \(change)")
            let broken = try await store.run("verify")
            #expect(broken.status == 1, "\(change): \(broken.errors)")
            #expect(!broken.output.contains("\(Int64.max)\n"), "\(change): \(broken.output)")
            #expect(try await store.run("plan", "--all").status == 0)
            let load = try await store.run("load", input: history)
            #expect(load.status == 0, "\(change): \(load.errors)")
            let verified = try await store.run("verify")
            #expect(verified.status == 0, "\(change): \(verified.output)")
        }
        // A highest id that cannot be does not make commands without an end.
        try store.query("UPDATE chats SET newest_id = \(Int64.max)")
        let plan = try await store.run("plan", "--all", "--holes-only")
        #expect(plan.status == 0 && plan.lines.count <= 20_001 && plan.lines.count > 1)
        let range = events.range(1, 3, [1, 2, 3], newest: .max)
        let refused = try await store.run("load", input: [range])
        #expect(refused.errors.contains("newest_id is no id of a message"))
    }

    // MARK: Versions of the tables

    @Test(arguments: StoreFixture.Database.allCases)
    func `An older archive is upgraded by load, and a newer one is refused`(
        database: StoreFixture.Database
    ) async throws {
        let store = try StoreFixture(database)
        #expect(try await store.run("load", input: events.history(Array(1...50))).status == 0)
        try store.downgrade(to: 1)
        let old = try await store.run("verify")
        #expect(old.status == 78)
        #expect(old.errors.contains("has an archive of version 1, which 'msg-store load' upgrades to version 4"))
        // Several processes may find it at once.
        let loads = try (0..<4).map { _ in try store.start("load") }
        for load in loads { load.closeInput() }
        for load in loads { #expect(try await load.result().status == 0) }
        #expect(try store.query("SELECT version FROM tgpipe_archive") == "4")
        #expect(try await store.run("verify").status == 0)
        let whole = try StoreFixture(database)
        #expect(try await whole.run("load").status == 0)
        let names =
            database == .sqlite
            ? "SELECT name FROM sqlite_master ORDER BY name"
            : "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY relname"
        #expect(try store.query(names) == whole.query(names))
        try store.query("UPDATE tgpipe_archive SET version = 5")
        for command in ["load", "verify", "replay", "status"] {
            let newer = try await store.run(command)
            #expect(newer.status == 78 && newer.errors.contains("version 5"), "\(command): \(newer.errors)")
        }
    }

    @Test func `Only the owner of the tables can upgrade them`() async throws {
        let store = try StoreFixture(.postgres)
        let server = try #require(store.server)
        #expect(try await store.run("load", input: events.history(Array(1...5))).status == 0)
        try store.downgrade(to: 1)
        try store.query(
            "CREATE ROLE \(store.name)_writer LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO \(store.name)_writer")
        let address = server.address(store.name, user: "\(store.name)_writer")
        let load = try await ToolRun.run("msg-store", ["load"], environment: ["TGPIPE_DB": address])
        #expect(load.status == 78)
        #expect(load.errors.contains("only their owner can upgrade them: run 'msg-store load' once as"))
        #expect(try store.query("SELECT version FROM tgpipe_archive") == "1")
    }
}
