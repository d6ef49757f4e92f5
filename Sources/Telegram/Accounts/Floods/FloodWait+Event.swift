package import Envelope
import JSON
import Payloads

extension FloodWait {
    /// Tells that something is held up because Telegram wants a wait: `events.telegram.waiting`, caused by the current event.
    ///
    /// - Parameters:
    ///   - account: whose call waits, by its id.
    ///   - chat: that waits for it, as the Bot API writes its id; nil when it is no single one.
    package func event(account: Int64, chat: Int64? = nil) -> Envelope {
        let (whole, rest) = remaining.components
        return .derived(
            TelegramWaiting(
                accountID: account, method: method, until: Timestamp.now + remaining,
                seconds: max(0, rest > 0 ? whole + 1 : whole), reason: reason, chatID: chat))
    }
}
