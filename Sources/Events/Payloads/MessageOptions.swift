import JSON

/// The options that every new message has.
package struct MessageOptions: Sendable, Hashable {
    /// A button below the message, which opens a link. Only bots can send buttons.
    package struct Button: Sendable, Hashable {
        package var text: String
        package var url: String

        package init(_ text: String, url: String) { (self.text, self.url) = (text, url) }
    }

    /// `HTML`, `Markdown` or `MarkdownV2`; nil for plain text.
    package var parseMode: String?
    /// The message to reply to.
    package var replyTo: Int64?
    /// The topic of a forum; nil for the topic of `meta.origin`, or none.
    package var threadID: Int64?
    /// Is true if the message is sent without a notification.
    package var isSilent: Bool
    /// Is true if the message can be neither forwarded nor saved. Only bots can send such messages.
    package var isProtected: Bool
    /// The buttons, one a row.
    package var buttons: [Button]
    /// The time at which Telegram delivers the message, in Unix seconds; nil for now. Only accounts can schedule messages.
    package var scheduledAt: Int64?

    package init(
        parseMode: String? = nil, replyTo: Int64? = nil, threadID: Int64? = nil, isSilent: Bool = false,
        isProtected: Bool = false, buttons: [Button] = [], scheduledAt: Int64? = nil
    ) {
        (self.parseMode, self.replyTo, self.threadID, self.isSilent) = (parseMode, replyTo, threadID, isSilent)
        (self.isProtected, self.buttons, self.scheduledAt) = (isProtected, buttons, scheduledAt)
    }

    /// - Throws: `MalformedInput` for a value of a wrong type that must not be ignored.
    init(_ reader: inout PayloadReader, type: String) throws(MalformedInput) {
        self.init(
            parseMode: try reader.strict("parse_mode", \.string), replyTo: try reader.messageID("reply_to"),
            threadID: try reader.messageID("thread_id"), isSilent: reader.bool("silent") ?? false,
            isProtected: try reader.strict("protect", \.bool) ?? false,
            buttons: try reader.strict("buttons", MessageOptions.buttons) ?? [],
            scheduledAt: try reader.strict("scheduled_at", \.int))
    }

    private static func buttons(_ list: JSON) -> [Button]? {
        guard let list = list.array else { return nil }
        let buttons = list.compactMap { item in
            item["text"]?.string.flatMap { text in item["url"]?.string.map { Button(text, url: $0) } }
        }
        return buttons.count == list.count ? buttons : nil
    }

    /// Returns the members of a payload, and those of these options.
    func add(to members: JSONObject) -> JSONObject {
        let own: JSONObject = [
            "parse_mode": JSON(parseMode), "reply_to": JSON(replyTo), "thread_id": JSON(threadID),
            "silent": isSilent ? true : nil, "protect": isProtected ? true : nil,
            "buttons": buttons.isEmpty
                ? nil : .array(buttons.map { .object(["text": .string($0.text), "url": .string($0.url)]) }),
            "scheduled_at": JSON(scheduledAt),
        ]
        return JSONObject(members.members + own.members)
    }
}
