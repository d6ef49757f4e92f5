import Blob
import Logging
import Media
import Stage
import Synchronization
import BotAPI

extension FetchStage {
    /// Fetches what nobody else is fetching.
    func fetch(
        _ request: MediaRequest, _ identity: SourceIdentity, _ onProgress: @escaping ProgressHandler
    ) async throws -> FetchResult {
        do {
            return try await places.run(onWait: { onProgress(MediaProgress(.queued)) }) {
                try await fetchInPlace(request, identity, onProgress)
            }
        } catch let error as MediaError {
            if error.code == .cancelled { throw CancellationError() }
            guard error.code == .tooLarge, !request.isLarge else { return .failed(error) }
            return limits.beyondDirect(error, isFile: request.link == nil)
        } catch let error as BlobError where error.code != .cancelled {
            return .unstorable(error)
        }
    }

    private func fetchInPlace(
        _ request: MediaRequest, _ identity: SourceIdentity, _ onProgress: @escaping ProgressHandler
    ) async throws -> FetchResult {
        let address = ContentAddress(request.kind, identity)
        if let media = await direct.finished(address) { return .fetched(media, host: Runtime.host) }
        // In this order: what is not in its folder any more is in the store.
        if try await stored(address.key) != nil { return .stored(as: identity.normalizedURL) }
        var media: FetchedMedia
        do {
            media = try await fetchUnlessKnown(try await job(request, identity, onProgress), request, onProgress)
        } catch let known as KnownMedia {
            await aliases.add(identity, known.url)
            return .stored(as: known.url)
        }
        if let canonical = media.canonicalURL {
            await aliases.add(identity, canonical)
            media.normalizedURL = canonical
            media.key = ContentAddress(request.kind, normalizedURL: canonical).key
        }
        runtime.log.info("fetched", metadata: ["key": "\(media.key)", "bytes": "\(media.sizeBytes)"])
        return .fetched(media, host: Runtime.host)
    }

    /// - Throws: `KnownMedia` when the link turns out to be another name of what the store has, before it is downloaded.
    private func fetchUnlessKnown(
        _ job: MediaJob, _ request: MediaRequest, _ onProgress: @escaping ProgressHandler
    ) async throws -> FetchedMedia {
        let known = Mutex<KnownMedia?>(nil)
        do {
            return try await (request.isLarge ? large : direct).fetch(job, onProgress: onProgress) {
                url throws(MediaError) in
                guard let media = SourceIdentity(url), await isOfUse(media, job.kind) else { return }
                known.withLock { $0 = KnownMedia(url: media.normalizedURL) }
                throw MediaError(.cancelled, "That is in the storage already.")
            }
        } catch {
            throw known.withLock { $0 } ?? error
        }
    }

    /// Whether the store has the media, or for audio the video that it can be taken from. A store that cannot be asked now is asked
    /// again when the file is there.
    private func isOfUse(_ identity: SourceIdentity, _ kind: MediaKind) async -> Bool {
        for kind in Set([kind, .video]) where (try? await stored(ContentAddress(kind, identity).key)) != nil {
            return true
        }
        return false
    }

    /// How the bytes are to be had: for audio, from the video when the store has that.
    private func job(
        _ request: MediaRequest, _ identity: SourceIdentity, _ onProgress: @escaping ProgressHandler
    ) async throws -> MediaJob {
        if request.kind == .audio, let job = try await audioFromStoredVideo(identity) { return job }
        switch request.source {
        case .link: return MediaJob(request.kind, identity)
        case .telegramFile(let file): return try await job(request, identity, file)
        }
    }

    private func audioFromStoredVideo(_ identity: SourceIdentity) async throws -> MediaJob? {
        let video = ContentAddress(.video, identity)
        guard let info = try await stored(video.key), info.metadata.contentType?.hasPrefix("video/") ?? true else {
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
        _ request: MediaRequest, _ identity: SourceIdentity, _ file: MediaRequest.TelegramFile
    ) async throws -> MediaJob {
        guard let api else { throw MediaError(.unsupported, "Files of messages cannot be fetched here.") }
        if let size = file.sizeBytes, size > limits.bytes(isLarge: request.isLarge) {
            throw MediaError.tooLarge(bytes: size, maxBytes: limits.bytes(isLarge: request.isLarge))
        }
        let origin: MediaJob.Origin
        do {
            let (source, sizeBytes) = try await api.file(file.id)
            switch source {
            case .url(let url): origin = .download(url: url)
            case .path(let path): origin = .local(path: path)
            case .download(let download):
                origin = .fetched(sizeBytes: sizeBytes) { path, onProgress throws(MediaError) in
                    do throws(TelegramError) { try await download(path, onProgress) } catch {
                        throw MediaError(telegram: error)
                    }
                }
            }
        } catch {
            throw MediaError(telegram: error)
        }
        return MediaJob(
            request.kind, identity, origin: origin, title: file.title, performer: file.performer, fileName: file.name,
            durationSeconds: file.durationSeconds)
    }
}

/// The store has what a link leads to under another name, which is this normalized link.
private struct KnownMedia: Error {
    let url: String
}

extension MediaError {
    fileprivate init(telegram error: TelegramError) {
        if error.code == .tooLarge {
            self.init(.tooLarge, "Telegram gives bots no file over 20 MB.")
        } else {
            self.init(
                .unreachable, "Telegram does not give the file: \(error.message).", isTemporary: error.isTemporary)
        }
    }
}

/// How large what is fetched may be.
struct FetchLimits: Sendable {
    /// What is larger is left to the worker for large downloads.
    let directBytes: Int64
    let maxBytes: Int64

    init(direct: Int64?, max: Int64) {
        directBytes = Swift.min(direct ?? max, max)
        maxBytes = max
    }

    func bytes(isLarge: Bool) -> Int64 { isLarge ? maxBytes : directBytes }

    /// What becomes of something that is too large to be fetched directly.
    ///
    /// - Parameter isFile: of a Telegram message: what Telegram does not give, it does not give to others either.
    func beyondDirect(_ error: MediaError, isFile: Bool) -> FetchResult {
        guard directBytes < maxBytes, !isFile || error.sizeBytes != nil else { return .failed(error) }
        if let size = error.sizeBytes, size > maxBytes { return .failed(.tooLarge(bytes: size, maxBytes: maxBytes)) }
        return .large(sizeBytes: error.sizeBytes)
    }
}
