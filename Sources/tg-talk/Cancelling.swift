import BotAPI
import ChatCommands
import Envelope
import JSON
import Payloads
import Redis
import Stage
import Texts

/// Turns the press of a Cancel button, and `.stop` as an answer to a message, into `commands.media.cancel`.
struct Cancelling: Sendable {
    let runtime: Runtime
    let texts: Texts
    let key: ButtonKey

    /// The ends of an attempt, which are the ends of the keys of their texts.
    private enum Verdict: String {
        case taken, over
        case notYours = "not_yours"
    }

    /// Takes the press of a Cancel button.
    ///
    /// - Returns: the answer to the press, and the command; nil for an update that is no such press.
    func take(_ update: Update, _ event: Envelope) async throws -> [Envelope]? {
        guard update.kind == "callback_query", let data = update.body["data"]?.string, CancelPress.isOne(data),
            let id = update.body["id"]?.string
        else { return nil }
        let press = CancelPress(data)
        let verdict = try await verdict(press, update, event)
        let text = texts.text("cancel_\(verdict.rawValue)", event.actor?.language)
        let answer = Envelope.derived(TelegramCommand(.answer(callbackID: id, text: text)))
        guard verdict == .taken, let press else { return [answer] }
        return [answer, .derived(MediaCancel(.correlation(press.request)))]
    }

    private func verdict(_ press: CancelPress?, _ update: Update, _ event: Envelope) async throws -> Verdict {
        guard let press, let chat = update.chatID, press.isSigned(by: key, chat: chat) else { return .over }
        guard mayCancel(requestOf: press.user, event) else { return .notYours }
        return try await isOver(press.request) ? .over : .taken
    }

    /// Takes `.stop`, which answers the message of a request, or the reply that shows its progress.
    ///
    /// - Returns: the command and a reaction, or a text that tells why there is none.
    func stop(_ message: Message, _ event: Envelope, word: TextValue) async throws -> (
        events: [Envelope], reply: String?
    ) {
        let language = event.actor?.language
        guard let answered = message.repliedTo else {
            return ([], texts.text("stop_usage", language, ["command": word]))
        }
        guard let shown = try await shownRequest(answered, event) else {
            // The request may still be in a queue, where nothing has been shown of it.
            guard mayCancel(requestOf: answered.author?.id, event) else {
                return ([], texts.text("stop_usage", language, ["command": word]))
            }
            return (confirmed(.message(id: answered.id, chatID: answered.chatID)), nil)
        }
        guard mayCancel(requestOf: shown.user, event) else { return ([], texts.text("cancel_not_yours", language)) }
        if try await isOver(shown.request) { return ([], texts.text("cancel_over", language)) }
        return (confirmed(.correlation(shown.request)), nil)
    }

    private func confirmed(_ requests: MediaCancel.Requests) -> [Envelope] {
        [
            .derived(MediaCancel(requests)),
            .derived(TelegramCommand(.react(emoji: "👍", messageID: nil, text: "👍"))),
        ]
    }

    private func mayCancel(requestOf user: Int64?, _ event: Envelope) -> Bool {
        event.role == "admin" || (user != nil && user == event.actor?.id)
    }

    private func shownRequest(_ message: Message, _ event: Envelope) async throws -> ShownRequest? {
        guard let speaker = event.bot?.id ?? event.account?.id else { return nil }
        let key = ShownRequest.key(speaker: speaker, chat: message.chatID, message: message.id)
        return try await runtime.untilRedisAnswers { redis throws(RedisError) in
            try await redis.send("GET", .text(key)).string
        }.flatMap { ShownRequest($0) }
    }

    /// Returns whether a request has ended. One correlation may cover a video and its sound, of which one has ended.
    private func isOver(_ request: EventID) async throws -> Bool {
        let keys =
            [ShownRequest.replyKey(request)] + MediaKind.allCases.map { ShownRequest.endKey(request, $0.rawValue) }
        return try await runtime.untilRedisAnswers { redis throws(RedisError) in
            let replies = try redis.checked(try await redis.pipeline(keys.map { ["EXISTS", .text($0)] }))
            let exist = replies.map { $0.int == 1 }
            return exist.first == false && exist.dropFirst().contains(true)
        }
    }
}
