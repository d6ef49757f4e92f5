import Accounts
package import JSON

/// A request that the sequencer needs an answer to.
package enum UpdateRequest: Sendable, Equatable {
    /// The account's position, for one that was never listened to or whose numbers Telegram does not know.
    case state
    /// The channels' positions, for an account that was never listened to.
    case dialogs(DialogOffset)
    case difference
    case channelDifference(Int64)
    /// The channel's pts, and its newest message from before the date: newer messages are emitted, older ones are not.
    case boundary(channel: Int64, date: Int64)
    /// The messages of a channel that are newer than the newest known one.
    case history(channel: Int64, after: Int64)
    /// The messages of the common box that are newer than the newest known one. Their ids have no gaps.
    case messages(after: Int64)

    var box: BoxID {
        switch self {
        case .state, .dialogs, .difference, .messages: .common
        case .channelDifference(let id), .boundary(let id, _), .history(let id, _): .channel(id)
        }
    }

    /// The number of messages or dialogs in one answer.
    static let page: Int64 = 100
    /// The number of messages that are enough to find the newest one before a date, also if a server ignores the date.
    static let boundaryPage: Int64 = 20

    /// Returns the method to call, and its parameters.
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
                    // Telegram refuses a pts of 0 here.
                    "pts": .integer(max(state[box].pts ?? 1, 1)), "limit": .integer(UpdateRequest.page),
                ]
            )
        case .boundary(_, let date):
            ("messages.getHistory", window(date: date, from: 0, newer: 0, limit: UpdateRequest.boundaryPage))
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

    /// Returns whether an answer holds what the sequencer needs. Taking another one would lose updates unnoticed.
    func accepts(_ result: JSON) -> Bool {
        switch self {
        case .state: return UpdateState(result: result) != nil
        case .dialogs: return result["dialogs"]?.array != nil
        case .boundary, .history, .messages: return result["messages"]?.array != nil
        case .difference:
            switch result["_"]?.string {
            case "updates.differenceEmpty": return true
            case "updates.differenceTooLong": return result["pts"]?.count31 != nil
            case "updates.difference": return result["state"] != nil
            case "updates.differenceSlice": return result["intermediate_state"] != nil
            default: return false
            }
        case .channelDifference:
            switch result["_"]?.string {
            case "updates.channelDifferenceEmpty": return true
            case "updates.channelDifferenceTooLong": return result["dialog"]?["pts"]?.count31 != nil
            case "updates.channelDifference": return result["pts"]?.count31 != nil
            default: return false
            }
        }
    }
}

/// The position in the list of dialogs, which is in the order of their newest messages.
package struct DialogOffset: Sendable, Equatable {
    var date: Int64 = 0
    var id: Int64 = 0
    var peer: JSON = ["_": "inputPeerEmpty"]
    /// The number of pages before this position.
    var page = 0

    /// The most pages that are read. Channels beyond them are learned when something happens there.
    package static let mostPages = 30

    /// The position before the first dialog.
    package init() {}

    init(date: Int64, id: Int64, peer: JSON, page: Int) {
        (self.date, self.id, self.peer, self.page) = (date, id, peer, page)
    }

    /// The parameters of `messages.getDialogs`.
    package var parameters: JSONObject {
        [
            "offset_date": .integer(date), "offset_id": .integer(id), "offset_peer": peer,
            "limit": .integer(UpdateRequest.page), "hash": 0,
        ]
    }

    /// Returns the position after a page; nil when it was the last one, or when so many have been read.
    package func next(after result: JSON, mostPages: Int = mostPages) -> DialogOffset? {
        guard result["_"] == "messages.dialogsSlice", page + 1 < mostPages,
            let last = result["dialogs"]?.array?.last, let id = last["top_message"]?.count31,
            let peer = last["peer"].flatMap({ PeerID(tl: $0) })
        else { return nil }
        let newest = result["messages"]?.array?.first {
            $0["id"]?.count31 == id && $0["peer_id"].flatMap { PeerID(tl: $0) } == peer
        }
        let next = DialogOffset(
            date: newest?["date"]?.count31 ?? date, id: id, peer: .integer(peer.botAPI), page: page + 1)
        return next.peer == self.peer ? nil : next
    }
}
