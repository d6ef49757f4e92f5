import Blob
import BotAPI
import Envelope
import HTTP
import JSON
import Logging
import Media
import Options
import Payloads
import Redis
import Stage
import Synchronization
import System
import Texts

/// Sends the media of finished requests: by a cached file_id, or else by uploading a copy, once for all events that
/// need it.
struct MediaDelivery: Sendable {
    private let runtime: Runtime
    private let messages: NewMessages
    private let shared: SharedState
    private let limits: CallLimits
    private let copies: LocalCopies
    private let options: SendingOptions
    private let isFromQueue: Bool
    private let uploads: SharedWork
    private let texts: Texts

    /// The number of cached file_ids that Telegram may refuse in a row: more refusals are not a coincidence.
    private static let maxAttempts = 3

    init(
        runtime: Runtime, messages: NewMessages, shared: SharedState, limits: CallLimits, copies: LocalCopies,
        options: SendingOptions, input: InputOptions, texts: Texts
    ) {
        self.texts = texts
        (self.runtime, self.messages, self.shared, self.limits) = (runtime, messages, shared, limits)
        (self.copies, self.options) = (copies, options)
        isFromQueue = input.isFromQueue
        uploads = SharedWork(runtime, name: "upload:\(shared.speakerID)", lease: input.queue.lease.duration)
    }

    enum Delivered: Sendable {
        /// The value is `events.telegram.sent`.
        case sent(Envelope)
        case tooLarge(sizeBytes: Int64)
        /// No process has the file. The reason is one line for the user.
        case noCopy(String)
    }

    /// Sends the media of a job.
    ///
    /// - Throws: `NotBefore` when the chat has to wait, or when another event is uploading the object; `TelegramError`.
    func deliver(_ media: DownloadReady, for job: Job) async throws -> Delivered {
        guard let waiter = job.context?.waiter else { throw TelegramError(.localIO, "the event is not a stage's") }
        for _ in 0..<MediaDelivery.maxAttempts {
            if let cached = await shared.cachedFile(MediaDelivery.form(media, job)) {
                try await limits.admit(.message, for: job)
                if let message = try await sendAgain(cached, media, job) {
                    // The event may have waited for an uploader that was killed before it could tell the others.
                    await uploads.leave(MediaDelivery.form(media, job), waiter)
                    return .sent(await delivered(message, media, job, isCached: true))
                }
            }
            switch try await uploadOnce(media, job, waiter) {
            case .sent(let message): return .sent(await delivered(message, media, job, isCached: false))
            case .sentByAnother: continue
            case .failed(.tooLarge(let sizeBytes)): return .tooLarge(sizeBytes: sizeBytes)
            case .failed(.noCopy(let reason)): return .noCopy(reason)
            }
        }
        throw TelegramError(.server, "Telegram has refused the uploaded file repeatedly")
    }

    /// - Returns: nil when Telegram no longer accepts the file_id.
    private func sendAgain(
        _ cached: SharedState.CachedFile, _ media: DownloadReady, _ job: Job
    ) async throws(TelegramError) -> JSON? {
        let method = "send\(cached.type.capitalizedFirst)"
        var parameters = self.parameters(media, job, method)
        parameters[cached.type] = .string(cached.fileID)
        do {
            return try await messages.send(method, parameters, for: job)
        } catch {
            guard error.mayConcernFile else { throw error }
        }
        runtime.log.notice(
            "Telegram refuses the cached file_id: uploading the file again", metadata: ["key": "\(media.key)"])
        await shared.forgetFile(MediaDelivery.form(media, job), cached)
        return nil
    }

    // MARK: One upload for all

    /// Says why no event can upload a file.
    private enum UploadFailure: Sendable {
        case tooLarge(sizeBytes: Int64)
        case noCopy(String)

        var json: JSONObject {
            switch self {
            case .tooLarge(let size): ["too_large": .integer(size)]
            case .noCopy(let reason): ["no_copy": .string(reason)]
            }
        }

