import Blob
import JSON
import Logging
import System
import Envelope
import Glibc
import Media
import Payloads
import Stage
import BotAPI

/// Turns one media command into its result.
///
/// A source that several ask for is fetched once, by one of them, whichever process or machine they are in.
struct FetchStage: Sendable {
    let runtime: Runtime
    let store: any BlobStore
    /// For what is fetched directly, and for all else.
    let direct: MediaFetcher
    let large: MediaFetcher
    let places: FetchPlaces
    let shared: SharedWork
    /// nil without a bot token and without a session: then files of messages cannot be fetched.
    let api: (any MessagingAPI)?
    let cache: MediaCache
    let aliases: Aliases
    let limits: FetchLimits
    let expires: Duration
    /// Then what may pass is tried again later, by whoever gets the event then.
    let isFromQueue: Bool

    /// A result can be taken away, and a source be asked for again, between two looks: after so many it is no coincidence.
    private static let looks = 5

    func handle(_ event: Envelope, _ context: WorkContext) async throws -> Outcome {
        let request = try MediaRequest(event)
        if request.isRateLimited {
            return .done([failed(request, .overLimit(request.retryAfterSeconds))])
        }
        do {
            return try await ProgressReports(context.publisher, kind: request.kind).during { accept, onProgress in
                try await outcome(request, context, accept, onProgress)
            }
        } catch let error as MediaError {
            guard isFromQueue, error.mayPassSoon else { return .done([failed(request, error)]) }
            if context.isLastAttempt { await discard(request) }
            throw PassingFailure(error)
        } catch let error as BlobError where error.code != .cancelled {
            if isFromQueue, error.isTemporary { throw error }
            return .done([failed(request, error)])
        }
    }

    /// What those who asked are told of an event for which no attempt is left.
    func giveUp(_ event: Envelope, _ reason: String) -> [Envelope] {
        guard let request = try? MediaRequest(event) else { return [] }
        return [failed(request, MediaError(.gaveUp, reason))]
    }

    private func outcome(
        _ request: MediaRequest, _ context: WorkContext, _ accept: @escaping @Sendable () async throws -> Void,
        _ onProgress: @escaping ProgressHandler
    ) async throws -> Outcome {
        var asked = try await identity(of: request)
        for _ in 0..<FetchStage.looks {
            let identity = await aliases.resolve(asked)
            let address = ContentAddress(request.kind, identity)
            if let info = try await stored(address.key) {
                runtime.log.info("in storage already", metadata: ["key": "\(address)"])
                return .done([try ready(info, request.kind)])
            }
            let answer = try await shared.answer(sharedName(address), for: context.waiter) {
                try await accept()
                return try await fetch(request, identity, onProgress).product
            }
            switch answer {
            case .held(let limit):
                try await context.publisher.publish(ProgressReports.envelope(request.kind, .waiting))
                return .held(for: limit)
            case .result(let json):
                let result = FetchResult(json)
                if case .stored(let url) = result { asked = SourceIdentity(url) ?? asked }
                if let events = try await events(result, request, identity) { return .done(events) }
            }
        }
        throw MediaError(.serverError, "The storage says now this, now that.", isTemporary: true)
    }

    /// nil: it is not so any more, and everything has to be looked at anew.
    private func events(
        _ result: FetchResult?, _ request: MediaRequest, _ identity: SourceIdentity
    ) async throws -> [Envelope]? {
        switch result {
        case nil, .stored: return nil
        case .failed(let error): throw error
        case .unstorable(let error): throw error
        case .large(let sizeBytes):
            guard !request.isLarge else { return nil }
            return largeDownload(request, sizeBytes)
        case .fetched(var media, let host):
            media.sourceURL = identity.sourceURL
            if access(media.path, F_OK) != 0 {
                // Moved away: as a rule, because the store has it now.
                if let info = try await stored(media.key) { return [try ready(info, request.kind)] }
                if host == Runtime.host {
                    await shared.forget(sharedName(ContentAddress(request.kind, identity)))
                    return nil
                }
            }
            var payload = media.payload
            payload["host"] = .string(host)
            return [.derived(type: "events.media.fetched", payload: payload)]
        }
    }

    /// Whoever has another store fetches for itself.
    private func sharedName(_ address: ContentAddress) -> String { "\(store.name)/\(address)" }

