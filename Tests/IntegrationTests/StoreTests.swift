import Envelope
import Foundation
import JSON
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct StoreTests {
    private let events = StoreEvents()
    /// The ids of a chat from which messages were deleted before it was read.
    private let ids: [Int64] = (1...2600).filter { $0 % 13 != 0 }

    @Test(arguments: StoreFixture.Database.allCases)
    func `A history is complete once it is loaded, and a lost row or range is named and planned`(
        database: StoreFixture.Database
    ) async throws {
        let store = try StoreFixture(database)
        // An archive that was made and got nothing is not complete.
        #expect(try await store.run("load").status == 0)
        #expect(try await store.run("verify").status == 1)
        let history = events.history(ids)
        #expect(try await store.run("load", input: history).status == 0)
        #expect(try store.query("SELECT count(*), sum(views) FROM messages") == "\(ids.count)|\(ids.reduce(0, +))")
        let whole = try await store.run("verify")
        #expect(whole.status == 0)
        #expect(whole.output.contains("nothing is missing"))
        #expect(try await store.planned() == [])

        // A range has at most 1,000 messages, wherever it begins, so that these losses are in ranges of their own.
        try store.query("DELETE FROM messages WHERE message_id = 100")
        try store.query("DELETE FROM messages WHERE message_id IN (1301, 1310)")
        try store.query("DELETE FROM messages WHERE message_id BETWEEN 2500 AND 2520")
        let broken = try await store.run("verify")
        #expect(broken.status == 1)
        #expect(broken.output.contains("missing: 100, 1301, 1310, 2500–2520"))
        #expect(try await store.planned() == ["2500-2520", "1310-1310", "1301-1301", "100-100"])
        // What is read again mends it: as a page, and as a single message.
        let again = ids.filter { $0 >= 2500 && $0 <= 2520 }
        #expect(
            try await store.run(
                "load",
                input: again.map { events.message($0, "text \($0)", views: $0) } + [events.range(2500, 2520, again)]
                    + [100, 1301, 1310].flatMap {
                        [events.message($0, "text \($0)", views: $0), events.range($0, $0, [$0])]
                    }
            ).status == 0)
        #expect(try await store.run("verify").status == 0)

        let ranges = try store.query("SELECT from_id, to_id FROM ranges ORDER BY to_id LIMIT 1")
        #expect(ranges.hasPrefix("1|"))
        try store.query("DELETE FROM ranges WHERE from_id = 1")
        let unproven = try await store.run("verify", "--json")
        #expect(unproven.status == 1)
        let end = try #require(Int64(ranges.split(separator: "|")[1]))
        #expect(
            try JSON(parsing: unproven.lines[0])["holes"]?.array?.count == (1...end).filter { $0 % 13 == 0 }.count)
    }

    @Test(arguments: StoreFixture.Database.allCases)
    func `The same events three times, backwards and shuffled make the same table`(
        database: StoreFixture.Database
    ) async throws {
        var stream = events.history(Array(1...300))
        for id in stride(from: Int64(1), through: 300, by: 7) {
            stream.append(events.message(id, "edited \(id)", edited: 10, pts: 20 + id, views: id + 5, at: 10 + id))
            stream.append(events.message(id, "edited again", edited: 20, pts: 400 + id, at: 400 + id, isLive: true))
        }
        stream.append(events.deletion([3, 8, 299], at: 900))
        stream.append(events.deletion([4], at: 901))
        for id in 301...320 { stream.append(events.message(Int64(id), "live", at: Int64(id), isLive: true)) }
        let group = StoreEvents(chat: -42, type: "group", account: 5)
        stream += group.history(Array(1...20)) + [group.deletion([2], at: 5, namesChat: false)]
        var generator = SeededGenerator(seed: 7)
        let orders = [stream, stream + stream + stream, stream.reversed(), stream.shuffled(using: &generator)]
        var tables: [String] = []
        for order in orders {
            let store = try StoreFixture(database)
            #expect(try await store.run("load", input: order).status == 0)
            tables.append(try store.contents())
            #expect(try await store.run("verify").status == 0)
        }
        #expect(tables[0].contains("edited again"))
        #expect(tables[0].contains("text 1"))
        for table in tables.dropFirst() { #expect(table == tables[0]) }
    }

    @Test(arguments: StoreFixture.Database.allCases)
    func `An old page after a newer edit or deletion changes nothing`(database: StoreFixture.Database) async throws {
        let store = try StoreFixture(database)
        let news = [
            events.message(1, "new", edited: 5, pts: 9, views: 50, at: 50, isLive: true),
            events.deletion([2, 3], at: 60), events.message(3, "three", at: 1),
        ]
        #expect(try await store.run("load", input: news).status == 0)
        let page = [
            events.message(1, "old", views: 10, at: 10), events.message(2, "two", at: 10),
            events.message(3, "three", at: 10), events.range(1, 3, [1, 2, 3], at: 10),
        ]
        #expect(try await store.run("load", input: page).status == 0)
        let rows = try store.query(
            "SELECT message_id, text, views, CASE WHEN deleted_at IS NULL THEN 0 ELSE 1 END FROM messages ORDER BY message_id"
        )
        #expect(rows == "1|new|50|0\n2|two||1\n3|three||1")
        #expect(try store.query("SELECT text FROM versions") == "old")
        #expect(try await store.run("verify").status == 0)
    }

    @Test(arguments: StoreFixture.Database.allCases)
    func `A message that a later page lacks is deleted, and the chat stays complete`(
        database: StoreFixture.Database
    ) async throws {
        let store = try StoreFixture(database)
        #expect(try await store.run("load", input: events.history(Array(1...150))).status == 0)
        let rest = Array(1...150).filter { $0 != 70 }.map(Int64.init)
        #expect(try await store.run("load", input: events.history(rest, at: 100)).status == 0)
        #expect(try store.query("SELECT message_id FROM messages WHERE deleted_at IS NOT NULL") == "70")
        #expect(try await store.run("verify").status == 0)
    }

    @Test(arguments: StoreFixture.Database.allCases)
    func `A hole that a listener tells of is missing until it is read again`(
        database: StoreFixture.Database
    ) async throws {
        let store = try StoreFixture(database)
        #expect(try await store.run("load", input: events.history(Array(1...50))).status == 0)
        #expect(try await store.run("load", input: [events.hole(from: 51, at: 10)]).status == 0)
        let verified = try await store.run("verify")
        #expect(verified.status == 1)
        #expect(verified.output.contains("updates were lost from 51 on"))
        let plan = try await store.run("plan", "--all", "--holes-only").envelopes()
        #expect(plan.map { $0.payload["from_id"]?.int } == [51])
        #expect(plan.first?.payload["to_id"] == nil)
        // An older page proves nothing about what came after it.
        #expect(try await store.run("load", input: [events.range(51, 60, [], newest: 50, at: 5)]).status == 0)
        #expect(try await store.run("verify").status == 1)
        let news = (51...60).map { events.message(Int64($0), at: 20) }
        let range = events.range(51, 60, (51...60).map(Int64.init), newest: 60, at: 20)
        #expect(try await store.run("load", input: news + [range]).status == 0)
        #expect(try await store.run("verify").status == 0)
    }

    @Test(arguments: StoreFixture.Database.allCases)
    func `Equal ids of two accounts do not collide, and a group that migrated is one history`(
        database: StoreFixture.Database
    ) async throws {
        let store = try StoreFixture(database)
        let first = StoreEvents(chat: 9, type: "private", account: 1)
        let second = StoreEvents(chat: 9, type: "private", account: 2)
        let old = StoreEvents(chat: -42, type: "group", account: 1)
        let new = StoreEvents(chat: -1_000_000_000_042, type: "supergroup", account: 1)
        var input = first.history([1, 2]) + second.history([1, 3]) + old.history([1, 2, 3])
        input.append(new.message(1, "moved", fields: #","migrate_from_chat_id":-42"#))
        input += [new.message(2), new.range(1, 2, [1, 2])]
        // Only the range tells it when the service message has a text.
        input = input.map {
            $0.replacingOccurrences(of: #""text":"moved","#, with: "")
        }
        #expect(try await store.run("load", input: input).status == 0)
        #expect(
            try store.query("SELECT owner_id, message_id FROM messages WHERE chat_id = 9 ORDER BY owner_id, message_id")
                == "1|1\n1|2\n2|1\n2|3")
        #expect(try await store.run("verify").status == 0)
        let export = try await store.run("export", "--chat=-1000000000042").lines.map { try JSON(parsing: $0) }
        #expect(
            export.map { "\($0["chat_id"]?.int ?? 0) \($0["message_id"]?.int ?? 0)" } == [
                "-42 1", "-42 2", "-42 3", "-1000000000042 1", "-1000000000042 2",
            ])
        try store.query("DELETE FROM messages WHERE chat_id = -42 AND message_id = 2")
        let plan = try await store.run("plan", "--holes-only", "--", "-1000000000042").envelopes()
        #expect(plan.map { $0.payload["chat_id"]?.int } == [-42])
        #expect(plan.first?.payload["account_id"]?.int == 1)
    }

    @Test(arguments: StoreFixture.Database.allCases)
    func `Events that the archive does not handle are forwarded, and malformed ones refused`(
        database: StoreFixture.Database
    ) async throws {
        let store = try StoreFixture(database)
        let other = QueueFixture.events(0..<2)
        let faulty = events.message(1).replacingOccurrences(of: #""message_id":1,"#, with: "")
        let result = try await store.run("load", input: [other, faulty, "{oops", events.message(2)])
        #expect(result.status == 65)
        #expect(result.output == other + "\n")
        #expect(try store.query("SELECT message_id FROM messages") == "2")
    }

    @Test(arguments: StoreFixture.Database.allCases)
    func `Words are found after the index is made`(database: StoreFixture.Database) async throws {
        let store = try StoreFixture(database)
        let input = [events.message(1, "free as in speech"), events.message(2, "free as in beer, \"cheers\"")]
        #expect(try await store.run("load", input: input).status == 0)
        #expect(try await store.run("export", "--search", "beer").status == 78)
        #expect(try await store.run("index", "--search").status == 0)
        #expect(try await store.run("index", "--search").status == 0)
        #expect(try await store.run("load", input: [events.message(3, "more beer")]).status == 0)
        let found = try await store.run("export", "--search", "beer", "--format", "csv")
        #expect(found.status == 0)
        #expect(found.lines.count == 3)
        #expect(found.output.contains("\"free as in beer, \"\"cheers\"\"\"\r\n"))
    }

    @Test(arguments: ["jsonb", "zstd", "none"], StoreFixture.Database.allCases)
    func `Messages come back as they were written in each form`(
        form: String, database: StoreFixture.Database
    ) async throws {
        let store = try StoreFixture(database)
        let input = (1...700).map { events.message(Int64($0), "text \($0) ✓\n\u{1F600}") }
        #expect(try await store.run("load", "--raw", form, input: input).status == 0)
        #expect(try await store.run("load", "--raw", "text").status == 78)
        let lines = try await store.run("export").lines
        #expect(lines.count == 700)
        let last = try JSON(parsing: lines[699])
        #expect(last["text"]?.string == "text 700 ✓\n\u{1F600}")
        #expect(form == "none" ? last["message"] == nil : last["message"]?["text"]?.string == last["text"]?.string)
    }
}
