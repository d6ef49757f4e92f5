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
    /// Empty: Telegram's default.
    let allowed: [String]
    let pollSeconds: Int
    /// The newest update that an output file holds: it may be one ahead of the offset.
    let emitted: Int64?

    /// Runs until the shutdown is requested.
    ///
    /// - Parameter once: ends when nothing is waiting.
    /// - Throws: `TelegramError` for a refused token, `ToolError` for a broken output; what may pass is waited out.
    func run(once: Bool) async throws {
        guard let bot = try await persistently({ try await Party(user: api.call("getMe")) }) else { return }
        var offset = try await savedOffset()
        if let emitted, emitted >= offset ?? 0 { offset = emitted + 1 }
        runtime.log.info(
            "listening",
            metadata: [
                "bot": "\(bot.username ?? "")", "offset": offset.map { .stringConvertible($0) } ?? "none",
            ])
        while let updates = try await persistently({ [offset] in
            try await api.updates(from: offset, seconds: pollSeconds, allowed: allowed)
        }) {
            let receivedAt = Timestamp.now
            for update in updates {
                guard let id = update["update_id"]?.int, let payload = update.object else {
                    throw TelegramError(.protocolBroken, "an update without an update_id")
                }
                // Telegram repeats what was not confirmed; what the output has already is not repeated with it.
                if let known = offset, id < known, known - id < Listener.replayWindow { continue }
                try await emit(payload, id, from: bot, receivedAt)
                offset = id + 1
            }
            if once && updates.isEmpty { return }
        }
    }

    /// Ids this far below the offset are repetitions; Telegram may also begin anew somewhere else after a week of silence.
    static let replayWindow: Int64 = 10_000

    /// Of the offsets in Redis and in the file beside it, that which is further; where the file is far ahead, it is from before Telegram
    /// began to count anew.
    static func newer(_ kept: String, _ noted: String) -> String {
        guard let offset = Int64(kept), let other = Int64(noted),
            (offset..<offset + Listener.replayWindow).contains(other)
        else { return kept }
        return noted
    }

    private func emit(_ payload: JSONObject, _ id: Int64, from bot: Party, _ receivedAt: Timestamp) async throws {
        // The payload is emitted as Telegram sent it, with members that no version here knows.
        var envelope = Envelope(type: TelegramUpdate.type, payload: payload)
        envelope.receivedAt = receivedAt
        envelope.bot = EventReceiver(id: bot.id, username: bot.username)
        try await output.emit(envelope, String(id + 1), since: receivedAt, updateID: id)
    }

    private func savedOffset() async throws -> Int64? {
        guard let text = try await output.progress.load() else { return nil }
        guard let offset = Int64(text) else {
            throw ToolError(.configuration, "what is kept of this bot's offset is no number: remove it to begin anew")
        }
        return offset
    }

    /// nil when the shutdown is requested meanwhile.
    private func persistently<Value: Sendable>(_ call: @escaping @Sendable () async throws -> Value?) async throws
        -> Value?
    {
        try await runtime.retrying(
            Backoff(first: .seconds(1), longest: .seconds(60)), while: { ($0 as? TelegramError)?.isTemporary == true },
            call)
    }
}
