import BotAPI
import Blob
import Envelope
import Glibc
import JSON
import Logging
import Media
import Payloads
import Stage
import Synchronization
import System

/// Turns one media command into its result.
///
/// When several commands name the same source, one process fetches it for all of them, on whichever machine they are.
struct FetchStage: Sendable {
    let runtime: Runtime
    let store: any BlobStore
    /// If true, what was fetched goes into the store here, and not in blob-put.
    let putsIntoStore: Bool
    /// The uploads that go on during downloads; nil if every file is on the disk before it is stored.
    let uploads: UploadBook?
    /// Fetches up to the limit for direct downloads.
    let direct: MediaFetcher
    /// Fetches media that were handed over as a large download.
    let large: MediaFetcher
    let places: FetchPlaces
    let shared: SharedWork
    /// Fetches files of messages; nil if there is neither a bot token nor a session, so that they cannot be fetched.
    let api: (any MessagingAPI)?
    let cache: MediaCache
    let aliases: Aliases
    let limits: FetchLimits
    /// The time for which a partial download is kept that nobody asks for again.
    let partialsKeptFor: Duration
    /// The time for which presigned URLs are valid.
    let expires: Duration
    let cancellations: Cancellations
    let cookies: CookieKeeping
    let turns: TurnReports
    /// If true, transient failures return to the queue for a later attempt.
    let isFromQueue: Bool

    /// The number of times that a request looks for its media. Another process can remove a result between two looks,
    /// but not this often.
    static let looks = 5

    /// - Throws: `MalformedInput` for a malformed command; `TransientFailure` or `BlobError` if the event returns to its queue.
    ///   Other failures become events.
    @Sendable func handle(_ event: Envelope, _ context: WorkContext) async throws -> Outcome {
        if event.type == MediaCancel.type {
            try await cancellations.take(event)
            return .done([])
        }
        if event.type == MediaCookies.type { return .done(try await cookies.take(event)) }
        let request = try MediaRequest(event)
        if request.isRateLimited {
            return .done([failed(request, .overLimit(request.retryAfterSeconds))])
        }
        let awaited = AwaitedWork()
        let worked = try await cancellations.work(on: event, context.waiter) {
            try await handle(request, context, awaited)
        }
        if worked == nil, let name = awaited.name { await shared.leave(name, context.waiter) }
        let outcome = worked ?? .done([failed(request, .cancelledByUser)])
        await turns.done(event, outcome, isFromQueue: isFromQueue)
        return outcome
    }

    private func handle(
        _ request: MediaRequest, _ context: WorkContext, _ awaited: AwaitedWork
    ) async throws -> Outcome {
        do {
            return try await ProgressReports(context.publisher, kind: request.kind).during { accept, onProgress in
                guard isFromQueue else { return try await outcome(request, context, awaited, accept, onProgress) }
                return try await runtime.outages.riding {
                    try await outcome(request, context, awaited, accept, onProgress)
                }
            }
        } catch let error as MediaError {
            guard isFromQueue, error.isWorthRetryingSoon else {
                return .done([failed(request, error)] + (await cookies.notices(of: error)))
            }
            if context.isLastAttempt { await discard(request) }
            throw TransientFailure(error)
        } catch let error as BlobError {
            if error.code == .cancelled { throw CancellationError() }
            if isFromQueue, error.isTransient { throw error }
            return .done([failed(request, error)])
        }
    }

    /// Returns the events for the requester of an event that has no attempt left.
    @Sendable func giveUp(_ event: Envelope, _ reason: String) -> [Envelope] {
        guard let request = try? MediaRequest(event) else { return [] }
        turns.giveUp(event)
        return [failed(request, MediaError(.gaveUp, reason))]
    }

