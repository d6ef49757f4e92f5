import Blob
import Blocking
import Envelope
import HTTP
import Stage
import Telegram

extension Sender {
    /// Sends the media of a finished request: by cached file_id, else uploaded from a local or fetched copy.
    ///
    /// - Returns: how long to wait when somebody else is uploading the same.
    func deliver(_ job: inout Job) async throws -> Duration? {
        let payload = job.event.payload
        guard let key = payload["key"]?.string, let copies else { return nil }
        if let cached = await shared.cachedFile(key) {
            do {
                let message = try await send(byID: cached, job)
                try await delivered(message, job, key, isCached: true)
                return nil
            } catch let error as TelegramError where error.code == .fileRefused {
                runtime.log.notice("Telegram refuses the cached file_id: uploading anew", metadata: ["key": "\(key)"])
                await shared.forgetFile(key)
            }
        }
        guard uploads.begin(key) else { return Sender.uploadPoll }
        defer { uploads.end(key) }
        let file: OpenFile
        do throws(NoCopy) {
            file = try await copies.open(payload)
        } catch {
            guard error.isTemporary, job.attempts < options.retries else { return try await undeliverable(error, &job) }
            throw TelegramError(.network, error.reason)
        }
        do {
            let message = try await upload(file, job)
            try await delivered(message, job, key, isCached: false)
        } catch let error as TelegramError where error.code == .tooLarge {
            try await tell(Wording.tooLarge(file.sizeBytes, url: payload["url"]?.string), job)
            job.steps = [.deliver]
        }
        return nil
    }

    private func undeliverable(_ error: NoCopy, _ job: inout Job) async throws -> Duration? {
        try await failed("deliver", TelegramError(.localIO, error.reason), job)
        job.steps = [.deliver, .showFailure]
        job.event.payload["reason"] = .string(error.reason.capitalizedFirst + ".")
        return nil
    }

    private func send(byID file: SharedState.CachedFile, _ job: Job) async throws(TelegramError) -> JSON {
        let method = "send\(file.type.capitalizedFirst)"
        var parameters = mediaParameters(job, method)
        parameters[file.type] = .string(file.fileID)
        return try await api.call(method, parameters)
    }

    private func upload(_ file: OpenFile, _ job: Job) async throws(TelegramError) -> JSON {
        let payload = job.event.payload
        if api.isCloud, file.sizeBytes > BotAPI.cloudUploadLimitBytes {
            throw TelegramError(.tooLarge, "the file is over the 50 MB that a bot may upload")
        }
        let type = payload["content_type"]?.string ?? "application/octet-stream"
        let field = Sender.field(for: type)
        let method = "send\(field.capitalizedFirst)"
        return try await api.call(
            method, mediaParameters(job, method),
            upload: BotAPI.Upload(
                field: field, fileName: FileName.safe(payload["file_name"]?.string ?? "file"), contentType: type,
                content: FileRange(descriptor: file.descriptor, offset: 0, count: file.sizeBytes)))
    }

    /// Telegram plays MPEG-4 video and MP3 or M4A audio; the rest goes as a document.
    static func field(for contentType: String) -> String {
        switch contentType {
        case "video/mp4": "video"
        case "audio/mpeg", "audio/mp3", "audio/mp4", "audio/x-m4a": "audio"
        default: "document"
        }
    }

    private func mediaParameters(_ job: Job, _ method: String) -> JSONObject {
        var parameters: JSONObject = [
            "chat_id": job.chat, "parse_mode": "HTML",
            "caption": .string(
                Wording.caption(
                    title: job.event.payload["title"]?.string, elapsed: elapsed(job),
                    correlationID: job.event.correlationID)),
        ]
        MediaDetails(job.event.payload).add(to: &parameters, method: method)
        BotCall.addReply(&parameters, job.event, byDefault: true)
        return parameters
    }

    private func elapsed(_ job: Job) -> Duration? {
        job.event.meta["received_at"]?.string.flatMap { Timestamp($0) }.map { Timestamp.now.elapsed(since: $0) }
    }

    private func delivered(_ message: JSON, _ job: Job, _ key: String, isCached: Bool) async throws {
        let file = SentFile(message)
        if let file, !isCached { await shared.cache(file.cached, for: key) }
        let seconds = elapsed(job).map { Double($0.milliseconds) / 1000 }
        let action = "send_\(message["audio"] != nil ? "audio" : message["video"] != nil ? "video" : "document")"
        try await sent(
            action, job.chat, message,
            [
                "file_id": file.map { .string($0.cached.fileID) }, "key": .string(key), "cached": .bool(isCached),
                "elapsed_seconds": seconds.map { .number($0) },
            ])
        runtime.log.info(
            "delivered", metadata: ["key": "\(key)", "cached": "\(isCached)", "elapsed_s": "\(seconds ?? 0)"])
        await cleanUpIfDue()
    }

    private func cleanUpIfDue() async {
        guard let cache = copies?.cache, await shared.isCleanupDue(every: Int64(options.cleanupEvery)) else { return }
        let limit = options.cacheSize.bytes
        let removed = await BlockingThread().run { cache.evict(downTo: limit) }
        if removed.count > 0 {
            runtime.log.info(
                "removed local copies", metadata: ["count": "\(removed.count)", "bytes": "\(removed.bytes)"])
        }
    }
}

extension String {
    var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
