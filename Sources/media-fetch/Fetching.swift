import Blob
import BotAPI
import Glibc
import JSON
import Logging
import Media
import Payloads
import Stage
import Synchronization
import System

extension FetchStage {
    /// Fetches a source that no other process is fetching.
    ///
    /// - Parameter fence: the number of this process's ownership; nil if it is not certain that no other process fetches the source.
    /// - Throws: `CancellationError`. Failures are results, because other requests may wait for them.
    func fetch(
        _ request: MediaRequest, _ identity: SourceIdentity, fence: Int64?,
        _ onProgress: @escaping ProgressHandler
    ) async throws -> FetchResult {
        do {
            return try await places.run(for: request.userID, onWait: { onProgress(MediaProgress(.queued)) }) {
                let start = ContinuousClock.now
                let result: FetchResult
                do { result = try await fetchInPlace(request, identity, fence, onProgress) } catch {
                    await turns.count(bytes: nil, time: .now - start, for: request.userID)
                    throw error
                }
                await turns.count(bytes: result.fetchedBytes, time: .now - start, for: request.userID)
                return result
            }
        } catch let error as MediaError {
            if error.code == .cancelled { throw await cancelled(request, identity) }
            guard error.code == .tooLarge, !request.isLarge else { return .failed(error) }
            return limits.result(of: error, request.kind, isFile: request.source.url == nil)
        } catch let error as BlobError {
            if error.code == .cancelled { throw await cancelled(request, identity) }
            return .unstorable(error)
        }
    }

    /// Returns the error of a cancelled request, of which nothing is left if its user has cancelled it.
    private func cancelled(_ request: MediaRequest, _ identity: SourceIdentity) async -> CancellationError {
        if Cancellations.current?.isSet == true { await discardPartial(request, identity) }
        return CancellationError()
    }

    /// Removes the partial download of a cancelled request, unless another request goes on with it already.
    private func discardPartial(_ request: MediaRequest, _ identity: SourceIdentity) async {
        let (fetcher, address) = (direct, request.address(identity))
        await BlockingThread().run { fetcher.discardPartial(address) }
    }

    private func fetchInPlace(
        _ request: MediaRequest, _ identity: SourceIdentity, _ fence: Int64?, _ onProgress: @escaping ProgressHandler
    ) async throws -> FetchResult {
        let address = request.address(identity)
        if let media = await direct.finished(address) { return try await result(media, address, nil, onProgress) }
        // The order matters: a file that has left its folder is in the store.
        if try await stored(address.key) != nil { return .stored(as: identity.normalizedURL) }
        guard let book = uploads else { return try await fetchAnew(request, identity, nil, onProgress) }
        if let fence { await book.takeOver(address, fence: fence) }
        let stream = StoreStream(book, for: address, fence: fence)
        return try await book.holding(stream.name, while: { stream.hasBegun }) {
            do {
                let result = try await fetchAnew(request, identity, stream, onProgress)
                await stream.discard()
                return result
            } catch {
                await stream.discard()
                throw error
            }
        }
    }

    /// - Parameter stream: gets a file that need not be on the disk.
    private func fetchAnew(
        _ request: MediaRequest, _ identity: SourceIdentity, _ stream: StoreStream?,
        _ onProgress: @escaping ProgressHandler
    ) async throws -> FetchResult {
        let job = try await job(request, identity, onProgress)
        let outcome = try await fetchUnlessStored(job, request, stream, onProgress)
        if let canonicalURL = outcome.canonicalURL { await aliases.add(identity, canonicalURL) }
        switch outcome {
        case .stored(let canonicalURL): return .stored(as: canonicalURL)
        case .file(var media, let canonicalURL):
            if let canonicalURL, let own = SourceIdentity(canonicalURL) {
                media.metadata.origin.normalizedURL = own.normalizedURL
                media.metadata.origin.domain = own.domain
                media.key = request.address(own).key
            }
            var metadata: Logger.Metadata = ["key": "\(media.key)"]
            if let bytes = media.metadata.content.sizeBytes { metadata["bytes"] = .stringConvertible(bytes) }
            runtime.log.info("fetched", metadata: metadata)
            return try await result(media, request.address(identity), stream, onProgress)
        }
    }

