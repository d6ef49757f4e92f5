package import JSON

/// Tells in whose name an update was made. Access rules and limits use this identity, and no other.
///
/// It is the person, if Telegram names the person; else the chat on whose behalf an anonymous administrator or a channel
/// acts. Where a chat acts, Telegram puts a user of its own in place of the person; that user stands for everybody, and
/// is nobody's identity.
package enum MessageIdentity: Sendable, Equatable {
    /// A `User` of the Bot API.
    case person(JSON)
    /// A `Chat` of the Bot API.
    case chat(JSON)

    /// GroupAnonymousBot, Channel_Bot, and Telegram's own account: they stand for persons who are not named.
    package static let standIns: Set<Int64> = [1_087_968_824, 136_817_688, 777_000]

    /// Reads a message, or another object of an update that has an author. Returns nil if nobody is named.
    package init?(of body: JSON) {
        if let user = MessageIdentity.user(of: body), let id = user["id"]?.int, !MessageIdentity.standIns.contains(id) {
            self = .person(user)
        } else if let chat = MessageIdentity.chat(of: body), chat["id"]?.int != nil {
            self = .chat(chat)
        } else {
            return nil
        }
    }

    package var id: Int64? {
        switch self {
        case .person(let json), .chat(let json): json["id"]?.int
        }
    }

    /// Returns all ids under which the author appears: the person or the stand-in, and the chat. A ban of any of them
    /// holds.
    package static func allIDs(of body: JSON) -> [Int64] {
        [user(of: body), chat(of: body)].compactMap { $0?["id"]?.int }
    }

    private static func user(of body: JSON) -> JSON? { body["from"] ?? body["user"] }

    private static func chat(of body: JSON) -> JSON? {
        if let chat = body["sender_chat"] ?? body["actor_chat"] ?? body["voter_chat"] { return chat }
        // A post is the channel's, also where nothing else says so.
        return body["chat"].flatMap { $0["type"] == "channel" && body["message_id"] != nil ? $0 : nil }
    }
}
