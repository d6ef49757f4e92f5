import Accounts
import Digest
import Envelope
import JSON
import MTProto
import BotAPI

extension AccountAPI {
    /// What all messages have: where they go, what they answer, and a number that makes the same message of the same event.
    ///
    /// - Parameter step: of what an event asks for: one event may lead to a file and a text.
    func sending(_ parameters: JSONObject, step: String) throws -> JSONObject {
        var request: JSONObject = [
            "peer": parameters["chat_id"], "random_id": .string("\(RandomID.make(step))"),
        ]
        if parameters["disable_notification"] == true { request["silent"] = true }
        let (answered, thread) = (parameters["reply_parameters"]?["message_id"], parameters["message_thread_id"])
        if let first = answered ?? thread {
            request["reply_to"] = .object([
                "_": "inputReplyToMessage", "reply_to_msg_id": first, "top_msg_id": answered == nil ? nil : thread,
            ])
        }
        return request
    }

    /// Sends a message, also when what it answers is gone or when it turns out to be there already.
    func answering(
        _ parameters: JSONObject, _ request: JSONObject, _ send: (JSONObject) async throws -> SentMessage
    ) async throws -> JSON {
        var request = request
        while true {
            do {
                return try await send(request).json
            } catch let error as TelegramRPCError {
                // An answer was lost: the message is there, and Telegram does not say which one it is.
                if error.name == "RANDOM_ID_DUPLICATE" {
                    return SentMessage(already: parameters["chat_id"], account).json
                }
                let isLost = ["REPLY_MESSAGE_ID_INVALID", "REPLY_TO_INVALID", "MSG_ID_INVALID"].contains(error.name)
                guard isLost, request["reply_to"] != nil, parameters["reply_parameters"] != nil,
                    parameters["reply_parameters"]?["allow_sending_without_reply"] == true
                else { throw error }
                request["reply_to"] = parameters["message_thread_id"].map { thread in
                    .object(["_": "inputReplyToMessage", "reply_to_msg_id": thread])
                }
            }
        }
    }

    /// - Parameter uploaded: nil: the file that the parameters name.
    func sendMedia(
        _ method: String, _ parameters: JSONObject, _ uploaded: OutgoingMedia?, deadline: Duration
    ) async throws -> JSON {
        guard let field = OutgoingMedia.fields[method] else {
            throw TelegramError(.badRequest, number: 404, "Telegram: no account can do \(method)")
        }
        let media = try uploaded ?? OutgoingMedia(field, parameters)
        let caption = try FormattedText(
            parameters["caption"]?.string ?? "", mode: parameters["parse_mode"]?.string)
        var request = try sending(parameters, step: "media")
        request["message"] = .string(caption.text)
        if !caption.entities.isEmpty { request["entities"] = .array(caption.entities) }
        let sent = request
        return try await answering(parameters, sent) { request in
            try await SentMessage(
                answer: send(media, request, deadline), to: parameters["chat_id"], request, account)
        }
    }

    /// Once more with a new reference to the file, when Telegram wants one.
    private func send(_ media: OutgoingMedia, _ request: JSONObject, _ deadline: Duration) async throws -> JSON {
        var request = request
        request["media"] = media.json
        do {
            return try await ask("messages.sendMedia", request, deadline: deadline)
        } catch let error as TelegramRPCError where error.name.hasPrefix("FILE_REFERENCE_") {
            let account = account
            guard var id = media.fileID,
                let fresh = try await id.remoteFile.refreshed({ try await account.call($0, $1, CallOptions()) }),
                let reference = fresh.location["file_reference"]?.string
            else { throw error }
            id.fileReference = reference
            request["media"] = id.inputMedia
            return try await ask("messages.sendMedia", request, deadline: deadline)
        }
    }
}

/// The number by which Telegram knows that two attempts are for the same message.
enum RandomID {
    /// Of the event that is being handled; at random outside of one. Never 0, which Telegram does not take.
    static func make(_ step: String) -> Int64 {
        guard let correlation = Correlation.current else { return Int64.random(in: 1...Int64.max) }
        let cause = correlation.causationID ?? correlation.correlationID
        let digest = Hash.sha256(Array("\(cause) \(step)".utf8)[...])
        return max(1, digest.prefix(8).reduce(0) { $0 << 8 | Int64($1) } & Int64.max)
    }
}
