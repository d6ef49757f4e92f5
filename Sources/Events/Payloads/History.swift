import Envelope
package import JSON

/// Asks for a part of a chat's history: `commands.telegram.history`.
package struct HistoryCommand: EventPayload {
    package static let type = "commands.telegram.history"
    package static let types = [type]

    package var chat: ChatID
    /// The user name, without `@`, by which somebody asked for the chat; a chat that has another one now is not read.
    package var chatUsername: String?
    /// The only account that can answer: in private chats and basic groups, each account counts the messages by itself.
    package var accountID: Int64?
    /// The lowest id that is wanted; nil for the first message.
    package var fromID: Int64?
    /// The highest id that is wanted; nil for the newest message.
    package var toID: Int64?
    /// The time of the oldest message that is wanted: RFC 3339, kept as it was written.
    package var since: String?
    /// The time of the newest message that is wanted: RFC 3339, kept as it was written.
    package var until: String?
    /// The number of messages that are wanted, from the newest on.
    package var last: Int64?

    package init(
        _ chat: ChatID, accountID: Int64? = nil, fromID: Int64? = nil, toID: Int64? = nil, since: String? = nil,
        until: String? = nil, last: Int64? = nil
    ) {
        (self.chat, self.accountID, self.fromID, self.toID) = (chat, accountID, fromID, toID)
        (self.since, self.until, self.last) = (since, until, last)
    }

    /// - Throws: `MalformedInput` if there is no chat, or a bound is not of its type: without it, more would be read than was
    ///   asked for.
    package init(_ payload: JSONObject, type: String = HistoryCommand.type) throws(MalformedInput) {
        var reader = PayloadReader(payload, type: type)
        guard let chat = reader.take("chat_id", { ChatID($0) }) else {
            throw MalformedInput(.invalidPayload, "\(type): no chat_id")
        }
        self.chat = chat
        chatUsername = try reader.strict("chat_username", \.string)
        accountID = try reader.strict("account_id", \.int)
        fromID = try reader.strict("from_id", \.int)
        toID = try reader.strict("to_id", \.int)
        since = try reader.strict("since", \.string)
        until = try reader.strict("until", \.string)
        last = try reader.strict("last", \.int)
    }

    package var type: String { HistoryCommand.type }

    package var json: JSONObject {
        [
            "chat_id": chat.json, "chat_username": JSON(chatUsername), "account_id": JSON(accountID),
            "from_id": JSON(fromID), "to_id": JSON(toID),
            "since": JSON(since), "until": JSON(until), "last": JSON(last),
        ]
    }
}

/// Carries a message of a chat's history: `events.telegram.message`. `meta.account` names the account that read it.
package struct HistoryMessage: EventPayload {
    package static let type = "events.telegram.message"
    package static let types = [type]

    /// The key of the message: `message`, or `channel_post` in a channel.
    package var kind: String
    /// A `Message` of the Bot API, as in `events.telegram.raw`.
    package var body: JSON
    /// The numbers that Telegram keeps about the message; see `TelegramUpdate.counters`.
    package var counters: JSON?
    /// The position of the channel's updates at which the message was read.
    package var pts: Int64?
    /// The `Message` in the form of Telegram's schema, if it was asked for.
    package var tl: JSON?

    package init(kind: String, body: JSON, counters: JSON? = nil, pts: Int64? = nil, tl: JSON? = nil) {
        (self.kind, self.body, self.counters, self.pts, self.tl) = (kind, body, counters, pts, tl)
    }

    /// - Throws: `MalformedInput` if the payload has no message.
    package init(_ payload: JSONObject, type: String = HistoryMessage.type) throws(MalformedInput) {
        guard let kind = ["message", "channel_post"].first(where: { payload[$0]?.object != nil }),
            let body = payload[kind]
        else {
            throw MalformedInput(.invalidPayload, "\(type): the payload has no message")
        }
        (self.kind, self.body) = (kind, body)
        (counters, pts, tl) = (payload["counters"], payload["pts"]?.int, payload["tl"])
    }

    package var type: String { HistoryMessage.type }

    package var json: JSONObject {
        var json: JSONObject = [kind: body]
        json["counters"] = counters
        json["pts"] = JSON(pts)
        json["tl"] = tl
        return json
    }
}

