package import HTTP
package import JSON

/// The Bot API: any method, with JSON or with files that stream from disk.
package struct BotAPI: MessagingAPI {
    package static let cloudURL = "https://api.telegram.org"

    /// What the cloud server takes in one upload; a local server takes 2000 MB.
    package static let cloudUploadLimitBytes: Int64 = 50 * 1000 * 1000

    package let token: BotToken
    package let baseURL: String
    private let client: HTTPClient
    private let migrations: ChatMigrations

    /// - Parameters:
    ///   - baseURL: `https://api.telegram.org`, or that of a local Bot API server.
    ///   - onMigration: told when a group turns out to have become a supergroup, which has another id.
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

    /// Calls a method. What is for a group that has become a supergroup goes there.
    ///
    /// - Parameter deadline: for the whole call; a long poll needs more than its own timeout.
    /// - Returns: the answer's `result`.
    package func call(
        _ method: String, _ parameters: JSONObject, deadline: Duration
    ) async throws(TelegramError) -> JSON {
        try await migrations.following(parameters) { parameters throws(TelegramError) in
            var request = request(method)
            request.headers.append(("Content-Type", "application/json"))
            request.body = .bytes(JSON.object(parameters).bytes)
            request.deadline = deadline
            request.stallTimeout = deadline
            return try await send(request)
        }
    }

    /// Calls a method with a file, which streams from disk.
    package func call(
        _ method: String, _ parameters: JSONObject, upload: MediaUpload,
        onProgress: (@Sendable (_ sentBytes: Int64) -> Void)?
    ) async throws(TelegramError) -> JSON {
        if isCloud, upload.content.count > BotAPI.cloudUploadLimitBytes {
            throw TelegramError(.tooLarge, "the file is over the 50 MB that a bot may upload")
        }
        return try await migrations.following(parameters) { parameters throws(TelegramError) in
            var request = request(method)
            request.body = .multipart(BotAPI.parts(parameters, upload))
            // Telegram works on a large file for a while after its last byte has come.
            request.stallTimeout = .seconds(120)
            request.onUpload = onProgress
            return try await send(request)
        }
    }

    private static func parts(_ parameters: JSONObject, _ upload: MediaUpload) -> [FormPart] {
        parameters.members.map { member in
            let text = member.value.string ?? member.value.text
            return FormPart(name: member.key, fileName: nil, contentType: nil, value: .bytes(Array(text.utf8)))
        } + [
            FormPart(
                name: upload.field, fileName: upload.fileName, contentType: upload.contentType,
                value: .file(upload.content))
        ]
    }

    private func request(_ method: String) -> HTTPRequest {
        HTTPRequest("POST", "\(baseURL)/bot\(token.text)/\(method)")
    }

    private func send(_ request: HTTPRequest) async throws(TelegramError) -> JSON {
        let response: HTTPResponse
        do { response = try await client.send(request) } catch { throw TelegramError(error) }
        return try BotAPI.result(status: response.status, body: response.body)
    }

    static func result(status: Int, body: [UInt8]) throws(TelegramError) -> JSON {
        guard let answer = try? JSON(parsing: body), let ok = answer["ok"]?.bool else {
            // A proxy or a load balancer spoke, not Telegram's server.
            guard status >= 400 else {
                throw TelegramError(.protocolBroken, number: status, "Telegram's answer is not what the Bot API sends")
            }
            guard status >= 500 || [409, 413, 429].contains(status) else {
                throw TelegramError(
                    .protocolBroken, number: status, "what answers is no Bot API server (HTTP status \(status))")
            }
            throw TelegramError(number: status, description: "HTTP status \(status)")
        }
        if ok, let result = answer["result"] { return result }
        throw TelegramError(
            number: answer["error_code"]?.int.map(Int.init) ?? status,
            description: answer["description"]?.string ?? "HTTP status \(status)", parameters: answer["parameters"])
    }
}

extension BotAPI {
    /// Waits for updates from `offset` on; everything before it is confirmed.
    ///
    /// - Parameter seconds: 50 at most.
    package func updates(
        from offset: Int64?, seconds: Int, limit: Int = 100, allowed: [String]
    ) async throws(TelegramError) -> [JSON] {
        var parameters: JSONObject = [
            "timeout": .integer(Int64(seconds)), "limit": .integer(Int64(limit)),
            "allowed_updates": .array(allowed.map { .string($0) }),
        ]
        if let offset { parameters["offset"] = .integer(offset) }
        let result = try await call("getUpdates", parameters, deadline: .seconds(seconds + 15))
        guard let updates = result.array else {
            throw TelegramError(.protocolBroken, "getUpdates answered with no list")
        }
        return updates
    }

    package func file(_ fileID: String) async throws(TelegramError) -> (source: FileSource, sizeBytes: Int64?) {
        let file = try await call("getFile", ["file_id": .string(fileID)])
        guard let path = file["file_path"]?.string else {
            throw TelegramError(.protocolBroken, "getFile answered without a path")
        }
        let size = file["file_size"]?.int
        if path.hasPrefix("/") { return (.path(path), size) }
        guard !path.split(separator: "/").contains("..") else {
            throw TelegramError(.protocolBroken, "getFile answered with a strange path")
        }
        return (.url("\(baseURL)/file/bot\(token.text)/\(percentEncoded(path, keeping: "/"))"), size)
    }
}
