import Accounts
import Glibc
import JSON

/// An update with a place in the order of a box: it leads from `pts - count` to `pts`.
struct NumberedUpdate: Sendable {
    let box: BoxID
    let pts: Int64
    let count: Int64
    let update: JSON
    let peers: Peers

    /// Returns nil for an update without usable numbers.
    init?(_ update: JSON, _ peers: Peers) {
        guard let pts = update["pts"]?.count31, let count = update["pts_count"]?.count31,
            let box = NumberedUpdate.box(of: update)
        else { return nil }
        (self.box, self.pts, self.count, self.update, self.peers) = (box, pts, count, update, peers)
    }

    /// Returns whether an update has the members of a numbered one, but not with usable values.
    static func isFaulty(_ update: JSON) -> Bool {
        update["pts"] != nil && update["pts_count"] != nil && NumberedUpdate(update, Peers()) == nil
    }

    private static func box(of update: JSON) -> BoxID? {
        // The search of the standard library takes longer than all the rest.
        guard update["_"]?.string?.withCString({ strstr($0, "Channel") }) != nil else { return .common }
        let id = update["channel_id"]?.long ?? update["message"]?["peer_id"]?["channel_id"]?.long
        return id.map { .channel($0) }
    }
}

/// Identifies a change among those of one difference.
enum ChangeKey {
    /// Returns the id of a new message; nil for every other update.
    static func newMessage(_ update: JSON) -> Int64? {
        guard ["updateNewMessage", "updateNewChannelMessage"].contains(update["_"]?.string) else { return nil }
        return update["message"]?["id"]?.count31
    }

    /// Returns nil for an update whose repetition does no harm.
    static func text(of update: JSON) -> String? {
        if let id = newMessage(update) { return "n\(id)" }
        switch update["_"]?.string {
        case "updateEditMessage", "updateEditChannelMessage":
            guard let id = update["message"]?["id"]?.count31 else { return nil }
            return "e\(id).\(update["message"]?["edit_date"]?.count31 ?? 0)"
        case "updateDeleteMessages", "updateDeleteChannelMessages":
            return update["messages"]?.array?.first?.int.map { "d\($0)" }
        default: return nil
        }
    }
}

extension JSON {
    /// A count, a time or a message's number. Telegram's have 31 bits, so that sums of them do not overflow.
    var count31: Int64? { int.flatMap { (0...Int64(Int32.max)).contains($0) ? $0 : nil } }
}
