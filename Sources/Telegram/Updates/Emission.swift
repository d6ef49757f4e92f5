import Accounts
package import JSON

/// One thing that happened, and the state behind it.
package struct Emission: Sendable {
    /// An `Update` of TL. Messages from differences and histories are put into the one that would have announced them.
    package let update: JSON
    /// Who is mentioned, as far as Telegram told with it.
    package let peers: Peers
    /// To be kept together with what is emitted.
    package var state: UpdateState
}

/// Users, chats and channels of TL, by the ids of the Bot API.
package struct Peers: Sendable {
    private var known: [Int64: JSON] = [:]

    package init() {}

    /// Of anything that has `users` and `chats`.
    package init(of container: JSON) {
        for user in container["users"]?.array ?? [] { insert(user) }
        for chat in container["chats"]?.array ?? [] { insert(chat) }
    }

    package mutating func insert(_ peer: JSON) {
        guard let id = peer["id"]?.long, let kind = peer["_"]?.string else { return }
        switch kind {
        case "user": known[id] = peer
        case "chat", "chatForbidden": known[PeerID.chat(id).botAPI] = peer
        case "channel", "channelForbidden": known[PeerID.channel(id).botAPI] = peer
        default: break
        }
    }

    package subscript(_ id: Int64) -> JSON? { known[id] }

    /// Adds those that are not known yet.
    mutating func merge(_ others: Peers) { known.merge(others.known) { own, _ in own } }
}

/// What has to be asked for next.
package enum UpdateRequest: Sendable, Equatable {
    case state
    /// Where the channels stand, when an account is listened to for the first time.
    case dialogs(DialogOffset)
    case difference
    case channelDifference(Int64)
    /// The newest message of a channel that is too old to be emitted, and the channel's pts.
    case boundary(channel: Int64, date: Int64)
    /// The messages of a channel behind the newest known one.
    case history(channel: Int64, after: Int64)
    /// The messages of the common box behind the newest known one, which are numbered without holes.
    case messages(after: Int64)

    var box: BoxID {
        switch self {
        case .state, .dialogs, .difference, .messages: .common
        case .channelDifference(let id), .boundary(let id, _), .history(let id, _): .channel(id)
        }
    }

    static let page: Int64 = 100

    /// The method that answers it, and its parameters.
    func call(_ state: UpdateState) -> (method: String, parameters: JSONObject) {
        switch self {
        case .state: ("updates.getState", [:])
        case .dialogs(let offset): ("messages.getDialogs", offset.parameters)
        case .difference:
            (
                "updates.getDifference",
                [
                    "pts": .integer(state.common.pts ?? 0), "pts_limit": .integer(UpdateRequest.page),
                    "date": .integer(state.date), "qts": .integer(state.qts),
                ]
            )
        case .channelDifference:
            (
                "updates.getChannelDifference",
                [
                    "channel": channel, "filter": ["_": "channelMessagesFilterEmpty"],
                    // Telegram knows no difference to 0.
                    "pts": .integer(max(state[box].pts ?? 1, 1)), "limit": .integer(UpdateRequest.page),
                ]
            )
        case .boundary(_, let date): ("messages.getHistory", window(date: date, from: 0, newer: 0, limit: 1))
        case .history(_, let id):
            (
                "messages.getHistory",
                window(date: 0, from: id + 1, newer: UpdateRequest.page, limit: UpdateRequest.page)
            )
        case .messages(let id):
            (
                "messages.getMessages",
                [
                    "id": .array(
                        (1...UpdateRequest.page).map { ["_": "inputMessageID", "id": .integer(id + $0)] })
                ]
            )
        }
    }

    private var channel: JSON { box.chatID.map { .integer($0) } ?? .null }

    private func window(date: Int64, from id: Int64, newer: Int64, limit: Int64) -> JSONObject {
        [
            "peer": channel, "offset_id": .integer(id), "offset_date": .integer(date), "add_offset": .integer(-newer),
            "limit": .integer(limit), "max_id": 0, "min_id": 0, "hash": 0,
        ]
    }
}