    private func outcome(
        _ request: MediaRequest, _ context: WorkContext, _ awaited: AwaitedWork,
        _ accept: @escaping @Sendable () async throws -> Void, _ onProgress: @escaping ProgressHandler
    ) async throws -> Outcome {
        var requested = try await identity(of: request)
        for _ in 0..<FetchStage.looks {
            let identity = await aliases.resolve(requested)
            for page in [requested, identity] { try check(page, request) }
            let address = request.address(identity)
            let name = sharedName(address)
            awaited.set(name)
            if let info = try await stored(address.key) {
                runtime.log.info("the store already has the media", metadata: ["key": "\(address)"])
                // The request may have waited for an owner that was killed before it could publish its result.
                await shared.leave(name, context.waiter)
                return .done([try ready(info, request)])
            }
            let answer = try await shared.answer(name, for: context.waiter) { fence in
                try await accept()
                return try await fetch(request, identity, fence: fence, onProgress).product
            }
            switch answer {
            case .held(let limit):
                try await context.publisher.publish(.derived(MediaProgress(.waiting, kind: request.kind)))
                return .held(for: limit)
            case .result(let json):
                let result = FetchResult(json)
                if case .stored(let url) = result { requested = SourceIdentity(url) ?? requested }
                if let events = try await events(result, request, identity) { return .done(events) }
            }
        }
        throw MediaError(
            .serverError, "Storage gave inconsistent answers. Please try again.", isTransient: true)
    }

    /// Makes the events of a result; returns nil if the result is no longer valid, so that the request must look again.
    func events(
        _ result: FetchResult?, _ request: MediaRequest, _ identity: SourceIdentity
    ) async throws -> [Envelope]? {
        switch result {
        case nil, .stored: return nil
        case .failed(let error):
            if error.code == .accountPage, request.readsAccountPages {
                // It was the result of somebody who may not see the page.
                await shared.forget(sharedName(request.address(identity)))
                return nil
            }
            throw error
        case .unstorable(let error): throw error
        case .large(let sizeBytes):
            guard !request.isLarge else { return nil }
            return largeDownload(request, sizeBytes)
        case .put(var ready):
            try check(ready.metadata.origin, request)
            ready.metadata.origin.sourceURL = identity.sourceURL
            ready.path = store.localPath(ready.key)
            return [.derived(try MediaObject.signed(ready, by: store, expires: expires))]
        case .fetched(var media):
            try check(media.metadata.origin, request)
            media.metadata.origin.sourceURL = identity.sourceURL
            if putsIntoStore {
                // The file of a worker that leaves it to blob-put, perhaps on another machine.
                if let info = try await stored(media.key) { return [try ready(info, request)] }
                await shared.forget(sharedName(request.address(identity)))
                return nil
            }
            if access(media.path, F_OK) != 0 {
                // A file is usually moved because the store has it now.
                if let info = try await stored(media.key) { return [try ready(info, request)] }
                if media.host == Runtime.host {
                    await shared.forget(sharedName(request.address(identity)))
                    return nil
                }
            }
            return [.derived(media)]
        }
    }

    /// Returns the name of the shared work. Processes with different stores do not share it.
    private func sharedName(_ address: ContentAddress) -> String { "\(store.name)/\(address)" }

    func identity(of request: MediaRequest) async throws -> SourceIdentity {
        switch request.source {
        case .url(let url): try await direct.identify(url)
        case .file(let file): .telegramFile(uniqueID: file.uniqueID)
        }
    }

    func ready(_ info: BlobInfo, _ request: MediaRequest) throws -> Envelope {
        let path = cache.open(info.key)?.path ?? store.localPath(info.key)
        let ready = try MediaObject.ready(info, kind: request.kind, in: store, path: path, expires: expires)
        try check(ready.metadata.origin, request)
        return .derived(ready)
    }

    /// Refuses media that somebody else has fetched from a page of the account itself, if the requester may not see such pages.
    private func check(_ origin: MediaOrigin, _ request: MediaRequest) throws(MediaError) {
        guard let page = origin.normalizedURL.flatMap({ SourceIdentity($0) }) else { return }
        try check(page, request)
    }

    private func check(_ page: SourceIdentity, _ request: MediaRequest) throws(MediaError) {
        if !request.readsAccountPages, direct.isAccountPage(page, asList: false) { throw .accountPage }
    }

    private func failed(_ request: MediaRequest, _ error: MediaError) -> Envelope {
        runtime.log.notice("unable to fetch: \(error.reason)", metadata: ["code": "\(error.code.rawValue)"])
        return .derived(
            DownloadFailed(
                kind: request.kind, url: request.source.url, code: error.code.rawValue, reason: error.reason,
                isTransient: error.isTransient))
    }