        init?(_ json: JSONObject) {
            if let size = json["too_large"]?.int {
                self = .tooLarge(sizeBytes: size)
            } else if let reason = json["no_copy"]?.string {
                self = .noCopy(reason)
            } else {
                return nil
            }
        }
    }

    private enum Uploaded: Sendable {
        case sent(JSON)
        /// Its file_id is in the cache.
        case sentByAnother
        case failed(UploadFailure)
    }

    /// Uploads an object by sending it, unless another event, in any process, is uploading it.
    ///
    /// - Throws: `NotBefore`: this chat has to wait, and another event may upload first; or another event is uploading.
    private func uploadOnce(_ media: DownloadReady, _ job: Job, _ waiter: Waiter) async throws -> Uploaded {
        let own = Mutex<JSON?>(nil)
        let form = MediaDelivery.form(media, job)
        let answer = try await uploads.answer(form, for: waiter) { _ in
            // Another event may have finished the upload since this one looked for the file_id.
            if await shared.cachedFile(form) != nil { return SharedWork.Product(["sent": true]) }
            try await limits.admit(.message, for: job)
            if let failure = try await upload(media, job, onSent: { message in own.withLock { $0 = message } }) {
                return SharedWork.Product(failure.json)
            }
            if let file = own.withLock({ $0 }).flatMap({ SharedState.CachedFile(of: $0) }) {
                await shared.cache(file, for: form)
            }
            return SharedWork.Product(["sent": true])
        }
        // The message was sent, even if another process has taken over the upload in the meantime.
        if let message = own.withLock({ $0 }) { return .sent(message) }
        switch answer {
        case .held(let limit): throw NotBefore(.now + limit, in: .stage)
        case .result(let result): return UploadFailure(result).map { .failed($0) } ?? .sentByAnother
        }
    }

    /// - Returns: nil when the file was sent.
    private func upload(
        _ media: DownloadReady, _ job: Job, onSent: (JSON) -> Void
    ) async throws -> UploadFailure? {
        let file: OpenFile
        do throws(NoCopy) {
            file = try await copies.open(media)
        } catch {
            if error.isTransient {
                let failure = StoreFailure(reason: error.reason)
                runtime.outages.watch(.store) { try await copies.check(media) }
                if let service = try await runtime.outages.outage(behind: failure) {
                    _ = try await runtime.outages.waitUntilBack(service, endsAtShutdown: isFromQueue)
                    throw NotBefore(.now + .milliseconds(100))
                }
                if !isLastAttempt(job) { throw TelegramError(.storage, error.reason) }
            }
            return .noCopy(error.reason)
        }
        do {
            onSent(try await upload(file, media, job))
            return nil
        } catch let error where error.code == .tooLarge {
            return .tooLarge(sizeBytes: file.sizeBytes)
        }
    }

    private func isLastAttempt(_ job: Job) -> Bool {
        isFromQueue ? job.context?.isLastAttempt ?? true : job.attempts >= options.retries
    }

    private func upload(
        _ file: OpenFile, _ media: DownloadReady, _ job: Job
    ) async throws(TelegramError) -> JSON {
        let field = job.event.isWantedAsFile ? "document" : MediaDelivery.field(for: media.metadata)
        do throws(TelegramError) {
            return try await upload(file, media, job, as: field)
        } catch {
            // Only Telegram knows which pictures it takes for photos.
            guard field == "photo", error.mayConcernFile else { throw error }
            runtime.log.notice("Telegram refuses the photo: sending it as a file", metadata: ["key": "\(media.key)"])
            return try await upload(file, media, job, as: "document")
        }
    }

