package import Accounts
import Crypto
import Glibc
package import JSON
import MTProto
package import BotAPI
import System
import TL

/// Carries out, as an account, the methods of the Bot API that tgpipe uses.
///
/// Results and failures have the form of the Bot API.
package struct AccountAPI: MessagingAPI {
    let account: any Account

    package init(_ account: any Account) { self.account = account }

    package var speakerID: Int64 { account.userID }

    package var isAccount: Bool { true }

    package func call(
        _ method: String, _ parameters: JSONObject, messageKey: String?, deadline: Duration
    ) async throws(TelegramError) -> JSON {
        try await TelegramError.translating(method) {
            switch method {
            case "getMe": try await me()
            case "getChat": try await chat(parameters)
            case "sendMessage": try await sendMessage(parameters, messageKey)
            case "editMessageText": try await editMessage(parameters)
            case "deleteMessage": try await deleteMessage(parameters)
            case "setMessageReaction": try await react(parameters)
            case "pinChatMessage": try await pin(parameters)
            case "sendMediaGroup": try await sendAlbum(parameters, messageKey, [:])
            case "forwardMessages", "copyMessages":
                try await forward(parameters, messageKey, asCopies: method == "copyMessages")
            default: try await sendMedia(method, parameters, messageKey, nil, deadline: deadline)
            }
        }
    }

    package func call(
        _ method: String, _ parameters: JSONObject, messageKey: String?, uploads: [MediaUpload]
    ) async throws(TelegramError) -> JSON {
        try await TelegramError.translating(method) {
            var media: [String: OutgoingMedia] = [:]
            for upload in uploads {
                let attributes = AccountAPI.member(of: parameters, for: upload.field) ?? parameters
                media[upload.field] = try await uploaded(upload, attributes)
            }
            guard method == "sendMediaGroup" else {
                return try await sendMedia(
                    method, parameters, messageKey, media.values.first, deadline: .seconds(120))
            }
            return try await sendAlbum(parameters, messageKey, media)
        }
    }

    private func uploaded(_ upload: MediaUpload, _ attributes: JSONObject) async throws -> OutgoingMedia {
        // The key may be longer than an account accepts.
        let key = SHA256.hexDigest(Array(upload.key.utf8))
        let account = account
        // The process that holds the session may be another one.
        let file = try await withSharedPath(to: absolutePath(upload.path)) { path in
            try await account.upload(path, key: key) { _ in }
        }
        var preview: JSON?
        if let path = upload.preview?.path {
            preview = try await account.upload(absolutePath(path), key: "\(key)-preview") { _ in }
        }
        return OutgoingMedia(uploaded: file, preview: preview, upload, attributes)
    }

    /// Returns the member of an album whose file is in a part of the form.
    private static func member(of parameters: JSONObject, for field: String) -> JSONObject? {
        (parameters["media"]?.array ?? []).first { $0["media"]?.string == "attach://\(field)" }?.object
    }

    package func file(_ fileID: String) async throws(TelegramError) -> (source: FileSource, sizeBytes: Int64?) {
        guard let id = AccountFileID(fileID) else { throw AccountAPI.foreignFile }
        let (account, file) = (account, id.remoteFile)
        let source = FileSource.download { path, onProgress throws(TelegramError) in
            try await TelegramError.translating("getFile") {
                try await account.download(file, to: absolutePath(path), onProgress: onProgress)
            }
        }
        return (source, id.sizeBytes)
    }

    /// The largest upload of an account: 4000 parts of 512 KiB. Telegram Premium doubles it.
    package static let usualUploadLimitBytes: Int64 = 4000 * 512 << 10

    package func uploadLimit() async throws(TelegramError) -> Int64 {
        try await TelegramError.translating("getMe") {
            let users = try await ask("users.getUsers", ["id": .array(["me"])])
            let isPremium = users.array?.first?["premium"] == true
            return isPremium ? 2 * AccountAPI.usualUploadLimitBytes : AccountAPI.usualUploadLimitBytes
        }
    }

    static let foreignFile = TelegramError(
        .fileRefused, number: 400, "Telegram: the file_id did not come through this account")

    /// Calls a method of Telegram.
    func ask(
        _ method: String, _ parameters: JSONObject, deadline: Duration = .seconds(30)
    ) async throws -> JSON {
        var options = CallOptions()
        options.deadline = deadline
        do {
            return try await account.call(method, parameters, options).json()
        } catch let error as TelegramRPCError where error.wait != nil {
            // The report of a wait names the method that waits, as the flood ledger does.
            throw TelegramError(error, method)
        }
    }

    private func me() async throws -> JSON {
        let users = try await ask("users.getUsers", ["id": .array(["me"])])
        guard let user = users.array?.first else {
            throw TelegramError(.protocolBroken, "Telegram returned no user for this account")
        }
        return .object([
            "id": user["id"], "is_bot": .bool(user["bot"] == true), "first_name": user["first_name"] ?? "",
            "last_name": user["last_name"], "username": user["username"],
        ])
    }

    /// Finds a chat by its `@name`.
    private func chat(_ parameters: JSONObject) async throws -> JSON {
        let name = parameters["chat_id"]?.string ?? ""
        guard name.hasPrefix("@") else {
            throw TelegramError(.badRequest, number: 400, "an account looks up chats by their @names only")
        }
        let found = try await ask("contacts.resolveUsername", ["username": .string(String(name.dropFirst()))])
        guard let id = found["peer"].flatMap({ PeerID(tl: $0) })?.botAPI else {
            throw TelegramError(.protocolBroken, "Telegram returned no chat for \(name)")
        }
        return .object(["id": .integer(id)])
    }

    private func sendMessage(_ parameters: JSONObject, _ messageKey: String?) async throws -> JSON {
        try refuseBotsOptions(parameters)
        let text = try FormattedText(parameters["text"]?.string ?? "", mode: parameters["parse_mode"]?.string)
        var request = newMessage(parameters, messageKey, step: "text")
        request["message"] = .string(text.text)
        if !text.entities.isEmpty { request["entities"] = .array(text.entities) }
        if parameters["link_preview_options"]?["is_disabled"] == true { request["no_webpage"] = true }
        let sent = request
        return try await sendOnce(parameters, sent) { request in
            try await SentMessage(
                answer: ask("messages.sendMessage", request), to: parameters["chat_id"], request,
                own: account.userID)
        }
    }

    private func editMessage(_ parameters: JSONObject) async throws -> JSON {
        let text = try FormattedText(parameters["text"]?.string ?? "", mode: parameters["parse_mode"]?.string)
        var request: JSONObject = [
            "peer": parameters["chat_id"], "id": parameters["message_id"], "message": .string(text.text),
        ]
        if !text.entities.isEmpty { request["entities"] = .array(text.entities) }
        if parameters["link_preview_options"]?["is_disabled"] == true { request["no_webpage"] = true }
        let answer = try await ask("messages.editMessage", request)
        return SentMessage(answer: answer, to: parameters["chat_id"], request, own: account.userID).json
    }

    private func deleteMessage(_ parameters: JSONObject) async throws -> JSON {
        let (chat, ids) = (parameters["chat_id"] ?? .null, JSON.array([parameters["message_id"] ?? .null]))
        let answer =
            if try await isChannel(chat) {
                try await ask("channels.deleteMessages", ["channel": chat, "id": ids])
            } else {
                try await ask("messages.deleteMessages", ["revoke": true, "id": ids])
            }
        guard answer["pts_count"]?.int != 0 else {
            throw TelegramError(.messageNotFound, number: 400, "Telegram: message to delete not found")
        }
        return true
    }

    /// Returns whether a chat is a channel or supergroup. Each of them numbers its messages separately, so other
    /// methods apply.
    private func isChannel(_ chat: JSON) async throws -> Bool {
        if let id = chat.long {
            if case .channel = PeerID(botAPI: id) { return true }
            return false
        }
        guard let name = chat.string, name.hasPrefix("@") else { return false }
        let found = try await ask("contacts.resolveUsername", ["username": .string(String(name.dropFirst()))])
        return found["peer"]?["_"] == "peerChannel"
    }

    private func react(_ parameters: JSONObject) async throws -> JSON {
        let reactions = (parameters["reaction"]?.array ?? []).compactMap { $0["emoji"] }
        _ = try await ask(
            "messages.sendReaction",
            [
                "peer": parameters["chat_id"], "msg_id": parameters["message_id"],
                "reaction": .array(reactions.map { .object(["_": "reactionEmoji", "emoticon": $0]) }),
            ])
        return true
    }

    private func pin(_ parameters: JSONObject) async throws -> JSON {
        _ = try await ask(
            "messages.updatePinnedMessage",
            [
                "peer": parameters["chat_id"], "id": parameters["message_id"],
                "silent": parameters["disable_notification"] == true ? true : nil,
            ])
        return true
    }

    // MARK: New messages

    /// Refuses what only bots can send. Telegram would ignore it.
    func refuseBotsOptions(_ parameters: JSONObject) throws(TelegramError) {
        for (key, what) in [("reply_markup", "buttons"), ("protect_content", "protected messages")]
        where parameters[key] != nil {
            throw TelegramError(.badRequest, number: 400, "an account cannot send \(what): only a bot can")
        }
    }

    /// Returns the parameters that every new message has: its chat, the message that it replies to, and its random id.
    ///
    /// - Parameter step: the part of the event that the message is for: one event may lead to a file and a text.
    private func newMessage(_ parameters: JSONObject, _ messageKey: String?, step: String) -> JSONObject {
        var request: JSONObject = [
            "peer": parameters["chat_id"], "random_id": .string("\(RandomID.make(messageKey, step))"),
        ]
        if parameters["disable_notification"] == true { request["silent"] = true }
        request["schedule_date"] = parameters["schedule_date"]
        let (answered, thread) = (parameters["reply_parameters"]?["message_id"], parameters["message_thread_id"])
        if let first = answered ?? thread {
            request["reply_to"] = .object([
                "_": "inputReplyToMessage", "reply_to_msg_id": first, "top_msg_id": answered == nil ? nil : thread,
            ])
        }
        return request
    }

    /// Sends a message. If the message that it replies to no longer exists, it is sent a second time without the reply.
    private func sendOnce(
        _ parameters: JSONObject, _ request: JSONObject, _ send: (JSONObject) async throws -> SentMessage
    ) async throws -> JSON {
        do {
            return try await sendUnlessSent(parameters, request, send)
        } catch let error as TelegramRPCError
            where ["REPLY_MESSAGE_ID_INVALID", "REPLY_TO_INVALID", "MSG_ID_INVALID"].contains(error.name)
            && parameters["reply_parameters"]?["allow_sending_without_reply"] == true
        {
            var request = request
            request["reply_to"] = parameters["message_thread_id"].map { thread in
                .object(["_": "inputReplyToMessage", "reply_to_msg_id": thread])
            }
            return try await sendUnlessSent(parameters, request, send)
        }
    }

    /// Sends a message. A message that Telegram has already counts as sent.
    private func sendUnlessSent(
        _ parameters: JSONObject, _ request: JSONObject, _ send: (JSONObject) async throws -> SentMessage
    ) async throws -> JSON {
        do {
            return try await send(request).json
        } catch let error as TelegramRPCError where error.name == "RANDOM_ID_DUPLICATE" {
            // An earlier answer was lost. Telegram has the message and does not return its id.
            return SentMessage(already: parameters["chat_id"], own: account.userID).json
        }
    }

    /// Sends a file.
    ///
    /// - Parameter uploaded: an uploaded file; nil for the file_id or URL in the parameters.
    private func sendMedia(
        _ method: String, _ parameters: JSONObject, _ messageKey: String?, _ uploaded: OutgoingMedia?,
        deadline: Duration
    ) async throws -> JSON {
        guard let field = OutgoingMedia.fields[method] else {
            throw TelegramError(.badRequest, number: 404, "Telegram: an account cannot call \(method)")
        }
        try refuseBotsOptions(parameters)
        let media = try uploaded ?? OutgoingMedia(field, parameters)
        let caption = try FormattedText(
            parameters["caption"]?.string ?? "", mode: parameters["parse_mode"]?.string)
        var request = newMessage(parameters, messageKey, step: "media")
        request["message"] = .string(caption.text)
        if !caption.entities.isEmpty { request["entities"] = .array(caption.entities) }
        let sent = request
        return try await sendOnce(parameters, sent) { request in
            try await SentMessage(
                answer: send(media, request, deadline), to: parameters["chat_id"], request, own: account.userID)
        }
    }

    /// Sends a file, a second time with a new file reference if Telegram requires one.
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

extension AccountAPI {
    /// Sends several files as one album.
    ///
    /// - Parameter uploads: the uploaded files, by the names that the members of `media` give them.
    private func sendAlbum(
        _ parameters: JSONObject, _ messageKey: String?, _ uploads: [String: OutgoingMedia]
    ) async throws -> JSON {
        try refuseBotsOptions(parameters)
        var request = newMessage(parameters, nil, step: "album")
        request["random_id"] = nil
        var (items, ids) = ([JSON](), [JSON]())
        for (index, member) in (parameters["media"]?.array ?? []).enumerated() {
            let caption = try FormattedText(
                member["caption"]?.string ?? "", mode: member["parse_mode"]?.string)
            let id: JSON = .string("\(RandomID.make(messageKey, "album \(index)"))")
            ids.append(id)
            items.append(
                .object([
                    "_": "inputSingleMedia", "media": try await albumMedia(member, parameters, uploads).json,
                    "random_id": id, "message": .string(caption.text),
                    "entities": caption.entities.isEmpty ? nil : .array(caption.entities),
                ]))
        }
        request["multi_media"] = .array(items)
        let sent = request
        let answer = try await sendOnce(parameters, sent) { request in
            let answer = try await ask("messages.sendMultiMedia", request, deadline: .seconds(120))
            let messages = ids.map { id in
                SentMessage(answer: answer, to: parameters["chat_id"], ["random_id": id], own: account.userID).json
            }
            return SentMessage(.array(messages))
        }
        return answer
    }

    /// Returns the media of a member. An album takes only files that Telegram has made a photo or document of.
    private func albumMedia(
        _ member: JSON, _ parameters: JSONObject, _ uploads: [String: OutgoingMedia]
    ) async throws -> OutgoingMedia {
        let (kind, place) = (member["type"]?.string ?? "", member["media"]?.string ?? "")
        let media: OutgoingMedia
        if place.hasPrefix("attach://"), let uploaded = uploads[String(place.dropFirst("attach://".count))] {
            media = uploaded
        } else {
            media = try OutgoingMedia(kind, [kind: .string(place)])
            if media.fileID != nil { return media }
        }
        let received = try await ask(
            "messages.uploadMedia", ["peer": parameters["chat_id"], "media": media.json], deadline: .seconds(120))
        return try OutgoingMedia(received: received)
    }
}

/// Makes random ids, by which Telegram recognises two attempts to send the same message.
enum RandomID {
    /// Returns the id for a step of sending a message; a random one without a key. It is never 0, which Telegram refuses.
    static func make(_ messageKey: String?, _ step: String) -> Int64 {
        guard let messageKey else { return Int64.random(in: 1...Int64.max) }
        let digest = Hash.sha256(Array("\(messageKey) \(step)".utf8)[...])
        return max(1, digest.prefix(8).reduce(0) { $0 << 8 | Int64($1) } & Int64.max)
    }
}
