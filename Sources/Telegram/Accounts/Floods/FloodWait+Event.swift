package import Envelope
import JSON

extension FloodWait {
    /// Tells that something is held up because Telegram wants a wait: `events.telegram.waiting`, caused by the current event.
    ///
    /// - Parameters:
    ///   - account: whose call waits, by its id.
    ///   - chat: that waits for it, as the Bot API writes its id; nil when it is no single one.
    package func event(account: Int64, chat: Int64? = nil) -> Envelope {
        let (whole, rest) = remaining.components
        return Envelope.derived(
            type: "events.telegram.waiting",
            payload: [
                "account_id": .integer(account), "method": .string(method),
                "until": .string((Timestamp.now + remaining).description),
                "seconds": .integer(max(0, rest > 0 ? whole + 1 : whole)), "reason": .string(reason),
                "chat_id": chat.map { .integer($0) },
            ])
    }
}
