import Envelope
import Foundation
import JSON
import TestSupport
import Testing

/// Tests that a message whose sender was killed during the call is sent once, whether Telegram had carried out the call or not.
@Suite(.timeLimit(.minutes(3))) struct SendCrashTests {
    private static let source: Int64 = -1_000_000_001_000
    private static let target: Int64 = -1_000_000_002_000
    private let here: SendFixture
    private let queues = ["--from", "queue:send", "--to", "queue:sent", "--no-pacing", "--lease", "2s"]

    init() throws { here = try SendFixture(clipBytes: 1000) }

    private func sender() throws -> ToolRun { try here.run("tg-send", queues) }

    /// Makes a channel of which the bot is an administrator.
    private func open(_ channel: Int64) async throws {
        try await here.telegram.server.call(
            "POST", "/control/chat",
            [
                "chat_id": .integer(channel), "chat_type": "channel", "title": "News", "bot_status": "administrator",
            ])
    }

    private func post(_ text: String, in channel: Int64) async throws -> Int64 {
        let message = try await here.telegram.server.call(
            "POST", "/control/message",
            ["chat_id": .integer(channel), "chat_type": "channel", "title": "News", "text": .string(text)])
        return message["message_id"]?.int ?? 0
    }

    private func forward(_ ids: [Int64], asCopies: Bool) -> Envelope {
        Envelope(
            type: "commands.telegram.forward",
            payload: [
                "chat_id": .integer(SendCrashTests.target), "from_chat_id": .integer(SendCrashTests.source),
                "message_ids": .array(ids.map { .integer($0) }), "copy": .bool(asCopies),
            ])
    }

    private func texts(in chat: Int64) async throws -> [String] {
        try await here.telegram.chat(chat).filter { !$0.isDeleted }.compactMap(\.text)
    }

    /// Sends a command, kills its sender during the call `method`, and lets another process finish it.
    ///
    /// - Parameter isCarriedOut: whether Telegram carries out the call before the kill.
    private func crash(during method: String, of command: Envelope, isCarriedOut: Bool) async throws {
        let calls = try await here.telegram.calls(method).count
        let done = try here.queued("sent").count
        if isCarriedOut {
            try await here.telegram.fault(method, "slow", ["after": true, "delay": 30])
        } else {
            try await here.telegram.fault(method, "hang")
        }
        let first = try sender()
        try await here.push([command])
        #expect(try await eventuallyAsync { try await here.telegram.calls(method).count == calls + 1 })
        // The call is there; the emulator needs a moment to carry it out.
        try await Task.sleep(for: .milliseconds(300))
        first.signal(SIGKILL)
        _ = try await first.result()
        let second = try sender()
        #expect(try await eventually { try here.queued("sent").count == done + 1 })
        second.signal(SIGTERM)
        #expect(try await second.result().status == 0)
    }

    @Test(arguments: [true, false])
    func `A message to a person is sent once`(isCarriedOut: Bool) async throws {
        try await here.meet(101...101)
        let command = here.event("commands.telegram.send", ["text": "once"], chat: 101)
        try await crash(during: "sendMessage", of: command, isCarriedOut: isCarriedOut)
        #expect(try await here.telegram.answers(in: 101).map(\.text) == ["once"])
        #expect(try here.queued("sent").last?.payload["message_id"]?.int != nil)
    }

    @Test(arguments: [true, false])
    func `A file is sent once`(isCarriedOut: Bool) async throws {
        try await here.meet(101...101)
        try await crash(during: "sendVideo", of: here.ready(chat: 101), isCarriedOut: isCarriedOut)
        #expect(try await here.telegram.answers(in: 101).count == 1)
    }

    @Test(arguments: [(true, true), (true, false), (false, true), (false, false)])
    func `Messages are forwarded or copied once`(isCarriedOut: Bool, asCopies: Bool) async throws {
        for channel in [SendCrashTests.source, SendCrashTests.target] { try await open(channel) }
        var ids: [Int64] = []
        for text in ["zero", "one", "two", "three"] { ids.append(try await post(text, in: SendCrashTests.source)) }
        let before = try sender()
        try await here.push([forward([ids[0]], asCopies: asCopies)])
        #expect(try await eventually { try here.queued("sent").count == 1 })
        before.signal(SIGTERM)
        #expect(try await before.result().status == 0)
        try await crash(
            during: asCopies ? "copyMessages" : "forwardMessages", of: forward([ids[1], ids[2]], asCopies: asCopies),
            isCarriedOut: isCarriedOut)
        #expect(try await texts(in: SendCrashTests.target) == ["zero", "one", "two"])
        // It cannot be known whose a message is that nobody can edit.
        let isUnsure = isCarriedOut && !asCopies
        #expect(try here.queued("sent").last?.payload["confirmed"] == (isUnsure ? false : nil))
        // What was found once is not taken for another one.
        try await crash(
            during: asCopies ? "copyMessages" : "forwardMessages", of: forward([ids[3]], asCopies: asCopies),
            isCarriedOut: false)
        #expect(try await texts(in: SendCrashTests.target) == ["zero", "one", "two", "three"])
    }

    @Test func `A call that Telegram refused leaves nothing to look for`() async throws {
        try await here.meet(101...101)
        try await here.telegram.fault("sendMessage", "429", times: 1, ["chat_id": 101, "retry_after": 3])
        let first = try sender()
        try await here.push([here.event("commands.telegram.send", ["text": "once"], chat: 101)])
        #expect(try await eventuallyAsync { try await here.telegram.calls("sendMessage").count == 1 })
        try await Task.sleep(for: .milliseconds(300))
        first.signal(SIGKILL)
        _ = try await first.result()
        let second = try sender()
        #expect(try await eventually { try here.queued("sent").count == 1 })
        second.signal(SIGTERM)
        #expect(try await second.result().status == 0)
        #expect(try await here.telegram.answers(in: 101).map(\.text) == ["once"])
        #expect(try await here.telegram.calls("editMessageReplyMarkup").isEmpty)
    }
}
