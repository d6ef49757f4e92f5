import Glibc
import JSON
import TestSupport
import Testing

/// A listener and a reader of the history fill one archive, while the chat changes.
@Suite(.timeLimit(.minutes(5))) struct LiveArchiveTests {
    private static let types = "message,edited_message,channel_post,edited_channel_post,deleted_messages"
    private typealias Listening = (first: ArchivePipeline.Program, second: ArchivePipeline.Program)

    private func listen(_ pipeline: ArchivePipeline) throws -> Listening {
        try pipeline.pipe(
            [
                "tg-listen", "--session", pipeline.fixture.sessions[1].name, "--state",
                pipeline.fixture.alice.folder("live.state"), "--allowed-updates", Self.types,
            ], into: ["msg-store", "load"])
    }

    private func end(_ live: Listening) async {
        live.first.program.signal(SIGTERM)
        _ = await live.first.status()
        #expect(await live.second.status() == 0)
    }

    /// Shows what the archive knows about the messages of some lines that differ, and about lost updates.
    private func state(_ store: StoreFixture, _ differences: [String]) throws -> String {
        let ids = Set(differences.compactMap { $0.split(separator: "\t").dropFirst().first }).joined(separator: ", ")
        return try [
            "SELECT message_id, edit_date, deleted_at, seen_at, pts, account_id, text FROM messages "
                + "WHERE message_id IN (\(ids.isEmpty ? "0" : ids)) ORDER BY 1",
            "SELECT * FROM ranges ORDER BY to_id", "SELECT * FROM losses", "SELECT * FROM holes",
        ].map { try store.query($0) }.joined(separator: "\n--\n")
    }

    /// Writes a message and deletes it, and waits until both is stored: what happened before is stored then, too.
    ///
    /// The message alone would not do. A listener that reads the history takes it from there, before it asks for the updates that came
    /// while it read.
    private func expectCurrent(_ pipeline: ArchivePipeline, _ store: StoreFixture, _ text: String) async throws {
        let emulator = pipeline.fixture.alice.emulator
        let written = try await emulator.server.call(
            "POST", "/control/message",
            [
                "account": .integer(MTProtoEmulator.alice), "chat_id": .integer(ArchivePipeline.chat),
                "text": .string(text),
            ])
        let isStored = try await eventually {
            try store.query("SELECT count(*) FROM messages WHERE text = '\(text)'") == "1"
        }
        #expect(isStored, "\(pipeline.log)")
        let id = try #require(written["message_id"])
        try await emulator.control(
            "delete",
            [
                "account": .integer(MTProtoEmulator.alice), "chat_id": .integer(ArchivePipeline.chat),
                "message_ids": .array([id]),
            ])
        let isGone = try await eventually {
            try store.query("SELECT count(*) FROM messages WHERE text = '\(text)' AND deleted_at IS NOT NULL") == "1"
        }
        #expect(isGone, "\(pipeline.log)")
    }

    @Test func `Live updates and the history make one table, although updates are lost`() async throws {
        let store = try StoreFixture(.postgres)
        let server = try #require(store.server)
        let fixture = try await HistoryFixture(accounts: 2)
        let pipeline = ArchivePipeline(fixture: fixture, database: store.address)
        let (emulator, chat) = (fixture.alice.emulator, JSON.integer(ArchivePipeline.chat))
        try await pipeline.seed(3000)
        var live = try listen(pipeline)
        // What was written before it listens for the first time is no update.
        #expect(try await eventually { pipeline.log.contains("\"listening\"") })
        try await expectCurrent(pipeline, store, "begin")
        for round in 0..<3 {
            try await emulator.control(
                "churn",
                [
                    "account": .integer(MTProtoEmulator.alice), "chat_id": chat, "steps": 1500, "rate": 1000,
                    "seed": .integer(Int64(round)),
                ])
            async let filled: Void = pipeline.fill()
            try await Task.sleep(for: .milliseconds(300))
            // The listener is away for a while, and Telegram forgets what it missed.
            await end(live)
            try await Task.sleep(for: .milliseconds(300))
            try await emulator.control(
                "forget", ["what": "changes", "account": .integer(fixture.sessions[1].id), "chat_id": chat])
            live = try listen(pipeline)
            try await filled
            while try await emulator.server.call("GET", "/control/mtproto/churn")["running"] != false {
                try await Task.sleep(for: .milliseconds(50))
            }
            try await expectCurrent(pipeline, store, "end of \(round)")
        }
        await end(live)
        let before = try await pipeline.run("msg-store", ["verify"])
        #expect(before.status == 1 && before.output.contains("because updates were lost"), "\(before.output)")
        for _ in 0..<3 where try await pipeline.run("msg-store", ["verify"]).status != 0 { try await pipeline.fill() }
        let verified = try await pipeline.run("msg-store", ["verify"])
        #expect(verified.status == 0, "\(verified.output)")
        let differences = try await pipeline.differences(server, store.name)
        let told = differences.isEmpty ? "" : try state(store, differences)
        #expect(differences == [], "\(before.output)\(verified.output)\(told)\(pipeline.log)")
    }
}
