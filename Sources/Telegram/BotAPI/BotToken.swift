/// Holds a bot's token. Its description does not contain the secret.
package struct BotToken: Sendable, CustomStringConvertible, CustomDebugStringConvertible {
    let text: String
    /// The bot's user id: the digits before the colon.
    package let botID: Int64

    /// Returns nil for a text that does not have the form `123456:ABC-DEF…`.
    package init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let id = Int64(parts[0]), id > 0, !parts[1].isEmpty,
            parts[1].utf8.allSatisfy({ $0.isTokenByte })
        else { return nil }
        self.text = text
        botID = id
    }

    package var description: String { "bot \(botID)" }
    package var debugDescription: String { description }
}

extension UInt8 {
    fileprivate var isTokenByte: Bool {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }
}
