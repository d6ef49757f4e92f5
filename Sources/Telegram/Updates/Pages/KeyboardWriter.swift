import JSON

/// Writes the buttons below a message in the form of the Bot API, as `BotKeyboard` shows them.
struct KeyboardWriter {
    let output: TextBuffer
    /// Memory for the data of buttons.
    let scratch: TextBuffer

    /// Appends an inline keyboard with its key; nothing for other markups.
    ///
    /// - Returns: false if a button has a part that is not written directly.
    func write(_ markup: JSONView) -> Bool {
        guard markup["_"]?.matches("replyInlineMarkup") == true else { return true }
        output.put(#","reply_markup":{"inline_keyboard":["#)
        var isFirst = true
        for row in markup["rows"]?.elements ?? markup.none {
            output.put(isFirst ? "[" : ",[")
            isFirst = false
            guard writeRow(row["buttons"]?.elements ?? row.none) else { return false }
            output.put("]")
        }
        output.put("]}")
        return true
    }

    private func writeRow(_ buttons: JSONView.Elements) -> Bool {
        var isFirst = true
        for button in buttons {
            // The newest layers keep the action in a member of its own.
            let action = button["type"] ?? button
            guard let kind = action["_"]?.text.flatMap(Kind.init) else { continue }
            guard let text = button["text"] else { return false }
            output.put(isFirst ? #"{"text":"# : #",{"text":"#, text)
            isFirst = false
            guard write(action, kind) else { return false }
            output.put("}")
        }
        return true
    }

    /// Appends the members that tell what a button does.
    private func write(_ action: JSONView, _ kind: Kind) -> Bool {
        switch kind {
        case .url: output.put(#","url":"#, action["url"])
        case .userProfile:
            guard let user = action["user_id"]?.long else { return true }
            output.put(#","url":"tg://user?id="#, user)
            output.put("\"")
        case .callback: return writeData(action["data"])
        case .webApp:
            guard let url = action["url"] else { return false }
            output.put(#","web_app":{"url":"#, url)
            output.put("}")
        case .switchInline:
            let isHere = action["same_peer"]?.isTrue == true
            output.put(
                isHere ? #","switch_inline_query_current_chat":"# : #","switch_inline_query":"#, action["query"])
        case .game: output.put(#","callback_game":{}"#)
        case .buy: output.put(#","pay":true"#)
        case .copy:
            guard let text = action["copy_text"] else { return false }
            output.put(#","copy_text":{"text":"#, text)
            output.put("}")
        }
        return true
    }

    /// Appends the data of a button, which are base64 in the JSON of TL, as a text.
    private func writeData(_ data: JSONView?) -> Bool {
        guard let data else { return true }
        scratch.clear()
        // What is not UTF-8 is repaired, which only the tree does.
        guard let text = data.text, scratch.put(decodingBase64: text), scratch.bytes.isUTF8 else { return false }
        output.put(#","callback_data":"#)
        output.put(jsonString: scratch.bytes)
        return true
    }

    /// The actions of buttons that the Bot API shows.
    private enum Kind {
        case url, userProfile, callback, webApp, switchInline, game, buy, copy

        /// - Parameter name: the name of a constructor.
        init?(_ name: UnsafeRawBufferPointer) {
            guard
                let action = Kind.removing("keyboardButton", from: name)
                    ?? Kind.removing("inlineButtonType", from: name)
            else { return nil }
            if action.matches("Url") || action.matches("UrlAuth") {
                self = .url
            } else if action.matches("Callback") {
                self = .callback
            } else if action.matches("UserProfile") {
                self = .userProfile
            } else if action.matches("WebView") || action.matches("SimpleWebView") {
                self = .webApp
            } else if action.matches("SwitchInline") {
                self = .switchInline
            } else if action.matches("Game") {
                self = .game
            } else if action.matches("Buy") {
                self = .buy
            } else if action.matches("Copy") {
                self = .copy
            } else {
                return nil
            }
        }

        private static func removing(
            _ prefix: StaticString, from name: UnsafeRawBufferPointer
        ) -> UnsafeRawBufferPointer? {
            let count = prefix.utf8CodeUnitCount
            guard name.count >= count, UnsafeRawBufferPointer(rebasing: name[..<count]).matches(prefix) else {
                return nil
            }
            return UnsafeRawBufferPointer(rebasing: name[count...])
        }
    }
}
