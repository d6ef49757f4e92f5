package import JSON

/// Carries a Bot API `Update` object: `events.telegram.raw`.
///
/// Source: https://core.telegram.org/bots/api#update
package struct TelegramUpdate: EventPayload {
    package static let type = "events.telegram.raw"
    package static let types = [type]

    /// Rises from update to update; nil only if a script left it out.
    package var updateID: Int64?
    /// The key beside `update_id`: `message`, `edited_message`, `callback_query`, …
    package var kind: String
    package var body: JSON
    /// The numbers that Telegram keeps about an account's message: `views`, `forwards`, `replies`, and `reactions` as a list
    /// of the Bot API's `ReactionCount`. The Bot API does not tell them.
    package var counters: JSON?
    /// The position of the account's or the channel's updates after this one.
    package var pts: Int64?
    /// The account's update in the form of Telegram's schema, if it was asked for.
    package var tl: JSON?

    /// The keys that an account's update may have beside the Bot API's.
    private static let additions: Set = ["counters", "pts", "tl"]

    package init(
        updateID: Int64, kind: String, body: JSON, counters: JSON? = nil, pts: Int64? = nil, tl: JSON? = nil
    ) {
        (self.updateID, self.kind, self.body) = (updateID, kind, body)
        (self.counters, self.pts, self.tl) = (counters, pts, tl)
    }

    /// - Throws: `MalformedInput` if the payload has no update.
    package init(_ payload: JSONObject, type: String = TelegramUpdate.type) throws(MalformedInput) {
        let isUpdate = { (member: JSONObject.Member) in
            member.key != "update_id" && !Self.additions.contains(member.key) && member.value.object != nil
        }
        guard let member = payload.members.first(where: isUpdate) else {
            throw MalformedInput(.invalidPayload, "\(type): the payload is not an update")
        }
        updateID = payload["update_id"]?.int
        (kind, body) = (member.key, member.value)
        (counters, pts, tl) = (payload["counters"], payload["pts"]?.int, payload["tl"])
    }

    package var type: String { TelegramUpdate.type }

    package var json: JSONObject {
        var json: JSONObject = ["update_id": JSON(updateID)]
        json[kind] = body
        json["counters"] = counters
        json["pts"] = JSON(pts)
        json["tl"] = tl
        return json
    }
}

/// Reports that an action succeeded: `events.telegram.sent`.
package struct TelegramSent: EventPayload {
    package static let type = "events.telegram.sent"
    package static let types = [type]

    package var action: TelegramAction
    package var chat: ChatID?
    package var messageID: Int64?
    /// The ids of all messages of an album, of which `messageID` is the first; nil for a single message.
    package var messageIDs: [Int64]?
    /// Telegram's identifier of the file that was sent, which can send the same file again.
    package var fileID: String?
    /// The address under which the file_id is cached.
    package var key: String?
    /// Is true if the file was sent by a cached file_id, so that nothing was uploaded.
    package var isCached: Bool?
    /// The time since the update with the request arrived.
    package var elapsedSeconds: JSONNumber?
    /// Is false if Telegram's answer was lost, so that the message may not have been sent; else nil.
    package var isConfirmed: Bool?

    package init(
        _ action: TelegramAction, chat: ChatID?, messageID: Int64? = nil, messageIDs: [Int64]? = nil,
        fileID: String? = nil, key: String? = nil, isCached: Bool? = nil, elapsedSeconds: JSONNumber? = nil,
        isConfirmed: Bool? = nil
    ) {
        (self.messageIDs, self.isConfirmed) = (messageIDs, isConfirmed)
        (self.action, self.chat, self.messageID, self.fileID) = (action, chat, messageID, fileID)
        (self.key, self.isCached, self.elapsedSeconds) = (key, isCached, elapsedSeconds)
    }

    /// - Throws: `MalformedInput` if there is no known action.
    package init(_ payload: JSONObject, type: String = TelegramSent.type) throws(MalformedInput) {
        var reader = PayloadReader(payload, type: type)
        action = try TelegramAction(&reader, type: type)
        chat = reader.take("chat_id") { ChatID($0) }
        messageID = reader.integer("message_id")
        messageIDs = reader.take("message_ids") { $0.array.map { $0.compactMap(\.int) } }
        fileID = reader.string("file_id")
        key = reader.string("key")
        isCached = reader.bool("cached")
        elapsedSeconds = reader.number("elapsed_seconds")
        isConfirmed = reader.bool("confirmed")
    }

    package var type: String { TelegramSent.type }

    package var json: JSONObject {
        [
            "action": .string(action.rawValue), "chat_id": chat?.json, "message_id": JSON(messageID),
            "message_ids": messageIDs.map { .array($0.map { .integer($0) }) }, "file_id": JSON(fileID),
            "key": JSON(key), "cached": JSON(isCached),
            "elapsed_seconds": JSON(elapsedSeconds), "confirmed": JSON(isConfirmed),
        ]
    }
}

