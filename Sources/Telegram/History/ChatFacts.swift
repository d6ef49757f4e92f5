import Accounts
package import JSON
import Updates

/// Describes a chat as its history's events do.
package struct ChatFacts: Sendable, Equatable {
    package let id: Int64
    /// The user name, by which an account that does not know the chat can find it.
    package var username: String?
    /// All of its user names, in lower case; a chat can have several.
    var usernames: Set<String> = []
    /// A `Chat` of the Bot API, with the numbers below.
    package var body: JSONObject
    /// The group with the comments of a channel, or the channel of such a group.
    package var linkedChatID: Int64?
    /// The basic group that a supergroup was before, and its last message.
    package var migratedFrom: (chatID: Int64, maxID: Int64)?

    /// The title, or the name of a user.
    package var title: String { body["title"]?.string ?? body["first_name"]?.string ?? "\(id)" }

    /// Is true for channels, in which only their owners write.
    package var isBroadcast: Bool { body["type"] == "channel" }

    /// Is true for channels and supergroups, whose messages have the same ids for all accounts.
    package var isShared: Bool { ChatFacts.isShared(id) }

    package static func isShared(_ id: Int64) -> Bool {
        if case .channel = PeerID(botAPI: id) { true } else { false }
    }

    package static func == (left: ChatFacts, right: ChatFacts) -> Bool { left.body == right.body }

    init(id: Int64, username: String?, body: JSONObject) {
        (self.id, self.username, self.body) = (id, username, body)
        usernames = Set([username].compactMap { $0?.lowercased() })
    }

    /// Finds a chat among those of an answer; nil if it is not there, or the account may not see it.
    init?(_ peer: PeerID, in answer: JSON, own: Int64) {
        let peers = Peers(of: answer)
        guard let known = peers[peer.botAPI], known["_"]?.string?.hasSuffix("Forbidden") == false else { return nil }
        let body = PageShape(own: own, peers: peers).chat(peer).object ?? [:]
        self.init(id: peer.botAPI, username: body["username"]?.string, body: body)
        let several = (known["usernames"]?.array ?? []).filter { $0["active"] == true }.compactMap {
            $0["username"]?.string
        }
        usernames.formUnion(([known["username"]?.string].compactMap { $0 } + several).map { $0.lowercased() })
    }

    /// Adds what only the full description of a channel or supergroup tells.
    mutating func add(full: JSON) {
        if let linked = full["linked_chat_id"]?.long {
            linkedChatID = PeerID.channel(linked).botAPI
            body["linked_chat_id"] = .integer(PeerID.channel(linked).botAPI)
        }
        guard let group = full["migrated_from_chat_id"]?.long, let last = full["migrated_from_max_id"]?.int else {
            return
        }
        migratedFrom = (PeerID.chat(group).botAPI, last)
        body["migrated_from_chat_id"] = .integer(PeerID.chat(group).botAPI)
        body["migrated_from_max_id"] = .integer(last)
    }
}
