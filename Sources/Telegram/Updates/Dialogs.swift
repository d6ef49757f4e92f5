import Accounts
import JSON

/// From where on dialogs are listed: by their newest messages.
package struct DialogOffset: Sendable, Equatable {
    var date: Int64 = 0
    var id: Int64 = 0
    var peer: JSON = ["_": "inputPeerEmpty"]
    /// How many pages came before.
    var page = 0

    /// Nobody has more channels than fit; the rest is learned when something happens there.
    static let mostPages = 30

    var parameters: JSONObject {
        [
            "offset_date": .integer(date), "offset_id": .integer(id), "offset_peer": peer,
            "limit": .integer(UpdateRequest.page), "hash": 0,
        ]
    }

    /// Behind a page; nil when it was the last.
    func next(after result: JSON) -> DialogOffset? {
        guard result["_"] == "messages.dialogsSlice", page + 1 < DialogOffset.mostPages,
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

extension UpdateSequencer {
    /// What is in the channels now counts as seen.
    mutating func take(dialogs result: JSON, from offset: DialogOffset) {
        for dialog in result["dialogs"]?.array ?? [] {
            guard let top = dialog["top_message"]?.count31, let peer = dialog["peer"].flatMap({ PeerID(tl: $0) }) else {
                continue
            }
            guard case .channel(let id) = peer else {
                let newest = state?.common.newest ?? 0
                state?.common.newest = max(newest, top)
                continue
            }
            guard let pts = dialog["pts"]?.count31, state?.channels[id] == nil else { continue }
            var box = BoxState(pts: pts)
            box.newest = top
            state?.channels[id] = box
        }
        dialogs = offset.next(after: result)
    }
}