/// States which messages exist in a range of a chat's ids, after the messages themselves: `events.telegram.history_range`.
package struct HistoryRange: EventPayload {
    package static let type = "events.telegram.history_range"
    package static let types = [type]

    /// The account that read the range.
    package var accountID: Int64
    /// Whose ids these are: 0 for channels and supergroups, which all accounts see alike, otherwise the account.
    package var ownerID: Int64
    /// A `Chat` of the Bot API, with `linked_chat_id`, `migrated_from_chat_id` and `migrated_from_max_id` where Telegram
    /// tells them.
    package var chat: JSON
    /// The lowest id of the range.
    package var fromID: Int64
    /// The highest id of the range.
    package var toID: Int64
    /// The messages that exist in the range.
    package var found: MessageIDDigest
    /// The number of messages in the whole chat, as Telegram tells it.
    package var total: Int64?
    /// The highest id of the chat, if the range was read from the newest message on.
    package var newestID: Int64?
    /// The position of the channel's updates at which the range was read.
    package var pts: Int64?

    package init(
        accountID: Int64, ownerID: Int64, chat: JSON, fromID: Int64, toID: Int64, found: MessageIDDigest,
        total: Int64? = nil, newestID: Int64? = nil, pts: Int64? = nil
    ) {
        (self.accountID, self.ownerID, self.chat) = (accountID, ownerID, chat)
        (self.fromID, self.toID, self.found) = (fromID, toID, found)
        (self.total, self.newestID, self.pts) = (total, newestID, pts)
    }

    /// - Throws: `MalformedInput` if anything but `total`, `newest_id` and `pts` is missing, or the bounds are impossible.
    package init(_ payload: JSONObject, type: String = HistoryRange.type) throws(MalformedInput) {
        var reader = PayloadReader(payload, type: type)
        guard let accountID = reader.integer("account_id"), let ownerID = reader.integer("owner_id"),
            let chat = reader.take("chat", { $0["id"]?.int == nil ? nil : $0 }), let fromID = reader.integer("from_id"),
            let toID = reader.integer("to_id"), let count = reader.integer("count"),
            let found = reader.string("checksum").flatMap({ MessageIDDigest(count: count, checksum: $0) })
        else {
            throw MalformedInput(
                .invalidPayload,
                "\(type): account_id, owner_id, chat, from_id, to_id, count and checksum are needed")
        }
        guard fromID >= 1, fromID <= toID, count <= toID - fromID + 1 else {
            throw MalformedInput(.invalidPayload, "\(type): from_id, to_id and count contradict each other")
        }
        (self.accountID, self.ownerID, self.chat) = (accountID, ownerID, chat)
        (self.fromID, self.toID, self.found) = (fromID, toID, found)
        (total, newestID) = (reader.integer("total"), reader.integer("newest_id"))
        pts = reader.integer("pts")
    }

    package var type: String { HistoryRange.type }

    package var json: JSONObject {
        [
            "account_id": .integer(accountID), "owner_id": .integer(ownerID), "chat": chat,
            "from_id": .integer(fromID), "to_id": .integer(toID), "count": .integer(found.count),
            "checksum": .string(found.checksum), "total": JSON(total), "newest_id": JSON(newestID), "pts": JSON(pts),
        ]
    }
}

/// Reports that updates of a chat were lost, so that its messages must be read again: `events.telegram.history_hole`.
package struct HistoryHole: EventPayload {
    package static let type = "events.telegram.history_hole"
    package static let types = [type]

    /// The account whose updates were lost.
    package var accountID: Int64
    /// Whose ids these are, as in `HistoryRange`.
    package var ownerID: Int64
    /// The chat; nil for all chats of the owner.
    package var chatID: Int64?
    /// The lowest id that is concerned.
    package var fromID: Int64
    /// The highest id that is concerned; nil for all that follow.
    package var toID: Int64?
    /// The reason, in one line.
    package var reason: String
    /// The position of the channel's updates after the loss, if it is known.
    package var pts: Int64?

    package init(
        accountID: Int64, ownerID: Int64, chatID: Int64?, fromID: Int64, toID: Int64? = nil, reason: String,
        pts: Int64? = nil
    ) {
        (self.accountID, self.ownerID, self.chatID) = (accountID, ownerID, chatID)
        (self.fromID, self.toID, self.reason, self.pts) = (fromID, toID, reason, pts)
    }

    /// - Throws: `MalformedInput` if anything but the chat, the upper bound and `pts` is missing, or the bounds are impossible.
    package init(_ payload: JSONObject, type: String = HistoryHole.type) throws(MalformedInput) {
        var reader = PayloadReader(payload, type: type)
        chatID = try reader.strict("chat_id", \.int)
        toID = try reader.strict("to_id", \.int)
        guard let accountID = reader.integer("account_id"), let ownerID = reader.integer("owner_id"),
            let fromID = reader.integer("from_id"), let reason = reader.string("reason")
        else {
            throw MalformedInput(.invalidPayload, "\(type): account_id, owner_id, from_id and reason are needed")
        }
        guard fromID >= 1, toID.map({ $0 >= fromID }) ?? true else {
            throw MalformedInput(.invalidPayload, "\(type): from_id and to_id contradict each other")
        }
        (self.accountID, self.ownerID, self.fromID, self.reason) = (accountID, ownerID, fromID, reason)
        pts = reader.integer("pts")
    }

    package var type: String { HistoryHole.type }

    package var json: JSONObject {
        [
            "account_id": .integer(accountID), "owner_id": .integer(ownerID), "chat_id": JSON(chatID),
            "from_id": .integer(fromID), "to_id": JSON(toID), "reason": .string(reason), "pts": JSON(pts),
        ]
    }
}

