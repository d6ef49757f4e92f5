import TestSupport
import Testing

/// Tests that what was read before updates were lost is not believed, whenever it is stored.
@Suite(.timeLimit(.minutes(5))) struct StoreLossTests {
    private let events = StoreEvents()

    private func load(_ store: StoreFixture, _ input: String...) async throws {
        let result = try await store.run("load", input: input)
        #expect(result.status == 0, "\(result.errors)")
    }

    private func messages(_ ids: [Int64], pts: Int64 = 5, at second: Int64) -> [String] {
        ids.map { events.message($0, "text \($0)", pts: pts, at: second) }
    }

    private func deleted(_ store: StoreFixture) throws -> String {
        try store.query("SELECT message_id FROM messages WHERE deleted_at IS NOT NULL ORDER BY message_id")
    }

    @Test(arguments: StoreFixture.Database.allCases)
    func `Messages beyond a hole that were read before it do not prove themselves`(
        database: StoreFixture.Database
    ) async throws {
        let store = try StoreFixture(database)
        #expect(try await store.run("load", input: events.history(Array(1...20))).status == 0)
        try await load(store, events.hole(from: 1, to: 20, at: 100))
        // Rows of a page that was read before the loss come late, and their range never comes: the reader was killed. A message that
        // is told live after the loss proves itself.
        #expect(try await store.run("load", input: messages([21, 22, 23], at: 50)).status == 0)
        try await load(store, events.message(24, at: 150, isLive: true))
        #expect(try await store.planned() == ["1-23"])
        // Even after the hole was read.
        #expect(try await store.run("load", input: events.history(Array(1...20), at: 200)).status == 0)
        #expect(try store.query("SELECT count(*) FROM holes") == "0")
        let verified = try await store.run("verify")
        #expect(verified.status == 1)
        #expect(
            verified.output.contains("to be read again, because updates were lost: 21–23\n"), "\(verified.output)")
        // A range of that time is not believed either.
        try await load(store, events.range(21, 23, [21, 22, 23], at: 50))
        #expect(try await store.planned() == ["21-23"])
        let range = events.range(21, 23, [21, 23], at: 300)
        #expect(try await store.run("load", input: messages([21, 23], at: 300) + [range]).status == 0)
        #expect(try await store.run("verify").status == 0)
        #expect(try deleted(store) == "22")
    }

    @Test(arguments: StoreFixture.Database.allCases)
    func `A message that was read before a loss, and that a later range does not have, is read again`(
        database: StoreFixture.Database
    ) async throws {
        let store = try StoreFixture(database)
        try await load(store, events.hole(from: 1, to: 20, at: 100))
        let there = (1...20).filter { $0 != 7 }.map(Int64.init)
        #expect(try await store.run("load", input: events.history(there, at: 200)).status == 0)
        #expect(try await store.run("verify").status == 0)
        // A page that has the message, and its range, from before it was deleted.
        #expect(
            try await store.run("load", input: messages([6, 7, 8], at: 50) + [events.range(6, 8, [6, 7, 8], at: 50)])
                .status == 0)
        let verified = try await store.run("verify")
        #expect(verified.status == 1)
        #expect(verified.output.contains("to be read again, because updates were lost: 7\n"), "\(verified.output)")
        #expect(try await store.planned() == ["7-7"])
        try await load(store, events.range(7, 7, [], at: 300))
        #expect(try await store.run("verify").status == 0)
        #expect(try deleted(store) == "7")
    }

    @Test(arguments: StoreFixture.Database.allCases)
    func `Positions of updates tell better than times what was read before a loss`(
        database: StoreFixture.Database
    ) async throws {
        let store = try StoreFixture(database)
        try await load(store, events.hole(from: 1, to: 3, pts: 30, at: 100))
        // The clock of this reader is ahead: its page is older than it seems.
        let old = messages([1, 2, 3, 4], pts: 29, at: 200) + [events.range(1, 4, [1, 2, 3, 4], pts: 29, at: 200)]
        #expect(try await store.run("load", input: old).status == 0)
        #expect(try await store.planned() == ["1-4"])
        // The clock of this one is behind.
        let new = messages([1, 2, 3, 4], pts: 30, at: 50) + [events.range(1, 4, [1, 2, 3, 4], pts: 30, at: 50)]
        #expect(try await store.run("load", input: new).status == 0)
        #expect(try await store.run("verify").status == 0)
        // A later loss without a position is judged by the times again, also against earlier pages with a position.
        try await load(store, events.hole(from: 1, to: 4, at: 400))
        let range = events.range(1, 4, [1, 2, 3, 4], pts: 99, at: 390)
        try await load(store, range)
        #expect(try await store.planned() == ["1-4"])
        try await load(store, events.hole(from: 1, to: 4, pts: 20, at: 300))
        try await load(store, range)
        #expect(try await store.planned() == ["1-4"])
        #expect(try store.query("SELECT count(*), max(from_id), max(pts) FROM losses") == "1|1|")
        try await load(store, events.range(1, 4, [1, 2, 3, 4], pts: 99, at: 410))
        #expect(try await store.run("verify").status == 0)
    }

    @Test func `A loss in the private chats of an account concerns chats that come later, too`() async throws {
        let store = try StoreFixture(.postgres)
        let lost = StoreEvents(chat: 501, type: "private", account: 77)
        let hole = lost.hole(from: 1, at: 100).replacing(#""chat_id":501,"#, with: "")
        try await load(store, hole)
        let late = [lost.message(3, at: 50), lost.message(5, at: 50), lost.range(1, 5, [3, 5], newest: 5, at: 50)]
        #expect(try await store.run("load", input: late).status == 0)
        #expect(try await store.run("verify").status == 1)
        #expect(try await store.planned() == ["1-5"])
        // The other account has lost nothing.
        let other = StoreEvents(chat: 502, type: "private", account: 78)
        let known = [other.message(3, at: 50), other.range(1, 3, [3], newest: 3, at: 50)]
        #expect(try await store.run("load", input: known).status == 0)
        #expect(try await store.planned("502") == [])
        try await load(store, lost.range(1, 5, [3, 5], newest: 5, at: 150))
        #expect(try await store.run("verify").status == 0)
    }

    @Test(arguments: StoreFixture.Database.allCases)
    func `An upgrade keeps the holes, and does not take the table of another program`(
        database: StoreFixture.Database
    ) async throws {
        let store = try StoreFixture(database)
        #expect(try await store.run("load", input: events.history(Array(1...20))).status == 0)
        try await load(store, events.hole(from: 1, to: 20, at: 100))
        try store.downgrade(to: 2)
        try store.query("CREATE TABLE losses (reason text)")
        let refused = try await store.run("load")
        #expect(refused.status == 78 && refused.errors.contains("the table losses is another program's"))
        #expect(try store.query("SELECT version FROM tgpipe_archive") == "2")
        try store.query("DROP TABLE losses")
        #expect(try await store.run("load", input: messages([21], at: 50)).status == 0)
        #expect(try await store.planned() == ["1-21"])
    }
}
