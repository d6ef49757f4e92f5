package import Accounts
package import JSON

/// Shows the messages of a history in the form of the Bot API, as `BotShape` shows those of updates.
///
/// No further request is made for them: an answered message is shown by its id and chat alone, and a sticker without the name of its set
/// unless Telegram sends it along.
package struct PageShape: Sendable {
    private let names: BotPeers

    /// - Parameters:
    ///   - own: the account's id.
    ///   - peers: the peers that Telegram sent with the messages.
    package init(own: Int64, peers: Peers) { names = BotPeers(own: own, peers: peers) }

    /// The form of a message.
    package struct Shown {
        /// `message`, or `channel_post` in a channel.
        package let kind: String
        package let body: JSON
        package let isOutgoing: Bool
    }

    /// Returns nil for the place of a deleted message, and for one without id or chat.
    package func message(_ message: JSON) -> Shown? {
        guard let shown = BotMessage(message, own: names.own, peers: names.peers) else { return nil }
        return Shown(
            kind: shown.isPost ? "channel_post" : "message", body: .object(shown.body(replied: nil)),
            isOutgoing: shown.isOutgoing)
    }

    /// Returns a `Chat`.
    package func chat(_ peer: PeerID) -> JSON { names.chat(peer) }

    /// Returns what Telegram counts of a message: `views`, `forwards`, `replies` and `reactions`; nil if it counts nothing.
    package static func counters(of message: JSON) -> JSON? {
        var counters: JSONObject = [
            "views": message["views"], "forwards": message["forwards"], "replies": message["replies"]?["replies"],
        ]
        if let reactions = message["reactions"] { counters["reactions"] = BotShape.counts(reactions) }
        return counters.isEmpty ? nil : .object(counters)
    }
}