    /// Makes the result of fetched media, which it puts into the store if this process is to do that.
    ///
    /// - Parameters:
    ///   - address: the address under which the media were fetched.
    ///   - stream: has the media if their path is empty.
    private func result(
        _ media: MediaFetched, _ address: ContentAddress, _ stream: StoreStream?,
        _ onProgress: @escaping ProgressHandler
    ) async throws -> FetchResult {
        guard putsIntoStore else {
            var media = media
            media.host = Runtime.host
            return .fetched(media)
        }
        let (total, title) = (media.metadata.content.sizeBytes, media.metadata.description.title)
        let report: @Sendable (Int64) -> Void = { done in
            let fraction = total.map { $0 > 0 ? min(1, Double(done) / Double($0)) : 1 }
            onProgress(MediaProgress(.storing, fraction: fraction, doneBytes: done, totalBytes: total, title: title))
        }
        let stored: MediaObject.Stored
        if media.path.isEmpty, let stream {
            stored = try await stream.finish(media, onProgress: report)
        } else {
            let file = try LocalFile(path: media.path, isFinal: true)
            stored = try await MediaObject.put(
                file, of: media.metadata, as: media.key, in: store, onProgress: report)
            unlink(media.path)
            let fetcher = direct
            await BlockingThread().run { fetcher.discard(address) }
        }
        runtime.log.info(stored.before == nil ? "stored \(media.key)" : "\(media.key) was stored already")
        var ready = DownloadReady(media, store: store.name, path: nil, isCached: false)
        ready.metadata.content = stored.content.completed(from: media.metadata.content)
        return .put(ready)
    }

    /// The outcome of a fetch that consults the store as soon as the site reports the media's canonical URL.
    private enum Fetch {
        case file(MediaFetched, canonicalURL: String?)
        /// The store has the media under this URL, and nothing was downloaded.
        case stored(canonicalURL: String)

        var canonicalURL: String? {
            switch self {
            case .file(_, let url): url
            case .stored(let url): url
            }
        }
    }

    private func fetchUnlessStored(
        _ job: MediaJob, _ request: MediaRequest, _ stream: StoreStream?, _ onProgress: @escaping ProgressHandler
    ) async throws -> Fetch {
        let found = Mutex<(canonicalURL: String?, isStored: Bool)>((nil, false))
        do {
            let media = try await (request.isLarge ? large : direct).fetch(
                job, stream: stream, onProgress: onProgress
            ) { url throws(MediaError) in
                found.withLock { $0.canonicalURL = url }
                guard let media = SourceIdentity(url), await isUsable(media, job) else { return }
                found.withLock { $0 = (media.normalizedURL, true) }
                throw MediaError(.cancelled, "The store already has the media.")
            }
            return .file(media, canonicalURL: found.withLock { $0.canonicalURL })
        } catch {
            if case (let url?, true) = found.withLock({ $0 }) { return .stored(canonicalURL: url) }
            if let failure = stream?.failure { throw failure }
            throw error
        }
    }

    /// Returns whether the store has the media, or the video to make them from.
    ///
    /// A store that cannot be queried now is queried again when the file is complete.
    private func isUsable(_ identity: SourceIdentity, _ job: MediaJob) async -> Bool {
        let own = ContentAddress(job.kind, identity, job.variant)
        let whole = job.kind.isMadeOfWholeVideo(job.variant) ? [ContentAddress(wholeVideo: identity, job.variant)] : []
        for address in [own] + whole where (try? await stored(address.key)) != nil { return true }
        return false
    }

    /// Decides where the bytes come from: audio is extracted from the video, and a part cut out of it, if the store has it.
    private func job(
        _ request: MediaRequest, _ identity: SourceIdentity, _ onProgress: @escaping ProgressHandler
    ) async throws -> MediaJob {
        if request.kind.isMadeOfWholeVideo(request.variant), let job = try await fromStoredVideo(request, identity) {
            return job
        }
        switch request.source {
        case .url:
            var job = MediaJob(request.kind, identity, request.variant)
            job.readsAccountPages = request.readsAccountPages
            if let (file, title) = request.picture { (job.picture, job.title) = (file, title) }
            return job
        case .file(let file): return try await job(request, identity, file)
        }
    }