    private func failed(_ request: MediaRequest, _ error: BlobError) -> Envelope {
        runtime.log.error("unable to use the store: \(error.message)", metadata: ["code": "\(error.code.rawValue)"])
        return .derived(MediaObject.failed(error, kind: request.kind, url: request.source.url))
    }

    /// Hands the command over to the worker for large downloads, and reports that it is queued.
    private func largeDownload(_ request: MediaRequest, _ sizeBytes: Int64?) -> [Envelope] {
        var metadata: Logger.Metadata = ["limit_bytes": .stringConvertible(limits.directBytes)]
        if let sizeBytes { metadata["bytes"] = .stringConvertible(sizeBytes) }
        runtime.log.info("handing over a large download", metadata: metadata)
        let download = LargeDownload(
            kind: request.kind, source: request.source, variant: request.variant, sizeBytes: sizeBytes,
            limitBytes: limits.directBytes)
        return [.derived(MediaProgress(.queued, kind: request.kind)), .derived(download)]
    }
}

extension FetchStage {
    /// Returns the stored object of a key; nil if there is none.
    ///
    /// - Throws: `BlobError` if the store cannot be queried. A fetched file could not be stored then, so it is not fetched.
    func stored(_ key: String) async throws(BlobError) -> BlobInfo? {
        do {
            return try await store.head(key)
        } catch {
            // blob-put makes the bucket, or reports why it cannot.
            if error.code == .noSuchBucket { return nil }
            throw error
        }
    }

    /// Removes the partial download of a request that will not be tried again.
    private func discard(_ request: MediaRequest) async {
        guard let identity = try? await identity(of: request) else { return }
        let address = request.address(await aliases.resolve(identity))
        let fetcher = direct
        await BlockingThread().run { fetcher.discardPartial(address) }
    }

    /// Removes the uploads of dead processes, and those that are in no book.
    ///
    /// It runs every 30 seconds until its task is cancelled. A tool that ends leaves the rest to others, because a store that is away would
    /// hold up its end.
    func sweepUploads() async {
        guard let uploads else { return }
        var nextLook = ContinuousClock.now
        while !Task.isCancelled {
            await uploads.sweep()
            if ContinuousClock.now >= nextLook {
                await uploads.sweepForgotten()
                nextLook = .now + .seconds(3600)
            }
            try? await Task.sleep(for: .seconds(30))
        }
    }

    /// Removes old partial downloads, files that another machine has stored meanwhile, and the folders of finished downloads.
    ///
    /// It runs every 30 seconds until its task is cancelled, and once more then.
    func sweep() async {
        let (fetcher, kept) = (direct, partialsKeptFor)
        let thread = BlockingThread()
        var isOver = false
        while !isOver {
            await thread.run { _ = fetcher.sweep(olderThan: kept) }
            for address in await thread.run({ fetcher.untouched(for: .seconds(60)) })
            where (try? await stored(address.key)) != nil {
                await thread.run { fetcher.discard(address) }
            }
            isOver = Task.isCancelled
            if !isOver { try? await Task.sleep(for: .seconds(30)) }
        }
    }
}

/// Notes which shared work a request may be waiting for, so that a request that is cancelled can leave it.
private final class AwaitedWork: Sendable {
    private let value = Mutex<String?>(nil)

    var name: String? { value.withLock { $0 } }

    func set(_ name: String) { value.withLock { $0 = name } }
}

/// A failure that another attempt may overcome, after which the event returns to its queue.
struct TransientFailure: ReportableError {
    let exitStatus = ExitStatus.tryAgain
    let message: String
    let retryAfter: Duration?

    init(_ error: MediaError) { (message, retryAfter) = (error.reason, error.retryAfter) }
}

extension MediaError {
    /// Is true if an attempt within minutes may succeed. A live stream takes longer to end, and a server may ask for a
    /// pause of any length; the user is told instead.
    fileprivate var isWorthRetryingSoon: Bool {
        isTransient && code != .live && (retryAfter ?? .zero) <= .seconds(900)
    }

    fileprivate static func overLimit(_ retryAfterSeconds: Int64?) -> MediaError {
        let wait = retryAfterSeconds.map { ": try again in \($0) s" } ?? ""
        return MediaError(.rateLimited, "Too many requests\(wait).")
    }
}