    private func upload(
        _ file: OpenFile, _ media: DownloadReady, _ job: Job, as field: String
    ) async throws(TelegramError) -> JSON {
        let type = media.metadata.content.contentType ?? "application/octet-stream"
        let method = "send\(field.capitalizedFirst)"
        let upload = MediaUpload(
            field: field, fileName: media.metadata.fileName.flatMap { FileName.safe($0) } ?? "file", contentType: type,
            content: FileRange(descriptor: file.descriptor, offset: 0, count: file.sizeBytes), path: file.path,
            key: media.key)
        var parameters = parameters(media, job, method)
        if field == "video", await MovieLayout.isStreamable(file.path) { parameters["supports_streaming"] = true }
        // Telegram would show a film that arrives as a document, or make an animation of it.
        if field == "document", job.event.isWantedAsFile { parameters["disable_content_type_detection"] = true }
        let complete = parameters
        return try await VideoPreview(runtime: runtime).adding(to: upload) { upload throws(TelegramError) in
            try await messages.send(method, complete, uploads: [upload], for: job)
        }
    }

    /// Names an object in the form in which a request wants it: Telegram keeps the two forms as two files.
    private static func form(_ media: DownloadReady, _ job: Job) -> String {
        // Other files are documents anyway.
        let isPlayed = field(for: media.metadata) != "document"
        return job.event.isWantedAsFile && isPlayed ? "\(media.key):document" : media.key
    }

    /// Returns the parameter that a file is sent in. Telegram plays MPEG-4 video, and MP3 and M4A audio, and shows pictures; other
    /// files are documents.
    static func field(for media: MediaMetadata) -> String {
        switch media.content.contentType {
        case "image/jpeg", "image/png", "image/webp": PhotoLimits.allow(media) ? "photo" : "document"
        case "image/gif": media.description.width == nil ? "document" : "animation"
        case "video/mp4": "video"
        case "audio/mpeg", "audio/mp3", "audio/mp4", "audio/x-m4a": "audio"
        default: "document"
        }
    }

    private func parameters(_ media: DownloadReady, _ job: Job, _ method: String) -> JSONObject {
        var parameters: JSONObject = [
            "chat_id": job.chat.json, "parse_mode": "HTML",
            "caption": .string(
                Wording(texts, for: job.event).caption(
                    media, elapsed: elapsed(job), correlationID: job.event.correlationID, hashtags: job.event.hashtags)),
        ]
        parameters.add(media.metadata.description, method: method)
        parameters.addReply(to: job.origin?.messageID, thread: job.origin?.threadID)
        return parameters
    }

    // MARK: Albums

    /// Sends several pictures and videos as one album, with the caption of the first.
    ///
    /// - Returns: nil if one of the files cannot be had, or Telegram refuses them.
    func deliver(album: [DownloadReady], for job: Job) async throws -> Envelope? {
        guard let first = album.first else { return nil }
        var (members, uploads, open) = ([JSON](), [MediaUpload](), [OpenFile]())
        for media in album {
            let field = MediaDelivery.field(for: media.metadata)
            var member: JSONObject = ["type": .string(field)]
            if let cached = await shared.cachedFile(media.key), cached.type == field {
                member["media"] = .string(cached.fileID)
            } else {
                let file: OpenFile
                do throws(NoCopy) { file = try await copies.open(media) } catch { return nil }
                let name = "file\(members.count)"
                member["media"] = .string("attach://\(name)")
                uploads.append(
                    MediaUpload(
                        field: name, kind: field,
                        fileName: media.metadata.fileName.flatMap { FileName.safe($0) } ?? "file",
                        contentType: media.metadata.content.contentType ?? "application/octet-stream",
                        content: FileRange(descriptor: file.descriptor, offset: 0, count: file.sizeBytes),
                        path: file.path, key: media.key))
                open.append(file)
            }
            member.add(media.metadata.description, method: "send\(field.capitalizedFirst)")
            members.append(.object(member))
        }
        defer { withExtendedLifetime(open) {} }
        var parameters = self.parameters(first, job, "sendMediaGroup")
        if var member = members[0].object {
            (member["caption"], member["parse_mode"]) = (parameters["caption"], parameters["parse_mode"])
            members[0] = .object(member)
        }
        (parameters["caption"], parameters["parse_mode"], parameters["media"]) = (nil, nil, .array(members))
        try await limits.admit(.message, for: job)
        let answer: JSON
        do throws(TelegramError) {
            answer = try await messages.send("sendMediaGroup", parameters, uploads: uploads, for: job)
        } catch {
            guard error.mayConcernFile || error.code == .tooLarge else { throw error }
            runtime.log.notice("Telegram refuses the album: sending its files one by one")
            return nil
        }
        return await delivered(album: album, answer, job)
    }

