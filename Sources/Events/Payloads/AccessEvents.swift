package import JSON

/// Names a rule of the access control.
package enum AccessRule: String, Sendable, CaseIterable {
    /// Allows everybody in a chat.
    case grace
    /// Allows a user.
    case bless
    /// Denies everybody in a chat.
    case smite
    /// Denies a user.
    case hammer
}

/// Reports that an admin set or removed an access rule: `events.access.changed`.
package struct AccessChanged: EventPayload {
    package static let type = "events.access.changed"
    package static let types = [type]

    package var rule: AccessRule
    /// The id of the user (bless, hammer) or of the chat (grace, smite).
    package var subjectID: Int64
    /// The id of the admin.
    package var by: Int64
    /// False if the rule was removed.
    package var isActive: Bool
    /// RFC 3339, kept as it was written; nil for a rule without an end.
    package var expiresAt: String?

    package init(_ rule: AccessRule, subjectID: Int64, by: Int64, isActive: Bool, expiresAt: Timestamp?) {
        (self.rule, self.subjectID, self.by, self.isActive) = (rule, subjectID, by, isActive)
        self.expiresAt = expiresAt?.description
    }

    /// - Throws: `MalformedInput` if anything but the end is missing.
    package init(_ payload: JSONObject, type: String = AccessChanged.type) throws(MalformedInput) {
        var reader = PayloadReader(payload, type: type)
        guard let rule = reader.string("rule").flatMap(AccessRule.init), let subjectID = reader.integer("subject_id"),
            let by = reader.integer("by"), let isActive = reader.bool("active")
        else { throw MalformedInput(.invalidPayload, "\(type): rule, subject_id, by and active are needed") }
        (self.rule, self.subjectID, self.by, self.isActive) = (rule, subjectID, by, isActive)
        expiresAt = reader.string("expires_at")
    }

    package var type: String { AccessChanged.type }

    package var json: JSONObject {
        [
            "rule": .string(rule.rawValue), "subject_id": .integer(subjectID), "by": .integer(by),
            "active": .bool(isActive), "expires_at": JSON(expiresAt),
        ]
    }
}

/// Reports that tg-gate denied an update: `events.access.denied`.
package struct AccessDenied: EventPayload {
    package static let type = "events.access.denied"
    package static let types = [type]

    /// The kinds of reasons, as words for scripts.
    package enum Code: String, Sendable, CaseIterable {
        case noSender = "no_sender"
        case hammered, smitten
        /// A bot in a graced chat.
        case bot
        /// Nobody has let the user in.
        case stranger
    }

    /// The reason, as one line for the admin.
    package var reason: String
    /// The value is nil only if a script left it out.
    package var code: Code?
    package var userID: Int64?
    package var chatID: Int64?
    /// The text of the message that was denied.
    package var text: String?
    /// The id of the `callback_query`, if the press of a button was denied: it is to be answered.
    package var callbackID: String?

    package init(
        reason: String, code: Code?, userID: Int64?, chatID: Int64?, text: String?, callbackID: String? = nil
    ) {
        (self.code, self.callbackID) = (code, callbackID)
        (self.reason, self.userID, self.chatID, self.text) = (reason, userID, chatID, text)
    }

    /// - Throws: `MalformedInput` if there is no reason.
    package init(_ payload: JSONObject, type: String = AccessDenied.type) throws(MalformedInput) {
        var reader = PayloadReader(payload, type: type)
        guard let reason = reader.string("reason") else {
            throw MalformedInput(.invalidPayload, "\(type): no reason")
        }
        self.reason = reason
        code = reader.string("code").flatMap(Code.init)
        userID = reader.integer("user_id")
        chatID = reader.integer("chat_id")
        text = reader.string("text")
        callbackID = reader.string("callback_id")
    }

    package var type: String { AccessDenied.type }

    package var json: JSONObject {
        [
            "reason": .string(reason), "code": JSON(code?.rawValue), "user_id": JSON(userID),
            "chat_id": JSON(chatID), "text": JSON(text), "callback_id": JSON(callbackID),
        ]
    }
}
