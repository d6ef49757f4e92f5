import Envelope
import JSON
import Synchronization
import TestSupport
import Testing

/// Runs tools against a Bot API server that answers with numbers that no server should send.
@Suite(.timeLimit(.minutes(2))) struct HostileBotAPITests {
    private let redis: RedisServer
    private let folder: TemporaryFolder

    init() throws {
        redis = try RedisServer()
        folder = try TemporaryFolder()
    }

    private func command(_ text: String, message: Int64) -> Envelope {
        Envelope(
            type: "commands.telegram.reply", payload: ["text": .string(text)],
            meta: ["origin": ["chat_id": 42, "message_id": .integer(message), "chat_type": "private"]])
    }

    @Test(arguments: ["9223372036854775807", "-9223372036854775808", "9223372036854775800", "0"])
    func `A message id at the end of the numbers does not end tg-send when an answer is lost`(_ id: String) async throws
    {
        let calls = Atomic(0)
        let server = try LoopbackServer { request, connection in
            guard request.target.hasSuffix("/sendMessage") else {
                return connection.respond(
                    400, text: #"{"ok":false,"error_code":400,"description":"Bad Request: message to edit not found"}"#)
            }
            let number = calls.add(1, ordering: .relaxed).newValue
            if number == 2 { return connection.reset() }
            connection.respond(text: #"{"ok":true,"result":{"message_id":\#(id),"chat":{"id":42}}}"#)
        }
        defer { server.stop() }
        for attempt in 0..<2 {
            let run = try ToolRun(
                "tg-send", ["--no-pacing"],
                environment: [
                    "TG_BOT_TOKEN": BotEmulator.token, "TG_BOT_API_URL": server.url(""), "TGPIPE_REDIS": redis.address,
                ], folder: folder)
            let origin = attempt == 0 ? 7 : Int64.max
            for text in ["first", "second", "third"] {
                run.send(command(text, message: origin).line)
                _ = try await eventually { calls.load(ordering: .relaxed) > 0 }
            }
            run.closeInput()
            let result = try await run.result()
            #expect(result.status == 0, "\(result.errors)")
            // Ids that no message can have are not passed on either.
            let ids = try result.envelopes().map { $0.payload["message_id"]?.int }
            #expect(!ids.isEmpty && ids.allSatisfy { $0 == nil || $0! > 0 }, "\(ids)")
            // What a server has once answered must not end the next run either.
            calls.store(0, ordering: .relaxed)
        }
    }
}
