import Blob
import Envelope
import JSON
import Logging
import Options
import Stage
import System
import HTTP
import BotAPI

extension Sender {
    /// Refusals of what was said to be there: after so many it is no coincidence.
    private static let looks = 3

    /// Sends the media of a finished request: by cached file_id, else uploaded from a local or fetched copy.
    func deliver(_ job: inout Job) async throws -> Delay? {
        guard let key = job.event.payload["key"]?.string, let copies, let waiter = job.context?.waiter else {
            return nil
        }
        for _ in 0..<Sender.looks {
            if let cached = await shared.cachedFile(key) {
                if let wait = await turn(job, .message) { return .later(wait) }
                if let message = try await sendAgain(cached, job, key) {
                    await delivered(message, &job, key, isCached: true)
                    return nil
                }
            }
            switch try await uploadOnce(key, copies, job, waiter) {
            case .sent(let message):
                await delivered(message, &job, key, isCached: false)
                return nil
            // It is cached now.
            case .sentByAnother: continue
            case .delayed(let delay): return delay
            case .failed(let failure):
                try await undeliverable(failure, &job)
                return nil
            }
        }
        throw TelegramError(.server, "the uploaded file is refused again and again")
    }

    /// - Returns: nil when Telegram does not take the file_id any more.
    private func sendAgain(
        _ cached: SharedState.CachedFile, _ job: Job, _ key: String
    ) async throws(TelegramError) -> JSON? {
        do {
            return try await send(byID: cached, job)
        } catch {
            guard error.code == .fileRefused else { throw error }
        }
        runtime.log.notice("Telegram refuses the cached file_id: uploading anew", metadata: ["key": "\(key)"])
        await shared.forgetFile(key, cached)
        return nil
    }

    private func undeliverable(_ failure: UploadFailure, _ job: inout Job) async throws {
        switch failure {
        case .tooLarge(let sizeBytes):
            try await tell(Wording.tooLarge(sizeBytes, url: job.event.payload["url"]?.string), &job)
            job.steps = [.deliver]
        case .noCopy(let reason):
            job.results.append(failed("deliver", TelegramError(.localIO, reason), job))
            job.steps = [.deliver, .showFailure]
            job.event.payload["reason"] = .string(reason.capitalizedFirst + ".")
        }
    }

    private func send(byID file: SharedState.CachedFile, _ job: Job) async throws(TelegramError) -> JSON {
        let method = "send\(file.type.capitalizedFirst)"
        var parameters = mediaParameters(job, method)
        parameters[file.type] = .string(file.fileID)
        return try await api.call(method, parameters)
    }

    func upload(_ file: OpenFile, _ job: Job) async throws(TelegramError) -> JSON {
        let payload = job.event.payload
        let type = payload["content_type"]?.string ?? "application/octet-stream"
        let field = Sender.field(for: type)
        let method = "send\(field.capitalizedFirst)"
        return try await api.call(
            method, mediaParameters(job, method),
            upload: MediaUpload(
                field: field, fileName: FileName.safe(payload["file_name"]?.string ?? "file"), contentType: type,
                content: FileRange(descriptor: file.descriptor, offset: 0, count: file.sizeBytes), path: file.path,
                key: payload["key"]?.string ?? file.path))
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

    private func delivered(_ message: JSON, _ job: inout Job, _ key: String, isCached: Bool) async {
        let file = SentFile(message)
        let seconds = elapsed(job).map { Double($0.milliseconds) / 1000 }
        let action = "send_\(message["audio"] != nil ? "audio" : message["video"] != nil ? "video" : "document")"
        let event = sent(
            action, job.chat, message,
            [
                "file_id": file.map { .string($0.cached.fileID) }, "key": .string(key), "cached": .bool(isCached),
                "elapsed_seconds": seconds.map { .number($0) },
            ])
        job.results.append(event)
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
