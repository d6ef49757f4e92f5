import Accounts
import JSON
import Updates

/// Converts Telegram's answer about a sent or edited message into a `Message` of the Bot API.
struct SentMessage {
    let json: JSON

    /// - Parameters:
    ///   - answer: an `Updates` object.
    ///   - chat: the chat as the caller named it.
    ///   - request: the parameters of the call: Telegram may return only the message's id.
    ///   - own: the account's user id.
    init(answer: JSON, to chat: JSON?, _ request: JSONObject, own: Int64) {
        if answer["_"] == "updateShortSentMessage" {
            json = SentMessage.short(answer, chat, request, own)
            return
        }
        let updates = answer["updates"]?.array ?? [answer["update"]].compactMap { $0 }
        let number = updates.first { update in
            update["_"] == "updateMessageID" && update["random_id"]?.long == request["random_id"]?.long
        }?["id"]
        let peers = Peers(of: answer)
        let message = updates.lazy.filter { number == nil || $0["message"]?["id"] == number }
            .compactMap { BotShape($0, own: own, peers: peers) }.first { $0.body["message_id"] != nil }
        json = message?.body ?? SentMessage.bare(number ?? request["id"], chat, own)
    }

    /// Takes the messages of an album.
    init(_ album: JSON) { json = album }

    /// Describes a message that Telegram has already, and whose id is unknown.
    init(already chat: JSON?, own: Int64) { json = SentMessage.bare(nil, chat, own) }

    private static func bare(_ number: JSON?, _ chat: JSON?, _ own: Int64) -> JSON {
        .object(["message_id": number, "chat": .object(["id": id(of: chat, own).map { .integer($0) }])])
    }

    private static func id(of chat: JSON?, _ own: Int64) -> Int64? {
        chat == "me" ? own : chat?.long
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
