import Accounts
import JSON

/// Shows the buttons below a message in the form of the Bot API, which shows inline keyboards only.
///
/// Source: https://core.telegram.org/bots/api#inlinekeyboardmarkup
enum BotKeyboard {
    /// Returns an `InlineKeyboardMarkup`; nil for other markups.
    static func inline(_ markup: JSON?) -> JSON? {
        guard let markup, markup["_"] == "replyInlineMarkup" else { return nil }
        let rows = (markup["rows"]?.array ?? []).map { row in
            JSON.array((row["buttons"]?.array ?? []).compactMap(button))
        }
        return .object(["inline_keyboard": .array(rows)])
    }

    private static func button(_ button: JSON) -> JSON? {
        // The newest layers keep the action in a member of its own.
        let action = button["type"] ?? button
        let kind = action["_"]?.string ?? ""
        var shown: JSONObject = ["text": button["text"]]
        // A button that logs in at a website is shown as an ordinary link.
        switch kind.dropping(prefixes: ["keyboardButton", "inlineButtonType"]) {
        case "Url", "UrlAuth": shown["url"] = action["url"]
        case "UserProfile": shown["url"] = action["user_id"]?.long.map { .string("tg://user?id=\($0)") }
        case "Callback": shown["callback_data"] = action["data"]?.string.flatMap(text)
        case "WebView", "SimpleWebView": shown["web_app"] = .object(["url": action["url"]])
        case "SwitchInline":
            let isHere = action["same_peer"]?.bool == true
            shown[isHere ? "switch_inline_query_current_chat" : "switch_inline_query"] = action["query"]
        case "Game": shown["callback_game"] = .object([:])
        case "Buy": shown["pay"] = true
        case "Copy": shown["copy_text"] = .object(["text": action["copy_text"]])
        default: return nil
        }
        return .object(shown)
    }

    /// Returns bytes, which are base64 in the JSON of TL, as a text.
    private static func text(_ base64: String) -> JSON? {
        Base64.decode(base64).map { .string(String(decoding: $0, as: UTF8.self)) }
    }
}

extension String {
    fileprivate func dropping(prefixes: [String]) -> String {
        prefixes.first(where: hasPrefix).map { String(dropFirst($0.count)) } ?? self
    }
}
