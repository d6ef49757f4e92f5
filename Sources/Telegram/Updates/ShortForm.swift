import Accounts
import JSON

/// Reads short updates, which name peers only by their ids.
enum ShortForm {
    /// Returns the update that a short one stands for; nil for another constructor.
    ///
    /// - Parameter own: the account's id, which short updates leave out.
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

    /// Returns the Bot API ids of all peers without which a message cannot be shown.
    static func mentioned(in message: JSON) -> [Int64] {
        let (reply, media, action) = (message["reply_to"], message["media"], message["action"])
        let peers = [
            message["from_id"], message["peer_id"], message["fwd_from"]?["from_id"], reply?["reply_to_peer_id"],
            reply?["reply_from"]?["from_id"], reply?["peer"], media?["peer"], action?["from_id"], action?["to_id"],
        ]
        var found = peers.compactMap { $0.flatMap { PeerID(tl: $0)?.botAPI } }
        let users =
            [message["via_bot_id"], message["via_business_bot_id"], action?["user_id"]].compactMap { $0?.long }
            + ((action?["users"]?.array ?? []) + (media?["winners"]?.array ?? [])).compactMap(\.long)
        let channels =
            [media?["channel_id"]].compactMap { $0?.long } + (media?["channels"]?.array ?? []).compactMap(\.long)
        found += users + channels.map { PeerID.channel($0).botAPI }
        for entity in message["entities"]?.array ?? [] where entity["_"] == "messageEntityMentionName" {
            if let id = entity["user_id"]?.long { found.append(id) }
        }
        return found
    }
}
