package import HTTP
package import JSON

/// Calls methods of the Bot API, with JSON or with files that are streamed from disk.
///
/// Source: https://core.telegram.org/bots/api
package struct BotAPI: MessagingAPI {
    package static let cloudURL = "https://api.telegram.org"

    /// The largest upload that the cloud server accepts.
    static let cloudUploadLimitBytes: Int64 = 50 * 1000 * 1000
    /// The largest upload that a local server accepts: 4000 parts of 512 KiB.
    package static let localUploadLimitBytes: Int64 = 4000 * 512 << 10

    package let token: BotToken
    package let baseURL: String
    private let client: HTTPClient
    private let migrations: ChatMigrations
    private let pauses = FloodPauses()

    /// - Parameters:
    ///   - baseURL: `https://api.telegram.org`, or the address of a local Bot API server.
    ///   - onMigration: called when a group has become a supergroup, which has a new id.
    package init(
        token: BotToken, baseURL: String = BotAPI.cloudURL, client: HTTPClient,
        onMigration: @escaping @Sendable (_ chatID: Int64, _ newID: Int64) -> Void = { _, _ in }
    ) {
        migrations = ChatMigrations(onMigration)
        self.token = token
        self.baseURL = baseURL.hasSuffix("/") ? String(baseURL.dropLast()) : baseURL
        self.client = client
    }

    package var isCloud: Bool { baseURL == BotAPI.cloudURL }

    package var speakerID: Int64 { token.botID }

    /// The size of the largest file that can be sent, which depends on the server alone.
    package var uploadLimitBytes: Int64 { isCloud ? BotAPI.cloudUploadLimitBytes : BotAPI.localUploadLimitBytes }

    package func uploadLimit() async throws(TelegramError) -> Int64 { uploadLimitBytes }

    package func call(
        _ method: String, _ parameters: JSONObject, messageKey: String?, deadline: Duration
    ) async throws(TelegramError) -> JSON {
        try BotAPI.refuseScheduling(parameters)
        return try await migrations.following(parameters) { parameters throws(TelegramError) in
            var request = request(method)
            request.headers.append(("Content-Type", "application/json"))
            request.body = .bytes(JSON.object(parameters).bytes)
            request.deadline = deadline
            request.stallTimeout = deadline
            return try await send(request, method)
        }
    }

    package func call(
        _ method: String, _ parameters: JSONObject, messageKey: String?, uploads: [MediaUpload]
    ) async throws(TelegramError) -> JSON {
        try BotAPI.refuseScheduling(parameters)
        if isCloud, uploads.contains(where: { $0.content.count > BotAPI.cloudUploadLimitBytes }) {
            throw TelegramError(.tooLarge, "the file is over the 50 MB that a bot may upload")
        }
        return try await migrations.following(parameters) { parameters throws(TelegramError) in
            var request = request(method)
            request.body = .multipart(BotAPI.parts(parameters, uploads))
            // Telegram processes a large file for a while after its last byte has arrived.
            request.stallTimeout = .seconds(120)
            return try await send(request, method)
        }
    }

    /// The server would ignore the parameter, and send the message at once.
    private static func refuseScheduling(_ parameters: JSONObject) throws(TelegramError) {
        guard parameters["schedule_date"] == nil else {
            throw TelegramError(.badRequest, number: 400, "a bot cannot schedule a message: only an account can")
        }
    }

    private static func parts(_ parameters: JSONObject, _ uploads: [MediaUpload]) -> [FormPart] {
        var parts = parameters.members.map { member in
            let text = member.value.string ?? member.value.text
            return FormPart(name: member.key, fileName: nil, contentType: nil, value: .bytes(Array(text.utf8)))
        }
        for upload in uploads {
            parts.append(
                FormPart(
                    name: upload.field, fileName: upload.fileName, contentType: upload.contentType,
                    value: .file(upload.content)))
            guard let preview = upload.preview else { continue }
            parts.append(
                FormPart(
                    name: "thumbnail", fileName: "preview.jpg", contentType: "image/jpeg",
                    value: .file(preview.content)))
        }
        return parts
    }

    private func request(_ method: String) -> HTTPRequest {
        HTTPRequest("POST", "\(baseURL)/bot\(token.text)/\(method)")
    }

    private func send(_ request: HTTPRequest, _ method: String) async throws(TelegramError) -> JSON {
        // Only a new message would be there twice. Telegram refuses a repeated edit or deletion, or ignores it.
        let isRepeatable = !method.hasPrefix("send") || method == "sendChatAction"
        var request = request
        request.isRepeatable = isRepeatable
        do throws(TelegramError) {
            let response: HTTPResponse
            do { response = try await client.send(request) } catch { throw TelegramError(error) }
            return try BotAPI.result(status: response.status, body: response.body)
        } catch {
            throw isRepeatable ? error.repeatable : error
        }
    }

    /// Returns whether a body is the beginning of an answer of the Bot API. A connection that ends early may look like
    /// the end of the answer.
    private static func isCut(_ body: [UInt8]) -> Bool {
        body.starts(with: Array(#"{"ok":"#.utf8).prefix(max(1, body.count)))
    }

    /// Returns the result in a response of the server.
    ///
    /// - Throws: `TelegramError` for a refusal, and for a response that is not a Bot API server's.
    static func result(status: Int, body: [UInt8]) throws(TelegramError) -> JSON {
        guard let answer = try? JSON(parsing: body), let ok = answer["ok"]?.bool else {
            // The response comes from a proxy or a load balancer, not from Telegram.
            if status < 400, BotAPI.isCut(body) { throw .cutAnswer(body) }
            guard status >= 500 || [409, 413, 429].contains(status) else { throw .foreignAnswer(status) }
            throw TelegramError(number: status, description: "HTTP status \(status)")
        }
        if ok, let result = answer["result"] { return result }
        throw TelegramError(
            number: answer["error_code"]?.int.map(Int.init) ?? status,
            description: answer["description"]?.string ?? "HTTP status \(status)", parameters: answer["parameters"])
    }
}

extension BotAPI {
    /// Waits for updates from `offset` on, and confirms all earlier ones.
    ///
    /// - Parameter seconds: how long the server waits for an update; 50 at most.
    package func updates(
        from offset: Int64?, seconds: Int, limit: Int = 100, allowed: [String]
    ) async throws(TelegramError) -> [JSON] {
        var parameters: JSONObject = [
            "timeout": .integer(Int64(seconds)), "limit": .integer(Int64(limit)),
            "allowed_updates": .array(allowed.map { .string($0) }),
        ]
        if let offset { parameters["offset"] = .integer(offset) }
        let result = try await call(
            "getUpdates", parameters, messageKey: nil, deadline: .seconds(seconds + 15))
        guard let updates = result.array else {
            throw TelegramError(.protocolBroken, "getUpdates returned no list")
        }
        return updates
    }

    package func file(_ fileID: String) async throws(TelegramError) -> (source: FileSource, sizeBytes: Int64?) {
        let file = try await pauses.during("getFile") { () throws(TelegramError) in
            try await call("getFile", ["file_id": .string(fileID)])
        }
        guard let path = file["file_path"]?.string else {
            throw TelegramError(.protocolBroken, "getFile returned no path")
        }
        let size = file["file_size"]?.int
        if path.hasPrefix("/") {
            // Only a server of the user's own may name files of this machine.
            guard baseURL != BotAPI.cloudURL else {
                throw TelegramError(.protocolBroken, "getFile returned an absolute path")
            }
            return (.path(path), size)
        }
        guard !path.split(separator: "/").contains("..") else {
            throw TelegramError(.protocolBroken, "getFile returned a path with ..")
        }
        return (.url("\(baseURL)/file/bot\(token.text)/\(percentEncoded(path, keeping: "/"))"), size)
    }
}
