import Accounts
import JSON

/// An update that belongs into the order of a box.
struct Numbered {
    let box: BoxID
    let pts: Int64
    let count: Int64
    let update: JSON
    let peers: Peers

    /// nil for updates that have no count.
    init?(_ update: JSON, _ peers: Peers) {
        guard let pts = update["pts"]?.count31, let count = update["pts_count"]?.count31,
            let box = Numbered.box(of: update)
        else { return nil }
        (self.box, self.pts, self.count, self.update, self.peers) = (box, pts, count, update, peers)
    }

    private static func box(of update: JSON) -> BoxID? {
        let name = update["_"]?.string ?? ""
        guard name.contains("Channel") else { return .common }
        let id = update["channel_id"]?.long ?? update["message"]?["peer_id"]?["channel_id"]?.long
        return id.map { .channel($0) }
    }
}

/// What identifies a change among those of one difference.
enum ChangeKey {
    /// The id of a message that is new; nil for everything else.
    static func newMessage(_ update: JSON) -> Int64? {
        guard ["updateNewMessage", "updateNewChannelMessage"].contains(update["_"]?.string) else { return nil }
        return update["message"]?["id"]?.count31
    }

    /// nil for what may come as often as it likes.
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

/// Short updates, which name people by their ids only.
enum ShortForm {
    /// The update that a short one stands for; nil for another constructor.
    ///
    /// - Parameter own: the account, whom short updates do not name.
    static func expanded(_ short: JSON, own: Int64) -> JSON? {
        guard let sender = sender(of: short, own: own), let peer = peer(of: short) else { return nil }
        let kept = [
            "out", "mentioned", "media_unread", "silent", "id", "date", "message", "fwd_from", "via_bot_id",
            "reply_to", "entities", "ttl_period",
        ]
        var message: JSONObject = ["_": "message", "from_id": sender, "peer_id": peer]
        for key in kept { message[key] = short[key] }
        return .object([
            "_": "updateNewMessage", "message": .object(message), "pts": short["pts"], "pts_count": short["pts_count"],
        ])
    }

    private static func sender(of short: JSON, own: Int64) -> JSON? {
        let isOwn = short["out"]?.bool == true
        switch short["_"]?.string {
        case "updateShortMessage":
            guard let id = isOwn ? own : short["user_id"]?.long else { return nil }
            return ["_": "peerUser", "user_id": .integer(id)]
        case "updateShortChatMessage":
            guard let id = short["from_id"]?.long else { return nil }
            return ["_": "peerUser", "user_id": .integer(id)]
        default: return nil
        }
    }

    private static func peer(of short: JSON) -> JSON? {
        if let id = short["chat_id"] { return ["_": "peerChat", "chat_id": id] }
        return short["user_id"].map { ["_": "peerUser", "user_id": $0] }
    }

    /// Everybody whom a message cannot be shown without.
    static func mentioned(in message: JSON) -> [Int64] {
        var found = [message["from_id"], message["peer_id"], message["fwd_from"]?["from_id"]].compactMap {
            $0.flatMap { PeerID(tl: $0)?.botAPI }
        }
        if let bot = message["via_bot_id"]?.long { found.append(bot) }
        for entity in message["entities"]?.array ?? [] where entity["_"] == "messageEntityMentionName" {
            if let id = entity["user_id"]?.long { found.append(id) }
        }
        return found
    }
}

extension PeerID {
    /// Of a `Peer` of TL.
    init?(tl peer: JSON) {
        if let id = peer["user_id"]?.long {
            self = .user(id)
        } else if let id = peer["chat_id"]?.long {
            self = .chat(id)
        } else if let id = peer["channel_id"]?.long {
            self = .channel(id)
        } else {
            return nil
        }
    }
}

extension JSON {
    /// A count, a time or a message's number: Telegram's are of 31 bits, and what is computed with them does not overflow.
    var count31: Int64? { int.flatMap { (0...Int64(Int32.max)).contains($0) ? $0 : nil } }
}