    private func fromStoredVideo(_ request: MediaRequest, _ identity: SourceIdentity) async throws -> MediaJob? {
        let video = ContentAddress(wholeVideo: identity, request.variant)
        guard let info = try await stored(video.key), info.metadata.contentType?.hasPrefix("video/") ?? true else {
            return nil
        }
        guard let path = try await localCopy(of: info) else { return nil }
        runtime.log.info("using the stored video", metadata: ["key": "\(video)"])
        let description = MediaObject.description(of: info)
        return MediaJob(
            request.kind, identity, request.variant, origin: .local(path: path), title: description.title,
            performer: description.performer)
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
        _ request: MediaRequest, _ identity: SourceIdentity, _ file: TelegramFile
    ) async throws -> MediaJob {
        guard let api else { throw MediaError(.unsupported, "Files of messages cannot be fetched here.") }
        try checkSize(file.sizeBytes, request)
        let origin: MediaJob.Origin
        var serverName: String?
        do {
            let (source, sizeBytes) = try await api.file(file.id)
            try checkSize(sizeBytes, request)
            switch source {
            case .url(let url): origin = .download(url: url)
            case .path(let path):
                origin = .local(path: path)
                serverName = lastPathComponent(path)
                if access(path, R_OK) != 0 {
                    runtime.log.error(
                        "unable to read the file that the Bot API server names: \(path.printable): \(SystemError(errno)). If the server runs in a container, its folder must be at the same path here."
                    )
                }
            case .download(let download):
                origin = .fetched(sizeBytes: sizeBytes) { path, onProgress throws(MediaError) in
                    do throws(TelegramError) { try await download(path, onProgress) } catch {
                        throw MediaError(telegram: error)
                    }
                }
            }
        } catch let error as TelegramError {
            throw MediaError(telegram: error)
        }
        return MediaJob(
            request.kind, identity, request.variant, origin: origin, title: file.title, performer: file.performer,
            fileName: file.name ?? serverName, durationSeconds: file.durationSeconds?.double)
    }
}

extension FetchStage {
    /// - Throws: `tooLarge`, before anything is downloaded.
    private func checkSize(_ sizeBytes: Int64?, _ request: MediaRequest) throws(MediaError) {
        let limit = limits.bytes(isLarge: request.isLarge)
        if let sizeBytes, sizeBytes > limit { throw .tooLarge(bytes: sizeBytes, maxBytes: limit) }
    }
}

extension ContentAddress {
    /// The address of the whole video in its usual form, of which a variant can be made.
    fileprivate init(wholeVideo identity: SourceIdentity, _ variant: MediaVariant) {
        self.init(.video, identity, MediaVariant(item: variant.item))
    }
}

extension MediaKind {
    /// Returns whether media of this kind can be made of the whole video in its usual form.
    fileprivate func isMadeOfWholeVideo(_ variant: MediaVariant) -> Bool {
        switch self {
        case .audio: true
        case .image: false
        case .video: variant.cut != nil && variant.maxHeight == nil && variant.subtitles == nil
        }
    }
}

extension MediaError {
    fileprivate init(telegram error: TelegramError) {
        if error.code == .tooLarge {
            self.init(.tooLarge, "Telegram gives bots no file over 20 MB.")
        } else {
            self.init(
                .unreachable, "Telegram did not deliver the file: \(error.message).", isTransient: error.isTransient)
            retryAfter = error.retryAfter
            suspectedOutage = error.suspectedOutage
        }
    }
}

/// Holds the limits for the size of downloads.
struct FetchLimits: Sendable {
    /// The limit for direct downloads. Larger media are left to the worker for large downloads.
    let directBytes: Int64
    let maxBytes: Int64
    /// The limit for files that are delivered as they are, if Telegram takes only shorter ones and the store makes no links.
    let delivery: DeliveryLimit?

    init(direct: Int64?, max: Int64, delivery: DeliveryLimit? = nil) {
        directBytes = Swift.min(direct ?? max, max)
        maxBytes = max
        self.delivery = delivery
    }

    func bytes(isLarge: Bool) -> Int64 { isLarge ? maxBytes : directBytes }

    /// Decides whether media that exceed the limit for direct downloads become a large download.
    ///
    /// - Parameter isFile: Whether the media are a file of a message. If Telegram itself refuses it as too large, it refuses it to
    ///   every worker.
    func result(of error: MediaError, _ kind: MediaKind, isFile: Bool) -> FetchResult {
        // No worker can deliver it.
        if let deliverable = delivery?.bytes(of: kind), deliverable <= directBytes { return .failed(error) }
        guard directBytes < maxBytes, !isFile || error.sizeBytes != nil else { return .failed(error) }
        if let size = error.sizeBytes, size > maxBytes { return .failed(.tooLarge(bytes: size, maxBytes: maxBytes)) }
        return .large(sizeBytes: error.sizeBytes)
    }
}
