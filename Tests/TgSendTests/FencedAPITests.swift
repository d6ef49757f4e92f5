import ArgumentParser
import BotAPI
import Envelope
import JSON
import Options
import Queue
import Synchronization
import System
import TestSupport
import Testing

@testable import Stage
@testable import tg_send

/// Tests the last look before each call to Telegram.
@Suite(.timeLimit(.minutes(1))) struct FencedAPITests {
    private let server: RedisServer
    private let runtime: Runtime
    private let telegram = CountingAPI()

    init() throws {
        server = try RedisServer()
        runtime = try Runtime(tool: "tg-send", options: try CommonOptions.parse(["--redis", server.address]))
        let event = Envelope(type: "commands.telegram.send", payload: ["chat_id": 1, "text": "a"])
        let line = String(decoding: event.line.dropLast(), as: UTF8.self)
        try server.cli("XADD", "tgpipe:{queues}:send:stream", "*", "e", line)
    }

    /// Returns a worker of the queue, and the lease of the event that it gets.
    private func take() async throws -> (QueueSource, WorkLease) {
        let source = try await QueueSource(
            try QueueName("send"), options: try QueueOptions.parse(["--lease", "5s"]), runtime: runtime)
        let taken = try #require(try await source.next(limit: 1, isIdle: true, atMost: .seconds(20))?.entries.first)
        return (source, WorkLease(taken.entry, of: source, askedAt: taken.askedAt))
    }

    private func call(_ api: FencedAPI, with lease: WorkLease?) async throws {
        try await FencedAPI.$lease.withValue(lease) {
            _ = try await api.call("sendMessage", ["chat_id": 1, "text": "a"])
            _ = try await api.call("sendPhoto", ["chat_id": 1], messageKey: nil, uploads: [])
        }
    }

    @Test func `A process calls Telegram for the events that it has, and for no others`() async throws {
        let api = FencedAPI(telegram)
        // An event of a pipe belongs to nobody else.
        try await call(api, with: nil)
        #expect(telegram.count == 2)
        let (first, lease) = try await take()
        try await call(api, with: lease)
        #expect(telegram.count == 4)
        // Nobody renews the lease, so that another worker gets the event.
        let (second, newLease) = try await take()
        for form in [false, true] {
            let error = await #expect(throws: TelegramError.self) {
                try await FencedAPI.$lease.withValue(lease) {
                    _ =
                        form
                        ? try await api.call("sendPhoto", ["chat_id": 1], messageKey: nil, uploads: [])
                        : try await api.call("sendMessage", ["chat_id": 1])
                }
            }
            #expect(error?.code == .notMade)
            // Nobody looks for a message that was not sent, and no failure is shown.
            #expect(error?.isOutcomeUnknown == false && error?.isTransient == false)
        }
        #expect(telegram.count == 4)
        try await call(api, with: newLease)
        #expect(telegram.count == 6)
        withExtendedLifetime((first, second)) {}
    }

    @Test func `Without an answer from Redis, an event counts as lost`() async throws {
        let api = FencedAPI(telegram)
        let (source, lease) = try await take()
        // Two thirds of the lease later, Redis has to be asked.
        try await Task.sleep(for: .seconds(5))
        runtime.shutdown.request()
        server.kill()
        let error = await #expect(throws: TelegramError.self) { try await call(api, with: lease) }
        #expect(error?.code == .notMade)
        #expect(telegram.count == 0)
        withExtendedLifetime(source) {}
    }
}

/// Counts calls, and answers them.
private final class CountingAPI: MessagingAPI {
    private let calls = Mutex(0)
    var count: Int { calls.withLock { $0 } }
    let speakerID: Int64 = 1

    func uploadLimit() async throws(TelegramError) -> Int64 { 1 }

    func call(
        _ method: String, _ parameters: JSONObject, messageKey: String?, deadline: Duration
    ) async throws(TelegramError) -> JSON {
        calls.withLock { $0 += 1 }
        return ["message_id": 1]
    }

    func call(
        _ method: String, _ parameters: JSONObject, messageKey: String?, uploads: [MediaUpload]
    ) async throws(TelegramError) -> JSON {
        calls.withLock { $0 += 1 }
        return ["message_id": 1]
    }

    func file(_ fileID: String) async throws(TelegramError) -> (source: FileSource, sizeBytes: Int64?) {
        throw TelegramError(.badRequest, "no file")
    }
}
