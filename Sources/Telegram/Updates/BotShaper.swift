package import Accounts
import JSON
import System
import TL

/// Turns emissions into updates of the Bot API, and looks up the peers and answered messages that they only refer to.
package actor BotShaper {
    private let account: any Account
    /// The kinds of updates to return; empty for the ones that the Bot API sends by default.
    private let wanted: Set<String>
    private var messages: [BotShape.Reference: Found] = [:]
    private var order: [BotShape.Reference] = []
    /// The names of sticker sets, by their ids; empty for a set whose name Telegram does not tell.
    private var stickerSets: [Int64: String] = [:]

    private struct Found {
        /// The message; nil when it does not exist, or was deleted.
        let message: JSON?
        let peers: Peers
    }

    /// The most messages that are remembered, because others may answer them.
    private static let mostMessages = 500
    /// The most sticker sets whose names are remembered.
    private static let mostStickerSets = 1000
    /// The longest wait that is accepted, when Telegram demands one, to look up an answered message.
    private static let longestWait = Duration.seconds(5)
    /// The kinds that are left out unless `wanted` names them: two as in the Bot API, and one that the Bot API does not have.
    private static let onRequest: Set = ["message_reaction", "message_reaction_count", "deleted_messages"]

    /// - Parameter wanted: the kinds of updates; empty for all but `message_reaction_count` and `deleted_messages`.
    package init(_ account: any Account, wanted: [String]) {
        self.account = account
        self.wanted = Set(wanted)
    }

    /// Returns whether `shape` will request something from Telegram.
    package func needsRequest(for emission: Emission) -> Bool {
        guard let message = emission.update["message"] else { return false }
        var replied: JSON?
        if message["reply_to"] != nil, let reference = BotShape.mentioned(in: emission.update).message {
            guard let known = messages[reference] else { return true }
            replied = known.message
        }
        return [message, replied].contains { shown in
            guard let id = BotMedia.stickerSet(in: shown?["media"])?["id"]?.long else { return false }
            return stickerSets[id] == nil
        }
    }

    /// Returns an update in the Bot API's form; nil for one that is not wanted, or has no such form.
    ///
    /// - Throws: a failure that keeps the account from being used.
    package func shape(_ emission: Emission) async throws -> BotShape? {
        let own = account.userID
        guard let outline = BotShape(emission.update, own: own, peers: emission.peers) else { return nil }
        if let message = emission.update["message"] { remember(message, emission.peers) }
        guard wanted.isEmpty ? !BotShaper.onRequest.contains(outline.kind) : wanted.contains(outline.kind) else {
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
        let writer = outline.isOutgoing ? [own] : []
        for id in mentioned.peers + writer + (replied.map { ShortForm.mentioned(in: $0) } ?? []) where peers[id] == nil
        {
            if let peer = try await account.peer(id) { peers.insert(peer) }
        }
        var sets: [Int64: String] = [:]
        for message in [emission.update["message"], replied] {
            guard let set = BotMedia.stickerSet(in: message?["media"]), let id = set["id"]?.long else { continue }
            sets[id] = try await stickerSetName(id, set)
        }
        return BotShape(emission.update, own: own, peers: peers, replied: replied, stickerSets: sets)
    }

    /// Requests the name of a sticker set once; returns nil if Telegram does not tell it.
    private func stickerSetName(_ id: Int64, _ set: JSON) async throws -> String? {
        if let known = stickerSets[id] { return known.isEmpty ? nil : known }
        var options = CallOptions()
        (options.longestWait, options.deadline) = (BotShaper.longestWait, .seconds(10))
        var name = ""
        do {
            let result = try await account.call("messages.getStickerSet", ["stickerset": set, "hash": 0], options)
            name = try result.json()["set"]?["short_name"]?.string ?? ""
        } catch let error as any ReportableError where error.exitStatus != .authenticationRefused {}
        if stickerSets.count >= BotShaper.mostStickerSets { stickerSets = [:] }
        stickerSets[id] = name
        return name.isEmpty ? nil : name
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

    /// Returns a message that was seen, or requests it from Telegram once.
    private func message(_ reference: BotShape.Reference) async throws -> Found {
        if let known = messages[reference] { return known }
        var options = CallOptions()
        options.longestWait = BotShaper.longestWait
        let id: JSON = .array([.object(["_": "inputMessageID", "id": .integer(reference.messageID)])])
        let isChannel = if case .channel = PeerID(botAPI: reference.chatID) { true } else { false }
        do {
            let result = try await account.call(
                isChannel ? "channels.getMessages" : "messages.getMessages",
                ["channel": isChannel ? .integer(reference.chatID) : nil, "id": id], options
            ).json()
            let message = result["messages"]?.array?.first { $0["id"]?.int == reference.messageID }
            let found = Found(
                message: message.flatMap { $0["_"] == "messageEmpty" ? nil : $0 }, peers: Peers(of: result))
            remember(reference, found)
            return found
        } catch let error as any ReportableError where error.exitStatus != .authenticationRefused {
            // The answered message is shown as one that is not accessible.
            return Found(message: nil, peers: Peers())
        }
    }
}