/// States that the comments on one post of a channel were read, after the comments themselves:
/// `events.telegram.history_comments`. It is written where no account can read the group that holds them as a whole.
package struct HistoryComments: EventPayload {
    package static let type = "events.telegram.history_comments"
    package static let types = [type]

    /// The account that read the comments.
    package var accountID: Int64
    /// A `Chat` of the Bot API: the group that holds the comments.
    package var chat: JSON
    /// The channel, and the id of the post.
    package var channelID: Int64
    package var postID: Int64
    /// The number of comments that were read.
    package var count: Int64
    /// The number of comments that Telegram tells of.
    package var total: Int64?

    package init(accountID: Int64, chat: JSON, channelID: Int64, postID: Int64, count: Int64, total: Int64? = nil) {
        (self.accountID, self.chat, self.channelID) = (accountID, chat, channelID)
        (self.postID, self.count, self.total) = (postID, count, total)
    }

    /// - Throws: `MalformedInput` if anything but `total` is missing.
    package init(_ payload: JSONObject, type: String = HistoryComments.type) throws(MalformedInput) {
        var reader = PayloadReader(payload, type: type)
        guard let accountID = reader.integer("account_id"),
            let chat = reader.take("chat", { $0["id"]?.int == nil ? nil : $0 }),
            let channelID = reader.integer("channel_id"), let postID = reader.integer("post_id"),
            let count = reader.integer("count"), postID >= 1, count >= 0
        else {
            throw MalformedInput(
                .invalidPayload, "\(type): account_id, chat, channel_id, post_id and count are needed")
        }
        (self.accountID, self.chat, self.channelID) = (accountID, chat, channelID)
        (self.postID, self.count, total) = (postID, count, reader.integer("total"))
    }

    package var type: String { HistoryComments.type }

    package var json: JSONObject {
        [
            "account_id": .integer(accountID), "chat": chat, "channel_id": .integer(channelID),
            "post_id": .integer(postID), "count": .integer(count), "total": JSON(total),
        ]
    }
}

/// Stands for a set of message ids, without their order: how many there are, and a checksum.
///
/// The checksum is the sum modulo 2⁶⁴ of `mix(id)`, SplitMix64's output for the id. Digests of disjoint sets can therefore be
/// added.
package struct MessageIDDigest: Sendable, Hashable {
    package private(set) var count: Int64 = 0
    private var sum: UInt64 = 0

    package init() {}

    package init(_ ids: some Sequence<Int64>) { for id in ids { insert(id) } }

    /// Returns nil if the count is negative, or the checksum is not 16 hexadecimal digits.
    package init?(count: Int64, checksum: String) {
        guard count >= 0, checksum.utf8.count == 16, checksum.utf8.allSatisfy({ $0 != UInt8(ascii: "+") }),
            let sum = UInt64(checksum, radix: 16)
        else { return nil }
        (self.count, self.sum) = (count, sum)
    }

    /// The checksum as 16 hexadecimal digits.
    package var checksum: String {
        let digits = String(sum, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    /// Adds an id that the set does not have yet.
    package mutating func insert(_ id: Int64) {
        count &+= 1
        sum &+= Self.mix(id)
    }

    /// Removes an id that the set has.
    package mutating func remove(_ id: Int64) {
        count &-= 1
        sum &-= Self.mix(id)
    }

    /// Adds a set that has no id in common with this one.
    package static func += (left: inout MessageIDDigest, right: MessageIDDigest) {
        left.count &+= right.count
        left.sum &+= right.sum
    }

    /// Removes a set of which this one has all ids.
    package static func -= (left: inout MessageIDDigest, right: MessageIDDigest) {
        left.count &-= right.count
        left.sum &-= right.sum
    }

    /// The id of a set of one: SplitMix64 maps no two numbers to the same one.
    package var onlyID: Int64? { count == 1 ? Self.unmix(sum) : nil }

    private static func unmix(_ mixed: UInt64) -> Int64 {
        var id = unshift(mixed, 31) &* 0x3196_42B2_D24D_8EC3
        id = unshift(id, 27) &* 0x96DE_1B17_3F11_9089
        return Int64(bitPattern: unshift(id, 30) &- 0x9E37_79B9_7F4A_7C15)
    }

    /// Inverts `x ^ (x >> bits)`.
    private static func unshift(_ value: UInt64, _ bits: UInt64) -> UInt64 {
        value ^ (value >> bits) ^ (value >> (2 * bits))
    }

    private static func mix(_ id: Int64) -> UInt64 {
        var mixed = UInt64(bitPattern: id) &+ 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
