package import Envelope
package import JSON

/// Names the message that a request came from, and that replies answer: `meta.origin`.
package struct EventOrigin: Sendable, Hashable {
    /// Absent only if a script left it out.
    package var chat: ChatID?
    package var messageID: Int64?
    /// The topic of a forum, if the message is in one.
    package var threadID: Int64?
    /// `private`, `group`, `supergroup` or `channel`.
    package var chatType: String?

    package init(chat: ChatID?, messageID: Int64?, threadID: Int64? = nil, chatType: String? = nil) {
        self.chat = chat
        self.messageID = messageID
        self.threadID = threadID
        self.chatType = chatType
    }

    /// Returns nil if the value is not an object.
    package init?(_ json: JSON?) {
        guard let object = json?.object else { return nil }
        self.init(
            chat: object["chat_id"].flatMap { ChatID($0) }, messageID: object["message_id"]?.long,
            threadID: object["thread_id"]?.long, chatType: object["chat_type"]?.string)
    }

    package var json: JSON {
        .object([
            "chat_id": chat?.json, "message_id": JSON(messageID), "thread_id": JSON(threadID),
            "chat_type": JSON(chatType),
        ])
    }
}

/// Names the message that media come from, where that message is no request to answer: `meta.source`.
package struct EventSource: Sendable, Hashable {
    package var chatID: Int64
    package var messageID: Int64
    /// The time at which the message was written.
    package var date: Timestamp?
    package var chatTitle: String?
    package var chatUsername: String?

    /// Reads a `Message` of the Bot API; returns nil if it has no chat or no id.
    package init?(message: JSON) {
        guard let chatID = message["chat"]?["id"]?.int, let messageID = message["message_id"]?.int else { return nil }
        (self.chatID, self.messageID) = (chatID, messageID)
        date = message["date"]?.int.flatMap {
            (1...Int64(UInt32.max)).contains($0) ? Timestamp(milliseconds: $0 * 1000) : nil
        }
        chatTitle = message["chat"]?["title"]?.string
        chatUsername = message["chat"]?["username"]?.string
    }

    /// Returns nil if the value has no chat or no message.
    package init?(_ json: JSON?) {
        guard let json, let chatID = json["chat_id"]?.int, let messageID = json["message_id"]?.int else { return nil }
        (self.chatID, self.messageID) = (chatID, messageID)
        date = json["date"]?.string.flatMap { Timestamp($0) }
        chatTitle = json["chat_title"]?.string
        chatUsername = json["chat_username"]?.string
    }

    package var json: JSON {
        .object([
            "chat_id": .integer(chatID), "message_id": .integer(messageID), "date": JSON(date?.description),
            "chat_title": JSON(chatTitle), "chat_username": JSON(chatUsername),
        ])
    }
}

/// Names the user who made a request, or the chat that acts as a user: `meta.actor`.
package struct EventActor: Sendable, Hashable {
    package var id: Int64
    package var username: String?
    package var name: String
    /// The language in which the user wants answers: the user's choice, or else the one that Telegram names (`pt-BR`).
    package var language: String?

    package init(id: Int64, username: String? = nil, name: String, language: String? = nil) {
        self.id = id
        self.username = username
        self.name = name
        self.language = language
    }

    /// Returns nil if the value has no id.
    package init?(_ json: JSON?) {
        guard let json, let id = json["id"]?.int else { return nil }
        self.init(
            id: id, username: json["username"]?.string, name: json["name"]?.string ?? "",
            language: json["language"]?.string)
    }

    package var json: JSON {
        .object([
            "id": .integer(id), "username": JSON(username), "name": .string(name), "language": JSON(language),
        ])
    }
}

/// Names the bot or account that received an update: `meta.bot` or `meta.account`.
package struct EventReceiver: Sendable, Hashable {
    /// Absent only if a script left it out.
    package var id: Int64?
    package var username: String?

    package init(id: Int64?, username: String?) {
        self.id = id
        self.username = username
    }

    /// Returns nil if the value is not an object.
    package init?(_ json: JSON?) {
        guard let object = json?.object else { return nil }
        self.init(id: object["id"]?.int, username: object["username"]?.string)
    }

    package var json: JSON { .object(["id": JSON(id), "username": JSON(username)]) }
}

