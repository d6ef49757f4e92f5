import Accounts
package import JSON

/// An update in its order, with the state after it.
package struct Emission: Sendable {
    /// An `Update` of TL. A message from a difference or a history is put into the update that would have announced it.
    package let update: JSON
    /// The peers that Telegram sent with the update.
    package let peers: Peers
    /// The state to store together with the emitted update.
    package var state: UpdateState
    /// The position of the channel's updates at which a message was read from the history. Several edits within one second differ
    /// by it alone.
    package var readAtPTS: Int64?
}

/// Users, chats and channels of TL, by their Bot API ids.
package struct Peers: Sendable {
    private var known: [Int64: JSON] = [:]

    package init() {}

    /// Reads the `users` and `chats` of an update or a result.
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

    /// Adds the peers that are not known yet.
    mutating func merge(_ others: Peers) { known.merge(others.known) { own, _ in own } }
}
