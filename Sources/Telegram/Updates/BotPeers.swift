import Accounts
import JSON

/// Shows users and chats of TL in the form of the Bot API.
///
/// Source: https://core.telegram.org/bots/api#user, #chat
struct BotPeers {
    /// The account's id.
    let own: Int64
    let peers: Peers
    /// The names of sticker sets, by their ids.
    var stickerSets: [Int64: String] = [:]

    /// Returns a `User`; for an unknown user, one with the id alone.
    func user(_ id: Int64) -> JSON {
        let known = peers[id]
        return .object([
            "id": .integer(id), "is_bot": .bool(known?["bot"]?.bool ?? false),
            "first_name": known?["first_name"] ?? "", "last_name": known?["last_name"],
            "username": known.flatMap(username), "language_code": known?["lang_code"],
            "is_premium": known?["premium"]?.bool == true ? true : nil,
            "added_to_attachment_menu": known?["attach_menu_enabled"]?.bool == true ? true : nil,
        ])
    }

    /// Returns a `Chat`; for an unknown chat, one with the id and type alone.
    func chat(_ peer: PeerID) -> JSON {
        let known = peers[peer.botAPI]
        let id = JSON.integer(peer.botAPI)
        switch peer {
        case .user:
            return .object([
                "id": id, "first_name": known?["first_name"] ?? "", "last_name": known?["last_name"],
                "username": known.flatMap(username), "type": "private",
            ])
        case .chat: return .object(["id": id, "title": known?["title"] ?? "", "type": "group"])
        case .channel:
            return .object([
                "id": id, "title": known?["title"] ?? "", "username": known.flatMap(username),
                "type": isBroadcast(peer) ? "channel" : "supergroup",
                "is_forum": known?["forum"]?.bool == true ? true : nil,
                "is_direct_messages": known?["monoforum"]?.bool == true ? true : nil,
            ])
        }
    }

    func isBroadcast(_ peer: PeerID) -> Bool {
        guard case .channel = peer, let known = peers[peer.botAPI] else { return false }
        return known["broadcast"]?.bool == true
    }

    /// Returns the name of a sticker set, an `InputStickerSet`; nil if it is not known.
    func stickerSetName(_ set: JSON) -> JSON? {
        if let name = set["short_name"] { return name }
        return set["id"]?.long.flatMap { stickerSets[$0] }.map { .string($0) }
    }

    private func username(_ peer: JSON) -> JSON? {
        let others = peer["usernames"]?.array ?? []
        return peer["username"] ?? others.first { $0["active"]?.bool == true }?["username"]
    }
}