/// Describes the limit that an event exceeds: `meta.rate_limit`.
package struct ExceededLimit: Sendable, Hashable {
    package var name: String
    /// The number of events that a window allows.
    package var limit: Int64
    package var windowSeconds: JSONNumber
    package var retryAfterSeconds: JSONNumber

    package init(name: String, limit: Int64, windowSeconds: JSONNumber, retryAfterSeconds: JSONNumber) {
        self.name = name
        self.limit = limit
        self.windowSeconds = windowSeconds
        self.retryAfterSeconds = retryAfterSeconds
    }

    package var json: JSON {
        .object([
            "name": .string(name), "limit": .integer(limit), "window_seconds": windowSeconds.json,
            "retry_after_seconds": retryAfterSeconds.json,
        ])
    }

    /// The keys of the members of `meta` that mark an event.
    package static let metaKeys = ["rate_limited", "rate_limit"]

    fileprivate var mark: JSONObject { [ExceededLimit.metaKeys[0]: true, ExceededLimit.metaKeys[1]: json] }

    /// The members of `meta` that mark an event, as JSON without the braces around them.
    package var metaMembers: [UInt8] { Array(JSON.object(mark).bytes.dropFirst().dropLast()) }
}

extension Envelope {
    /// The message to answer; setting it replaces `meta.origin`.
    package var origin: EventOrigin? {
        get { EventOrigin(meta["origin"]) }
        set { meta["origin"] = newValue?.json }
    }

    /// The message that media come from, if that is not the one to answer; setting it replaces `meta.source`.
    package var source: EventSource? {
        get { EventSource(meta["source"]) }
        set { meta["source"] = newValue?.json }
    }

    /// The user who made the request; setting it replaces `meta.actor`.
    package var actor: EventActor? {
        get { EventActor(meta["actor"]) }
        set { meta["actor"] = newValue?.json }
    }

    /// The reason why the user is allowed: `admin`, `blessed` or `graced`; nil before tg-gate.
    package var role: String? {
        get { meta["role"]?.string }
        set { meta["role"] = JSON(newValue) }
    }

    /// Is true if the event is an admin's, or one of the operator's own scripts, which tg-gate has not seen.
    package var isOfOperator: Bool { role == "admin" || (role == nil && actor == nil) }

    /// The bot that received the update.
    package var bot: EventReceiver? {
        get { EventReceiver(meta["bot"]) }
        set { meta["bot"] = newValue?.json }
    }

    /// The account that received the update.
    package var account: EventReceiver? {
        get { EventReceiver(meta["account"]) }
        set { meta["account"] = newValue?.json }
    }

    /// Is true if the account itself sent the message of the update.
    package var isOutgoing: Bool {
        get { meta["outgoing"] == true }
        set { meta["outgoing"] = newValue ? true : nil }
    }

    /// Is true if a program sent the message of the update through the account's session, and nobody wrote it by hand.
    package var isSentByProgram: Bool {
        get { meta["sent_by_program"] == true }
        set { meta["sent_by_program"] = newValue ? true : nil }
    }

    /// Is true if the person wants the media as a file to keep, which Telegram neither shows nor plays.
    package var isWantedAsFile: Bool {
        get { meta["as_file"] == true }
        set { meta["as_file"] = newValue ? true : nil }
    }

    /// The hashtags that the person wants in the caption, without their `#`; others than valid ones are left out.
    package var hashtags: [String] {
        get {
            let words = (meta["hashtags"]?.array ?? []).lazy.compactMap(\.string)
            return Array(words.filter(Hashtags.isOne).prefix(Hashtags.most))
        }
        set { meta["hashtags"] = newValue.isEmpty ? nil : .array(newValue.prefix(Hashtags.most).map { .string($0) }) }
    }

    /// The time when the update with the request arrived.
    package var receivedAt: Timestamp? {
        get { meta["received_at"]?.string.flatMap { Timestamp($0) } }
        set { meta["received_at"] = JSON(newValue?.description) }
    }

    /// Is true if the event is over a limit.
    package var isRateLimited: Bool { meta["rate_limited"] == true }

    /// The seconds after which the limit allows the event, if it is over a limit that says so.
    package var retryAfterSeconds: Int64? {
        meta["rate_limit"]?["retry_after_seconds"]?.double.flatMap { Int64(exactly: $0.rounded(.up)) }
    }

    /// Marks the event as over a limit.
    package mutating func mark(exceeding limit: ExceededLimit) {
        for member in limit.mark.members { meta[member.key] = member.value }
    }
}