    private func delivered(album: [DownloadReady], _ answer: JSON, _ job: Job) async -> Envelope {
        let sent = answer.array ?? [answer]
        for (media, message) in zip(album, sent) {
            if let file = SharedState.CachedFile(of: message) { await shared.cache(file, for: media.key) }
            await cleanUpIfDue()
        }
        let ids = sent.compactMap(\.sentMessageID)
        var notes = answer.firstMessage.notes(chat: job.chat, message: ids.first)
        notes["files"] = .stringConvertible(album.count)
        runtime.log.info("delivered an album", metadata: notes)
        return .derived(
            TelegramSent(
                .sendAlbum, chat: ChatID(answer: answer.firstMessage) ?? job.chat, messageID: ids.first,
                messageIDs: ids, key: album.first?.key,
                elapsedSeconds: elapsed(job).map { JSONNumber(Double($0.milliseconds) / 1000) }))
    }

    // MARK: After a delivery

    /// The time since the user's message arrived.
    private func elapsed(_ job: Job) -> Duration? {
        job.event.receivedAt.map { Timestamp.now.elapsed(since: $0) }
    }

    private func delivered(
        _ message: JSON, _ media: DownloadReady, _ job: Job, isCached: Bool
    ) async -> Envelope {
        let file = SharedState.CachedFile(of: message)
        let seconds = elapsed(job).map { Double($0.milliseconds) / 1000 }
        let action: TelegramAction =
            message["audio"] != nil
            ? .sendAudio
            : message["video"] != nil
                ? .sendVideo : message["photo"] != nil ? .sendPhoto : .sendDocument
        let event = Envelope.derived(
            TelegramSent(
                action, chat: ChatID(answer: message) ?? job.chat, messageID: message.sentMessageID,
                fileID: file?.fileID, key: media.key, isCached: isCached,
                elapsedSeconds: seconds.map { JSONNumber($0) }))
        var notes = message.notes(chat: job.chat, message: message.sentMessageID)
        notes["key"] = "\(media.key)"
        notes["cached"] = .stringConvertible(isCached)
        notes["elapsed_s"] = .stringConvertible(seconds ?? 0)
        runtime.log.info("delivered", metadata: notes)
        await cleanUpIfDue()
        return event
    }

    /// Removes old local copies after every `--cleanup-every` deliveries of all processes.
    private func cleanUpIfDue() async {
        guard let count = await shared.countDelivery(), count % Int64(options.cleanupEvery) == 0 else { return }
        let (cache, limit) = (copies.cache, options.cacheSize.bytes)
        let removed = await BlockingThread().run { cache.evict(downTo: limit) }
        if removed.count > 0 {
            runtime.log.info(
                "removed local copies",
                metadata: ["count": .stringConvertible(removed.count), "bytes": .stringConvertible(removed.bytes)])
        }
    }
}

/// Tells which pictures Telegram takes as photos.
enum PhotoLimits {
    private static let maxBytes: Int64 = 10_000_000
    private static let maxSum: Int64 = 10_000
    private static let maxRatio: Int64 = 20

    /// Returns whether a picture is known to be within the limits.
    static func allow(_ media: MediaMetadata) -> Bool {
        guard let bytes = media.content.sizeBytes, bytes <= maxBytes, let width = media.description.width,
            let height = media.description.height, (1...maxSum).contains(width), (1...maxSum).contains(height)
        else { return false }
        return width + height <= maxSum && max(width, height) <= maxRatio * min(width, height)
    }
}

extension String {
    var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}
