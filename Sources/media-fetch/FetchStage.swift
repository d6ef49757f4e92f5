import Blob
import Blocking
import Envelope
import Media
import Stage
import Telegram

/// Turns one media command into its result.
struct FetchStage: Sendable {
    let runtime: Runtime
    let store: any BlobStore
    let fetcher: MediaFetcher
    let fetches: Fetches
    /// nil without a bot token: then files of messages cannot be fetched.
    let api: BotAPI?
    let cache: MediaCache
    let aliases: Aliases
    let settings: MediaSettings
    let expires: Duration

    /// What was left half done long ago is not coming back.
    func sweep() {
        let fetcher = fetcher
        BlockingThread.start { fetcher.sweep(olderThan: .seconds(2 * 86_400)) }
    }

    func handle(_ event: Envelope, _ context: WorkContext) async throws -> Outcome {
        let request = try MediaRequest(event)
        do {
            return .done([try await result(request, context.publisher)])
        } catch let error as MediaError {
            return .done([failed(request, error)])
        }
    }

    private func result(_ request: MediaRequest, _ publisher: Publisher) async throws -> Envelope {
        if request.isRateLimited { throw MediaError.overLimit(request.retryAfterSeconds) }
        let identity = await aliases.resolve(try await identity(of: request))
        let address = ContentAddress(request.kind, identity)
        if let info = try await stored(address) {
            runtime.log.info("in storage already", metadata: ["key": "\(address)"])
            return try ready(info, request.kind)
        }
        return try await ProgressReports(publisher, kind: request.kind).during { onProgress in
            var media = try await fetches.fetch(address.key, onWait: { onProgress(MediaProgress($0)) }) {
                try await fetcher.fetch(try await job(request, identity, onProgress), onProgress: onProgress)
            }
            media.sourceURL = identity.sourceURL
            if let canonical = media.canonicalURL {
                await aliases.add(identity, canonical)
                media.normalizedURL = canonical
                media.key = ContentAddress(request.kind, normalizedURL: canonical).key
            }
            runtime.log.info("fetched", metadata: ["key": "\(media.key)", "bytes": "\(media.sizeBytes)"])
            return .derived(type: "events.media.fetched", payload: media.payload)
        }
    }

    private func identity(of request: MediaRequest) async throws -> SourceIdentity {
        switch request.source {
        case .link(let link): try await fetcher.identify(link)
        case .telegramFile(let file): .telegramFile(uniqueID: file.uniqueID)
        }
    }

    /// What the store has; a store that cannot be asked is no reason to fetch, as the result could not be stored.
    private func stored(_ address: ContentAddress) async throws -> BlobInfo? {
        do {
            return try await store.head(address.key)
        } catch {
            // blob-put makes the bucket, or says what is wrong with it.
            if error.code == .noSuchBucket { return nil }
            runtime.log.error("unable to ask the store: \(error.message)")
            throw MediaError(.serverError, "The storage cannot be reached.", isTemporary: true)
        }
    }

    private func ready(_ info: BlobInfo, _ kind: MediaKind) throws -> Envelope {
        do {
            var payload = try MediaObject.ready(info, kind: kind.rawValue, in: store, expires: expires)
            payload["path"] = (cache.open(info.key)?.path ?? store.localPath(info.key)).map { .string($0) }
            return .derived(type: "events.dl.\(kind.rawValue).ready", payload: payload)
        } catch {
            runtime.log.error("unable to sign a URL: \(error.message)")
            throw MediaError(.serverError, "The storage cannot be used.")
        }
    }

    private func failed(_ request: MediaRequest, _ error: MediaError) -> Envelope {
        runtime.log.notice("failed: \(error.reason)", metadata: ["code": "\(error.code.rawValue)"])
        let payload: JSONObject = [
            "kind": .string(request.kind.rawValue), "url": request.link.map { .string($0) },
            "code": .string(error.code.rawValue), "reason": .string(error.reason),
            "temporary": .bool(error.isTemporary),
        ]
        return .derived(type: "events.dl.\(request.kind.rawValue).failed", payload: payload)
    }
}

extension FetchStage {
    /// How the bytes are to be had: for audio, from the video when the store has that.
    private func job(
        _ request: MediaRequest, _ identity: SourceIdentity, _ onProgress: @escaping ProgressHandler
    ) async throws -> MediaJob {
        if request.kind == .audio, let job = try await audioFromStoredVideo(identity) { return job }
        switch request.source {
        case .link: return MediaJob(request.kind, identity)
        case .telegramFile(let file): return try await self.job(request.kind, identity, file)
        }
    }

    private func audioFromStoredVideo(_ identity: SourceIdentity) async throws -> MediaJob? {
        let video = ContentAddress(.video, identity)
        guard let info = try await stored(video), info.metadata.contentType?.hasPrefix("video/") ?? true else {
            return nil
        }
        guard let path = try await localCopy(of: info) else { return nil }
        runtime.log.info("taking the sound of the stored video", metadata: ["key": "\(video)"])
        return MediaJob(
            .audio, identity, origin: .local(path: path), title: info.metadata.user["title"],
            performer: info.metadata.user["performer"])
    }

    private func localCopy(of info: BlobInfo) async throws -> String? {
        if let file = cache.open(info.key), file.sizeBytes == info.sizeBytes { return file.path }
        if let path = store.localPath(info.key) { return path }
        guard let temporary = cache.temporaryPath() else { return nil }
        do {
            _ = try await store.get(info.key, to: temporary)
            return cache.take(temporary, as: info.key)
        } catch {
            runtime.log.warning("unable to read the stored video: \(error.message)")
            return nil
        }
    }

    private func job(
        _ kind: MediaKind, _ identity: SourceIdentity, _ file: MediaRequest.TelegramFile
    ) async throws -> MediaJob {
        guard let api else { throw MediaError(.unsupported, "Files of messages cannot be fetched here.") }
        if let size = file.sizeBytes, size > settings.maxBytes { throw MediaError(.tooLarge, "That is too large.") }
        let origin: MediaJob.Origin
        do {
            switch try await api.file(file.id).source {
            case .url(let url): origin = .download(url: url)
            case .path(let path): origin = .local(path: path)
            }
        } catch {
            throw MediaError(telegram: error)
        }
        return MediaJob(
            kind, identity, origin: origin, title: file.title, performer: file.performer, fileName: file.name,
            durationSeconds: file.durationSeconds)
    }
}

extension MediaError {
    static func overLimit(_ retryAfterSeconds: Int64?) -> MediaError {
        let wait = retryAfterSeconds.map { ": try again in \($0) s" } ?? ""
        return MediaError(.rateLimited, "Too many requests\(wait).")
    }

    init(telegram error: TelegramError) {
        if error.code == .tooLarge {
            self.init(.tooLarge, "Telegram gives bots no file over 20 MB.")
        } else {
            self.init(
                .unreachable, "Telegram does not give the file: \(error.message).", isTemporary: error.isTemporary)
        }
    }
}
