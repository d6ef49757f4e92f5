import Accounts
import JSON
import Updates

/// What Telegram has answered to a message that was sent or edited, as the Bot API's `Message`.
struct SentMessage {
    let json: JSON

    /// - Parameters:
    ///   - answer: an `Updates` object.
    ///   - chat: as it was spoken to.
    ///   - request: what was sent: Telegram may answer with the message's number alone.
    init(answer: JSON, to chat: JSON?, _ request: JSONObject, _ account: any Account) {
        if answer["_"] == "updateShortSentMessage" {
            json = SentMessage.short(answer, chat, request, account.userID)
            return
        }
        let updates = answer["updates"]?.array ?? [answer["update"]].compactMap { $0 }
        let number = updates.first { update in
            update["_"] == "updateMessageID" && update["random_id"]?.long == request["random_id"]?.long
        }?["id"]
        let (peers, own) = (Peers(of: answer), account.userID)
        let message = updates.lazy.filter { number == nil || $0["message"]?["id"] == number }
            .compactMap { BotShape($0, own: own, peers: peers) }.first { $0.body["message_id"] != nil }
        json = message?.body ?? SentMessage.bare(number ?? request["id"], chat, own)
    }

    /// It is there already, and nobody knows its number.
    init(already chat: JSON?, _ account: any Account) { json = SentMessage.bare(nil, chat, account.userID) }

    private static func bare(_ number: JSON?, _ chat: JSON?, _ own: Int64) -> JSON {
        .object(["message_id": number, "chat": .object(["id": id(of: chat, own).map { .integer($0) }])])
    }

    private static func id(of chat: JSON?, _ own: Int64) -> Int64? {
        chat == "me" ? own : chat?.int ?? chat?.string.flatMap { Int64($0) }
    }

    private static func short(_ answer: JSON, _ chat: JSON?, _ request: JSONObject, _ own: Int64) -> JSON {
        guard let peer = id(of: chat, own).flatMap({ PeerID(botAPI: $0) }) else {
            return bare(answer["id"], chat, own)
        }
        let place: JSON =
            switch peer {
            case .user(let id): .object(["_": "peerUser", "user_id": .string("\(id)")])
            case .chat(let id): .object(["_": "peerChat", "chat_id": .string("\(id)")])
            case .channel(let id): .object(["_": "peerChannel", "channel_id": .string("\(id)")])
            }
        let message: JSON = .object([
            "_": "message", "out": true, "id": answer["id"], "peer_id": place, "date": answer["date"],
            "message": request["message"], "media": answer["media"], "entities": answer["entities"],
        ])
        let shape = BotShape(.object(["_": "updateNewMessage", "message": message]), own: own, peers: Peers())
        return shape?.body ?? bare(answer["id"], chat, own)
    }
}
