import Envelope
import JSON
import Payloads
import TestSupport
import Testing

private let news: Int64 = -1_000_000_000_005
private let group: Int64 = -1_000_000_000_006

/// tg-history against the emulator.
@Suite(.timeLimit(.minutes(5))) struct HistoryToolTests {
    private func post(_ fixture: HistoryFixture, _ count: Int64) async throws {
        try await fixture.history(
            news, count: count, ["chat_type": "channel", "title": "News", "chat_username": "some_news"])
    }

    @Test func `A whole channel is read once, and its ranges prove it`() async throws {
        let fixture = try await HistoryFixture()
        try await post(fixture, 730)
        let result = try await fixture.read([["chat_id": .integer(news)]])
        #expect(result.status == 0, "\(result.errors.suffix(2000))")
        #expect(try result.messageIDs().sorted() == Array(1...730))
        #expect(try result.proven() == Set(1...730))
        let ranges = try result.ranges()
        var digest = MessageIDDigest()
        for range in ranges {
            let found = MessageIDDigest(count: range["count"]?.int ?? -1, checksum: range["checksum"]?.string ?? "")
            digest += try #require(found)
        }
        #expect(digest == MessageIDDigest(1...730))
        #expect(ranges.allSatisfy { $0["owner_id"] == 0 && $0["account_id"] == .integer(MTProtoEmulator.alice) })
        #expect(ranges.contains { $0["newest_id"] == 730 && $0["total"] == 730 })
        #expect(ranges[0]["chat"]?["title"] == "News" && ranges[0]["chat"]?["type"] == "channel")
        let first = try #require(try result.envelopes().first)
        #expect(first.payload["channel_post"]?["chat"]?["username"] == "some_news")
        #expect(first.meta["account"]?["id"] == .integer(MTProtoEmulator.alice))
        #expect(try await fixture.alice.violations() == [])
    }

    @Test func `Several accounts share a channel, and write each message once`() async throws {
        let fixture = try await HistoryFixture(accounts: 3)
        try await post(fixture, 6000)
        let result = try await fixture.read([["chat_id": "@some_news"]])
        #expect(result.status == 0, "\(result.errors.suffix(2000))")
        #expect(try result.messageIDs().sorted() == Array(1...6000))
        #expect(try result.proven() == Set(1...6000))
        let readers = Set(try result.ranges().compactMap { $0["account_id"]?.int })
        #expect(readers == Set(fixture.sessions.map(\.id)))
    }

    @Test func `Bounds, times and counts select messages`() async throws {
        let fixture = try await HistoryFixture()
        try await post(fixture, 500)
        let chat = JSON.integer(news)
        for (command, ids) in [
            (["chat_id": chat, "from_id": 120, "to_id": 333], Array(120...333)),
            (["chat_id": chat, "last": 150], Array(351...500)), (["chat_id": chat, "from_id": 480], Array(480...500)),
        ] as [(JSONObject, [Int64])] {
            let result = try await fixture.read([command])
            #expect(try result.messageIDs().sorted() == ids)
            #expect(try result.proven() == Set(ids))
        }
    }

    @Test func `A faulty command does not stop the others, and shows in the exit status`() async throws {
        let fixture = try await HistoryFixture()
        try await post(fixture, 10)
        let chat = JSON.integer(news)
        let unknown = try await fixture.read([["chat_id": "@nobody_has_this"], ["chat_id": chat]])
        #expect(unknown.status == 1, "\(unknown.errors.suffix(2000))")
        #expect(try unknown.messageIDs().sorted() == Array(1...10))
        #expect(
            unknown.errors.contains("no account can read it: no user, group or channel has the name @nobody_has_this"))
        let letters = fixture.alice.folder("letters")
        let malformed = try await fixture.read(
            [["chat_id": chat, "from_id": 9, "to_id": 3], ["chat_id": chat], ["chat_id": -1_000_000_000_999]],
            ["--dead-letter", letters])
        #expect(malformed.status == 1)
        #expect(try malformed.messageIDs().sorted() == Array(1...10))
        #expect(malformed.errors.contains("to_id is less than from_id"))
    }

    @Test func `One account twice is an error before anything is fetched`() async throws {
        let fixture = try await HistoryFixture()
        try await fixture.alice.logIn(as: "again")
        let chat: [JSONObject] = [["chat_id": .integer(news)]]
        let twice = try await fixture.read(chat, ["--session", AccountFixture.name])
        #expect(twice.status == 64 && twice.output.isEmpty)
        let same = try await fixture.read(chat, ["--session", "again"])
        #expect(same.status == 78 && same.output.isEmpty && same.errors.contains("belong to the same account"))
        #expect(try await fixture.alice.emulator.calls("messages.getHistory").isEmpty)
    }

    @Test func `Private chats of two accounts are told apart by their owners`() async throws {
        let fixture = try await HistoryFixture(accounts: 2)
        let other = fixture.sessions[1].id
        for (account, text) in [(MTProtoEmulator.alice, "to alice"), (other, "to reader")] {
            try await fixture.alice.emulator.server.call(
                "POST", "/control/message",
                [
                    "account": .integer(account), "chat_id": 77, "from": ["id": 77, "first_name": "Bob"],
                    "text": .string(text),
                ])
        }
        let result = try await fixture.read([
            ["chat_id": 77, "account_id": .integer(MTProtoEmulator.alice)],
            ["chat_id": 77, "account_id": .integer(other)],
        ])
        #expect(result.status == 0, "\(result.errors.suffix(2000))")
        #expect(Set(try result.ranges().compactMap { $0["owner_id"]?.int }) == [MTProtoEmulator.alice, other])
        let texts = try result.envelopes().compactMap { $0.payload["message"]?["text"]?.string }
        #expect(Set(texts) == ["to alice", "to reader"])
        let absent = try await fixture.read([["chat_id": 77, "account_id": 4711]])
        #expect(absent.status == 1 && absent.errors.contains("4711"))
    }

    @Test func `An account that has to wait makes no call, and the others do its work`() async throws {
        let fixture = try await HistoryFixture(accounts: 3)
        try await post(fixture, 4000)
        try await fixture.alice.emulator.control(
            "fault",
            [
                "method": "messages.getHistory", "kind": "flood", "seconds": 2,
                "account": .integer(fixture.sessions[1].id),
            ])
        let result = try await fixture.read([["chat_id": .integer(news)]])
        #expect(result.status == 0, "\(result.errors.suffix(2000))")
        #expect(try result.messageIDs().sorted() == Array(1...4000))
        #expect(try result.proven() == Set(1...4000))
        let waiting = try result.envelopes().filter { $0.type == "events.telegram.waiting" }
        #expect(waiting.count == 1 && waiting.first?.payload["account_id"]?.int == fixture.sessions[1].id)
        let refused = try await fixture.alice.emulator.calls("messages.getHistory").filter {
            !($0["error"]?.isNull ?? true)
        }
        #expect(refused.count == 1)
    }

    @Test func `A banned account and one without access leave the work to the others`() async throws {
        let fixture = try await HistoryFixture(accounts: 3)
        try await fixture.history(
            news, count: 4000, seenBy: [fixture.sessions[1].id], ["chat_type": "channel", "title": "Closed"])
        try await fixture.alice.emulator.control(
            "fault",
            [
                "method": "messages.getHistory", "error": "USER_DEACTIVATED_BAN", "code": 401,
                "account": .integer(fixture.sessions[1].id), "times": 1,
            ])
        let result = try await fixture.read([["chat_id": .integer(news)]])
        #expect(result.status == 0, "\(result.errors.suffix(2000))")
        #expect(try result.messageIDs().sorted() == Array(1...4000))
        #expect(result.errors.contains("the account of 'reader1' leaves the pool"))
        #expect(result.errors.contains("'reader2' cannot read"))
    }
}
