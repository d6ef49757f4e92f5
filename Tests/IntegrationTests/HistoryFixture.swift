import Envelope
import JSON
import TestSupport

/// Provides accounts at the emulator with a session each, for tg-history.
struct HistoryFixture: Sendable {
    let alice: AccountFixture
    /// The names of the sessions, and their accounts' ids.
    let sessions: [(name: String, id: Int64)]

    /// - Parameter accounts: the number of accounts; Alice is the first.
    init(accounts: Int = 1) async throws {
        alice = try await AccountFixture()
        var sessions = [(name: AccountFixture.name, id: MTProtoEmulator.alice)]
        for number in 1..<max(accounts, 1) {
            let (name, id) = ("reader\(number)", Int64(500 + number))
            try await alice.emulator.control(
                "account",
                [
                    "id": .integer(id), "phone": .string("1555020000\(number)"),
                    "first_name": .string("Reader \(number)"),
                    "username": .string(name),
                ])
            try await alice.logIn(as: name, account: id)
            sessions.append((name, id))
        }
        self.sessions = sessions
    }

    /// Makes a chat with old messages, and lets all accounts see it.
    func history(
        _ chat: Int64, count: Int64, seenBy accounts: [Int64]? = nil, _ more: JSONObject = [:]
    ) async throws {
        var order: JSONObject = [
            "account": .integer(MTProtoEmulator.alice), "chat_id": .integer(chat), "count": .integer(count),
            "text": "message {n}",
        ]
        for member in more.members { order[member.key] = member.value }
        try await alice.emulator.control("history", order)
        for id in accounts ?? sessions.map(\.id) where id != MTProtoEmulator.alice && chat < -1_000_000_000_000 {
            try await see(chat, by: id)
        }
    }

    func see(_ chat: Int64, by account: Int64) async throws {
        try await alice.emulator.server.call(
            "POST", "/control/chat", .object(["account": .integer(account), "chat_id": .integer(chat)]))
    }

    /// Returns a command as a line.
    static func command(_ payload: JSONObject) -> String {
        JSON.object([
            "type": "commands.telegram.history", "correlation_id": .string(EventID().description),
            "payload": .object(payload),
        ]).text
    }

    /// The arguments that name all sessions.
    var arguments: [String] { sessions.flatMap { ["--session", $0.name] } }

    /// Runs tg-history on commands.
    func read(_ commands: [JSONObject], _ arguments: [String] = []) async throws -> ToolRun.Result {
        let input = commands.map { HistoryFixture.command($0) + "\n" }.joined()
        return try await ToolRun.run(
            "tg-history", self.arguments + arguments, input: input, environment: alice.environment,
            folder: alice.folder)
    }

    func start(_ arguments: [String] = []) throws -> ToolRun {
        try ToolRun("tg-history", self.arguments + arguments, environment: alice.environment, folder: alice.folder)
    }
}

extension ToolRun.Result {
    /// The ids of the messages on standard output, in their order, in one chat or all.
    func messageIDs(in chat: Int64? = nil) throws -> [Int64] {
        try envelopes().filter { $0.type == "events.telegram.message" }.compactMap { event in
            let message = event.payload["message"] ?? event.payload["channel_post"]
            guard chat == nil || message?["chat"]?["id"]?.int == chat else { return nil }
            return message?["message_id"]?.int
        }
    }

    /// The payloads of the proven ranges.
    func ranges() throws -> [JSONObject] {
        try envelopes().filter { $0.type == "events.telegram.history_range" }.map(\.payload)
    }

    /// Returns the ids that the ranges of a chat prove; nil if ranges overlap.
    func proven(in chat: Int64? = nil) throws -> Set<Int64>? {
        var all: Set<Int64> = []
        for range in try ranges() where chat == nil || range["chat"]?["id"]?.int == chat {
            guard let first = range["from_id"]?.int, let last = range["to_id"]?.int else { return nil }
            for id in first...last where !all.insert(id).inserted { return nil }
        }
        return all
    }
}