    func identity(of request: MediaRequest) async throws -> SourceIdentity {
        switch request.source {
        case .link(let link): try await direct.identify(link)
        case .telegramFile(let file): .telegramFile(uniqueID: file.uniqueID)
        }
    }

    private func ready(_ info: BlobInfo, _ kind: Media.MediaKind) throws(BlobError) -> Envelope {
        let path = cache.open(info.key)?.path ?? store.localPath(info.key)
        return .derived(try MediaObject.ready(info, kind: kind.payload, in: store, path: path, expires: expires))
    }

    private func failed(_ request: MediaRequest, _ error: MediaError) -> Envelope {
        runtime.log.notice("failed: \(error.reason)", metadata: ["code": "\(error.code.rawValue)"])
        return .derived(
            DownloadFailed(
                kind: request.kind.payload, url: request.link, code: error.code.rawValue, reason: error.reason,
                isTemporary: error.isTemporary))
    }

    private func failed(_ request: MediaRequest, _ error: BlobError) -> Envelope {
        runtime.log.error("unable to use the store: \(error.message)", metadata: ["code": "\(error.code.rawValue)"])
        return .derived(MediaObject.failed(error, kind: request.kind.payload, url: request.link))
    }

    /// Hands the command over to whoever does the large ones; the chat is told that it waits for its turn.
    private func largeDownload(_ request: MediaRequest, _ sizeBytes: Int64?) -> [Envelope] {
        runtime.log.info("handing a large download over", metadata: ["bytes": "\(sizeBytes ?? 0)"])
        var payload = request.source.payload
        payload["kind"] = .string(request.kind.rawValue)
        payload["size_bytes"] = sizeBytes.map { .integer($0) }
        payload["limit_bytes"] = .integer(limits.directBytes)
        return [
            ProgressReports.envelope(request.kind, .queued),
            .derived(type: MediaRequest.largeType, payload: payload),
        ]
    }
}

extension FetchStage {
    /// What the store has; a store that cannot be asked is no reason to fetch, as the result could not be stored.
    func stored(_ key: String) async throws(BlobError) -> BlobInfo? {
        do {
            return try await store.head(key)
        } catch {
            // blob-put makes the bucket, or says what is wrong with it.
            if error.code == .noSuchBucket { return nil }
            throw error
        }
    }

    /// Forgets what there is of a source that nobody will come back for.
    private func discard(_ request: MediaRequest) async {
        guard let identity = try? await identity(of: request) else { return }
        let address = ContentAddress(request.kind, await aliases.resolve(identity))
        let fetcher = direct
        await BlockingThread().run { fetcher.discard(address) }
    }

    /// Removes what was left half done long ago and is not coming back, what somebody else has stored meanwhile, and what is done
    /// with; until it is cancelled, and once
    /// more then.
    func sweep() async {
        let fetcher = direct
        let thread = BlockingThread()
        var isOver = false
        while !isOver {
            await thread.run { _ = fetcher.sweep(olderThan: .seconds(2 * 86_400)) }
            for address in await thread.run({ fetcher.untouched(for: .seconds(60)) })
            where (try? await stored(address.key)) != nil {
                await thread.run { fetcher.discard(address) }
            }
            isOver = Task.isCancelled
            if !isOver { try? await Task.sleep(for: .seconds(30)) }
        }
    }
}

/// A failure after which an event of a queue is tried again.
struct PassingFailure: ReportableError {
    let exitStatus = ExitStatus.tryAgain
    let message: String
    let retryAfter: Duration?

    init(_ error: MediaError) { (message, retryAfter) = (error.reason, error.retryAfter) }
}

extension MediaError {
    /// Whether it may be over in a minute; a live stream takes longer.
    fileprivate var mayPassSoon: Bool { isTemporary && code != .live }

    static func overLimit(_ retryAfterSeconds: Int64?) -> MediaError {
        let wait = retryAfterSeconds.map { ": try again in \($0) s" } ?? ""
        return MediaError(.rateLimited, "Too many requests\(wait).")
    }
}

extension Media.MediaKind {
    /// The same kind as payloads name it.
    fileprivate var payload: Payloads.MediaKind { self == .video ? .video : .audio }
}