/// Reports that an action failed and is not tried again: `events.telegram.failed`.
package struct TelegramFailed: EventPayload {
    package static let type = "events.telegram.failed"
    package static let types = [type]

    package var action: TelegramAction
    package var chat: ChatID?
    /// Telegram's error code; 0 if Telegram gave no answer.
    package var code: Int64
    package var reason: String

    package init(_ action: TelegramAction, chat: ChatID?, code: Int64, reason: String) {
        (self.action, self.chat, self.code, self.reason) = (action, chat, code, reason)
    }

    /// - Throws: `MalformedInput` if there is no known action, no code or no reason.
    package init(_ payload: JSONObject, type: String = TelegramFailed.type) throws(MalformedInput) {
        var reader = PayloadReader(payload, type: type)
        action = try TelegramAction(&reader, type: type)
        chat = reader.take("chat_id") { ChatID($0) }
        guard let code = reader.integer("code"), let reason = reader.string("reason") else {
            throw MalformedInput(.invalidPayload, "\(type): no code or no reason")
        }
        (self.code, self.reason) = (code, reason)
    }

    package var type: String { TelegramFailed.type }

    package var json: JSONObject {
        [
            "action": .string(action.rawValue), "chat_id": chat?.json, "code": .integer(code),
            "reason": .string(reason),
        ]
    }
}

/// Reports that Telegram requires a wait, after which the delayed call continues on its own: `events.telegram.waiting`.
package struct TelegramWaiting: EventPayload {
    package static let type = "events.telegram.waiting"
    package static let types = [type]

    /// The id of the account or bot whose call waits.
    package var accountID: Int64
    /// The method that was called.
    package var method: String
    /// The time at which the wait ends: RFC 3339, kept as it was written.
    package var until: String
    /// The length of the wait from the event's timestamp on.
    package var seconds: Int64
    /// The text of Telegram's error.
    package var reason: String
    /// The chat whose messages wait, if the wait concerns a single chat.
    package var chatID: Int64?

    package init(
        accountID: Int64, method: String, until: Timestamp, seconds: Int64, reason: String, chatID: Int64? = nil
    ) {
        (self.accountID, self.method, self.until) = (accountID, method, until.description)
        (self.seconds, self.reason, self.chatID) = (seconds, reason, chatID)
    }

    /// - Throws: `MalformedInput` if anything but the chat is missing.
    package init(_ payload: JSONObject, type: String = TelegramWaiting.type) throws(MalformedInput) {
        var reader = PayloadReader(payload, type: type)
        guard let accountID = reader.integer("account_id"), let method = reader.string("method"),
            let until = reader.string("until"), let seconds = reader.integer("seconds"),
            let reason = reader.string("reason")
        else {
            throw MalformedInput(
                .invalidPayload, "\(type): account_id, method, until, seconds and reason are needed")
        }
        (self.accountID, self.method, self.until) = (accountID, method, until)
        (self.seconds, self.reason, chatID) = (seconds, reason, reader.integer("chat_id"))
    }

    package var type: String { TelegramWaiting.type }

    package var json: JSONObject {
        [
            "account_id": .integer(accountID), "method": .string(method), "until": .string(until),
            "seconds": .integer(seconds), "reason": .string(reason), "chat_id": JSON(chatID),
        ]
    }
}

extension TelegramAction {
    fileprivate init(_ reader: inout PayloadReader, type: String) throws(MalformedInput) {
        guard let action = reader.string("action").flatMap(TelegramAction.init(rawValue:)) else {
            throw MalformedInput(.invalidPayload, "\(type): no known action")
        }
        self = action
    }
}
