package import Accounts
import JSON
import System

/// Makes Bot API updates of emissions, and looks up what they only refer to: people, and messages that are answered.
package actor BotShaper {
    private let account: any Account
    /// Empty: all that the Bot API sends unless it is asked for more.
    private let wanted: Set<String>
    private var messages: [BotShape.Reference: Found] = [:]
    private var order: [BotShape.Reference] = []

    private struct Found {
        /// nil: there is no such message (any more).
        let message: JSON?
        let peers: Peers
    }

    /// Messages that are remembered, for those that answer them.
    private static let mostMessages = 500
    /// A message that is answered is not worth a longer wait.
    private static let longestWait = Duration.seconds(5)
    /// Left out unless they are asked for: the first two as in the Bot API, the last because it does not have it.
    private static let onRequest: Set = ["message_reaction", "message_reaction_count", "deleted_messages"]

    /// - Parameter wanted: names of updates; none: all but `message_reaction_count` and `deleted_messages`.
    package init(_ account: any Account, wanted: [String]) {
        self.account = account
        self.wanted = Set(wanted)
    }

    /// nil for what is not wanted, or has no form.
    ///
    /// - Throws: what keeps the account from being used.
    package func shape(_ emission: Emission) async throws -> BotShape? {
        let own = account.userID
        guard let plain = BotShape(emission.update, own: own, peers: emission.peers) else { return nil }
        if let message = emission.update["message"] { remember(message, emission.peers) }
        guard wanted.isEmpty ? !BotShaper.onRequest.contains(plain.kind) : wanted.contains(plain.kind) else {
            return nil
        }
        var peers = emission.peers
        let mentioned = BotShape.mentioned(in: emission.update)
        var replied: JSON?
        if let reference = mentioned.message {
            let found = try await message(reference)
            replied = found.message
            peers.merge(found.peers)
        }
        let writer = plain.isOutgoing ? [own] : []
        for id in mentioned.peers + writer + (replied.map { ShortForm.mentioned(in: $0) } ?? []) where peers[id] == nil
        {
            if let peer = try await account.peer(id) { peers.insert(peer) }
        }
        return BotShape(emission.update, own: own, peers: peers, replied: replied)
    }

    private func remember(_ message: JSON, _ peers: Peers) {
        guard let id = message["id"]?.int, let chat = message["peer_id"].flatMap({ PeerID(tl: $0) }) else { return }
        var mentioned = Peers()
        for id in ShortForm.mentioned(in: message) + [chat.botAPI] {
            if let peer = peers[id] { mentioned.insert(peer) }
        }
        let reference = BotShape.Reference(chatID: chat.botAPI, messageID: id)
        remember(reference, Found(message: message, peers: mentioned))
    }

    private func remember(_ reference: BotShape.Reference, _ found: Found) {
        if messages.updateValue(found, forKey: reference) == nil { order.append(reference) }
        guard order.count > BotShaper.mostMessages else { return }
        for old in order.prefix(BotShaper.mostMessages / 4) { messages[old] = nil }
        order.removeFirst(BotShaper.mostMessages / 4)
    }

    /// Asks Telegram once for a message that was not seen.
    private func message(_ reference: BotShape.Reference) async throws -> Found {
        if let known = messages[reference] { return known }
        var options = CallOptions()
        options.longestWait = BotShaper.longestWait
        let id: JSON = .array([.object(["_": "inputMessageID", "id": .integer(reference.messageID)])])
        let isChannel = if case .channel = PeerID(botAPI: reference.chatID) { true } else { false }
        do {
            let text = try await account.call(
                isChannel ? "channels.getMessages" : "messages.getMessages",
                ["channel": isChannel ? .integer(reference.chatID) : nil, "id": id], options)
            let result = try JSON(parsing: text)
            let message = result["messages"]?.array?.first { $0["id"]?.int == reference.messageID }
            let found = Found(
                message: message.flatMap { $0["_"] == "messageEmpty" ? nil : $0 }, peers: Peers(of: result))
            remember(reference, found)
            return found
        } catch let error as any ReportableError where error.exitStatus != .authenticationRefused {
            // It is shown as one that cannot be seen.
            return Found(message: nil, peers: Peers())
        }
    }
}
