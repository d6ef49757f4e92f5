import Accounts
import BotAPI
import JSON
import MTProto

extension AccountAPI {
    /// Forwards messages of another chat, or sends copies of them. The messages of an album stay an album.
    ///
    /// Source: https://core.telegram.org/method/messages.forwardMessages
    /// - Returns: an array of objects with `message_id`, in the order of the messages.
    func forward(_ parameters: JSONObject, _ messageKey: String?, asCopies: Bool) async throws -> JSON {
        try refuseBotsOptions(parameters)
        let ids = parameters["message_ids"]?.array ?? []
        let randomIDs: [JSON] = ids.map { id in
            .string("\(RandomID.make(messageKey, "forward \(id.int ?? 0)"))")
        }
        let request: JSONObject = [
            "from_peer": parameters["from_chat_id"], "to_peer": parameters["chat_id"], "id": .array(ids),
            "random_id": .array(randomIDs), "drop_author": asCopies ? true : nil,
            "silent": parameters["disable_notification"] == true ? true : nil,
            "top_msg_id": parameters["message_thread_id"], "schedule_date": parameters["schedule_date"],
        ]
        do {
            let answer = try await ask("messages.forwardMessages", request)
            return .array(
                randomIDs.map { id in
                    SentMessage(answer: answer, to: parameters["chat_id"], ["random_id": id], own: account.userID).json
                })
        } catch let error as TelegramRPCError where error.name == "RANDOM_ID_DUPLICATE" {
            // An earlier answer was lost. Telegram has the messages and does not return their ids.
            return .array([SentMessage(already: parameters["chat_id"], own: account.userID).json])
        }
    }
}
