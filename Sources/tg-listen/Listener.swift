import BotAPI
import Envelope
import JSON
import Logging
import Payloads
import Stage
import System

/// Polls for updates and emits each of them once.
struct Listener {
    let runtime: Runtime
    let api: BotAPI
    let output: ListenOutput
    /// The kinds of updates to request; empty for Telegram's default.
    let allowed: [String]
    let pollSeconds: Int
    /// The newest update in the output file, which may be one ahead of the saved offset.
    let emitted: Int64?

    /// Runs until the shutdown is requested.
    ///
    /// - Parameter once: whether to end when no update is waiting.
    /// - Throws: `TelegramError` for a refused token, `ToolError` for a broken output. Transient failures are retried, with `once` a few
    ///   times only: who calls for a single look wants to know that it failed.
    func run(once: Bool) async throws {
        // An outage of Telegram is no failed start: the bot waits for its end.
        ServiceManager.reportReady()
        // A server that is none from the start is a wrong address; later it is a proxy's page, which goes away.
        guard
            let own = try await persistently(
                once: once, while: { $0.isTransient && $0.code != .foreignAnswer }, { try await api.call("getMe") }),
            let bot = Party(user: own)
        else {
            return
        }
        var mayWarnOfPrivacy = own["can_read_all_group_messages"] == false
        var offset = try await savedOffset()
        if let emitted, emitted >= offset ?? 0 { offset = emitted + 1 }
        runtime.log.info(
            "listening",
            metadata: [
                "bot": "\(bot.username ?? "")", "offset": offset.map { .stringConvertible($0) } ?? "none",
            ])
        while let updates = try await persistently(
            once: once,
            { [offset] in
                try await api.updates(from: offset, seconds: pollSeconds, allowed: allowed)
            })
        {
            let receivedAt = Timestamp.now
            for update in updates {
                guard let id = update["update_id"]?.int, (0..<1 << 53).contains(id), let payload = update.object else {
                    throw TelegramError(.protocolBroken, "Telegram sent an update without a valid update_id")
                }
                // Telegram repeats unconfirmed updates. Those that the output already has are left out.
                if let known = offset, id < known, known - id < Listener.replayWindow { continue }
                if mayWarnOfPrivacy, Listener.isFromGroup(payload) {
                    mayWarnOfPrivacy = false
                    runtime.log.warning("\(Listener.privacyWarning)")
                }
                try await emit(payload, id, from: bot, receivedAt)
                offset = id + 1
            }
            if once && updates.isEmpty { return }
        }
    }

    /// The number of attempts of a call with `once`.
    private static let mostAttemptsOnce = 4

    private static let privacyWarning =
        "this bot is in privacy mode: in groups it receives only messages that begin with a slash, replies to its messages, and mentions, so it misses commands such as .vdl unless it is an administrator there. To change this, send /setprivacy to @BotFather, and then add the bot to its groups again"

    private static func isFromGroup(_ update: JSONObject) -> Bool {
        update.members.contains { member in
            let chat = member.value["chat"] ?? member.value["message"]?["chat"]
            return ["group", "supergroup"].contains(chat?["type"]?.string)
        }
    }

    /// The distance below the offset within which ids are repetitions. After a week of silence, Telegram may begin with other ids.
    static let replayWindow: Int64 = 10_000

    /// Returns the further one of the offsets in Redis and in the file beside it. A file that is far ahead is older than the last time that
    /// Telegram began with other ids.
    static func newer(_ kept: String, _ noted: String) -> String {
        guard let offset = Int64(kept), let other = Int64(noted), offset >= 0, other >= offset,
            other - offset < Listener.replayWindow
        else { return kept }
        return noted
    }

    private func emit(_ payload: JSONObject, _ id: Int64, from bot: Party, _ receivedAt: Timestamp) async throws {
        // The payload is emitted as Telegram sent it, with members that no version here knows.
        var envelope = Envelope(type: TelegramUpdate.type, payload: payload)
        envelope.receivedAt = receivedAt
        envelope.bot = EventReceiver(id: bot.id, username: bot.username)
        var batch = UpdateBatch()
        batch.add(envelope, updateID: id, since: receivedAt, runtime.tracer)
        try await output.emit(batch, ListenOutput.Positions(after: String(id + 1)))
    }

    private func savedOffset() async throws -> Int64? {
        guard let text = try await output.progress.load() else { return nil }
        guard let offset = Int64(text) else {
            throw ToolError(
                .configuration,
                "the saved offset of this bot is not a number: remove it to begin with the updates that Telegram still has"
            )
        }
        return offset
    }

    /// Repeats a call after transient failures.
    ///
    /// - Returns: nil if the shutdown is requested meanwhile.
    private func persistently<Value: Sendable>(
        once: Bool, while mayPass: (TelegramError) -> Bool = { $0.isTransient },
        _ call: @escaping @Sendable () async throws -> Value?
    ) async throws -> Value? {
        var failures = 0
        return try await runtime.retrying(
            Backoff(first: .seconds(1), longest: .seconds(60)),
            while: { error in
                failures += 1
                guard let error = error as? TelegramError, mayPass(error) else { return false }
                return !once || failures < Listener.mostAttemptsOnce
            },
            call)
    }
}
