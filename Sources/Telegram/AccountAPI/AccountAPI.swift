package import Accounts
import Digest
import Glibc
package import JSON
import MTProto
package import BotAPI

/// What tgpipe asks of the Bot API, carried out by an account.
package struct AccountAPI: MessagingAPI {
    let account: any Account

    package init(_ account: any Account) { self.account = account }

    package var speakerID: Int64 { account.userID }

    package func call(
        _ method: String, _ parameters: JSONObject, deadline: Duration
    ) async throws(TelegramError) -> JSON {
        try await AccountAPI.translatingErrors(of: method) {
            switch method {
            case "getMe": try await me()
            case "sendMessage": try await sendMessage(parameters)
            case "editMessageText": try await editMessage(parameters)
            case "deleteMessage": try await deleteMessage(parameters)
            case "setMessageReaction": try await react(parameters)
            default: try await sendMedia(method, parameters, nil, deadline: deadline)
            }
        }
    }

    package func call(
        _ method: String, _ parameters: JSONObject, upload: MediaUpload,
        onProgress: (@Sendable (_ sentBytes: Int64) -> Void)?
    ) async throws(TelegramError) -> JSON {
        try await AccountAPI.translatingErrors(of: method) {
            // A key may be longer than what an account takes.
            let key = SHA256.hexDigest(Array(upload.key.utf8))
            let file = try await account.upload(absolute(upload.path), key: key) { onProgress?($0) }
            let media = OutgoingMedia(uploaded: file, upload, parameters)
            return try await sendMedia(method, parameters, media, deadline: .seconds(120))
        }
    }

    package func file(_ fileID: String) async throws(TelegramError) -> (source: FileSource, sizeBytes: Int64?) {
        guard let id = AccountFileID(fileID) else { throw AccountAPI.foreignFile }
        let (account, file) = (account, id.remoteFile)
        let source = FileSource.download { path, onProgress throws(TelegramError) in
            try await AccountAPI.translatingErrors(of: "getFile") {
                try await account.download(file, to: AccountAPI.absolute(path), onProgress: onProgress)
            }
        }
        return (source, id.sizeBytes)
    }

    static let foreignFile = TelegramError(
        .fileRefused, number: 400, "Telegram: the file_id did not come through this account")

    private func absolute(_ path: String) -> String { AccountAPI.absolute(path) }

    /// The process that owns the session may be in another folder.
    private static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
        defer { free(folder) }
        return "\(String(cString: folder))/\(path)"
    }

    /// Asks Telegram.
    func ask(
        _ method: String, _ parameters: JSONObject, deadline: Duration = .seconds(30)
    ) async throws -> JSON {
        var options = CallOptions()
        options.deadline = deadline
        do {
            return try JSON(parsing: try await account.call(method, parameters, options))
        } catch let error as TelegramRPCError where error.wait != nil {
            // What is told of a wait names the method that it is for, as the ledger does.
            throw TelegramError(error, method)
        }
    }

    private func me() async throws -> JSON {
        let users = try await ask("users.getUsers", ["id": .array(["me"])])
        guard let user = users.array?.first else {
            throw TelegramError(.protocolBroken, "Telegram does not say who the account is")
        }
        return .object([
            "id": user["id"], "is_bot": .bool(user["bot"] == true), "first_name": user["first_name"] ?? "",
            "last_name": user["last_name"], "username": user["username"],
        ])
    }

    private func sendMessage(_ parameters: JSONObject) async throws -> JSON {
        let text = try FormattedText(parameters["text"]?.string ?? "", mode: parameters["parse_mode"]?.string)
        var request = try sending(parameters, step: "text")
        request["message"] = .string(text.text)
        if !text.entities.isEmpty { request["entities"] = .array(text.entities) }
        if parameters["link_preview_options"]?["is_disabled"] == true { request["no_webpage"] = true }
        let sent = request
        return try await answering(parameters, sent) { request in
            try await SentMessage(
                answer: ask("messages.sendMessage", request), to: parameters["chat_id"], request, account)
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
        return SentMessage(answer: answer, to: parameters["chat_id"], request, account).json
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

    /// Their messages are numbered by themselves.
    private func isChannel(_ chat: JSON) async throws -> Bool {
        if let id = chat.int ?? chat.string.flatMap({ Int64($0) }) {
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
}
