import Accounts
import Envelope
import JSON
import Logging
import Redis
import System
import TestSupport
import Testing

@Suite struct FloodLedgerTests {
    private let server: RedisServer

    init() throws { server = try RedisServer() }

    /// Returns a ledger like that of another process.
    private func ledger() throws -> RedisFloodLedger {
        let redis = Redis(try RedisAddress(parsing: server.address), clientName: "test")
        return RedisFloodLedger(log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) { redis }
    }

    private func wait(_ seconds: Int) -> FloodWait {
        FloodWait(method: "messages.sendMessage", remaining: .seconds(seconds), reason: "FLOOD_WAIT_\(seconds)")
    }

    @Test func `All processes share a flood wait by account and method until it ends`() async throws {
        let (one, other) = (try ledger(), try ledger())
        #expect(await one.wait(account: 42, method: "messages.sendMessage") == nil)
        await one.note(account: 42, wait(600))
        let known = await other.wait(account: 42, method: "messages.sendMessage")
        #expect(known?.reason == "FLOOD_WAIT_600" && known?.method == "messages.sendMessage")
        #expect(known.map { $0.remaining > .seconds(500) && $0.remaining <= .seconds(600) } == true)
        #expect(await other.wait(account: 43, method: "messages.sendMessage") == nil)
        #expect(await other.wait(account: 42, method: "messages.getHistory") == nil)
        #expect(try server.cli("KEYS", "*") == "tgpipe:flood:{42}:messages.sendMessage")
        await one.note(account: 43, FloodWait(method: "a.b", remaining: .milliseconds(100), reason: "FLOOD_WAIT_1"))
        #expect(try await eventually { try server.cli("EXISTS", "tgpipe:flood:{43}:a.b") == "0" })
        #expect(await other.wait(account: 43, method: "a.b") == nil)
    }

    @Test func `The longest flood wait applies`() async throws {
        let (one, other) = (try ledger(), try ledger())
        await one.note(account: 42, wait(600))
        await other.note(account: 42, wait(5))
        #expect(await other.wait(account: 42, method: "messages.sendMessage")?.reason == "FLOOD_WAIT_600")
        await other.note(account: 42, wait(900))
        #expect(await one.wait(account: 42, method: "messages.sendMessage")?.reason == "FLOOD_WAIT_900")
    }

    @Test func `Without Redis a process observes its own flood waits and shares again afterwards`() async throws {
        let (one, other) = (try ledger(), try ledger())
        #expect(await one.wait(account: 42, method: "messages.sendMessage") == nil)
        server.kill()
        await one.note(account: 42, wait(600))
        #expect(await one.wait(account: 42, method: "messages.sendMessage") != nil)
        #expect(await other.wait(account: 42, method: "messages.sendMessage") == nil)
        try server.start()
        let end = ContinuousClock.now + .seconds(60)
        while await other.wait(account: 42, method: "messages.sendMessage") == nil, .now < end {
            await one.note(account: 42, wait(700))
            try await Task.sleep(for: .milliseconds(50))
        }
        #expect(await other.wait(account: 42, method: "messages.sendMessage")?.reason == "FLOOD_WAIT_700")
    }

    @Test func `A flood wait is reported as an event with its end`() throws {
        let event = wait(31).event(account: 42, chat: -7)
        #expect(event.type == "events.telegram.waiting")
        #expect(event.payload["account_id"] == 42 && event.payload["chat_id"] == -7)
        #expect(event.payload["method"] == "messages.sendMessage" && event.payload["reason"] == "FLOOD_WAIT_31")
        #expect(event.payload["seconds"] == 31)
        let end = try #require(event.payload["until"]?.string.flatMap { Timestamp($0) })
        let start = try #require(Timestamp(event.timestamp))
        #expect((.seconds(30)...(.seconds(32))).contains(end.elapsed(since: start)))
    }
}
