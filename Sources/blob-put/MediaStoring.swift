import Blob
import Envelope
import Glibc
import JSON
import Logging
import Payloads
import Stage

/// Stores the files of `events.media.fetched`, and reports each object or the reason why there is none.
struct MediaStoring: Sendable {
    let log: Logger
    let store: any BlobStore
    let cache: MediaCache
    let expires: Duration
    /// Makes one event store a file for all events that name the same key.
    let shared: SharedWork
    /// If true, transient failures return to the queue for a later attempt.
    let isFromQueue: Bool
    let outages: Outages

    /// The time that another machine has to store a file of its own disk, from the download on.
    private static let timeForOtherMachine = Duration.seconds(600)

    /// - Throws: `MalformedInput` for a payload that names no file. Other failures become events.
    @Sendable func handle(_ event: Envelope, _ context: WorkContext) async throws -> Outcome {
        let fetched = try MediaFetched(event)
        do {
            guard isFromQueue else { return try await outcome(fetched, context) }
            return try await outages.riding { try await outcome(fetched, context) }
        } catch let error as BlobError {
            if isFromQueue, error.isTransient { throw error }
            return .done([failed(fetched, error)])
        }
    }

    /// Returns the events for the requester of an event that has no attempt left.
    @Sendable func giveUp(_ event: Envelope, _ reason: String) -> [Envelope] {
        guard let fetched = try? MediaFetched(event) else { return [] }
        return [failed(fetched, BlobError(.storeFailed, reason, isTransient: true))]
    }

    private func outcome(_ fetched: MediaFetched, _ context: WorkContext) async throws -> Outcome {
        let file: LocalFile?
        do throws(BlobError) {
            file = try LocalFile(path: fetched.path, isFinal: true)
        } catch {
            if let info = try await storedBefore(fetched, error) {
                return .done([try ready(fetched, MediaObject.content(of: info), isCached: true)])
            }
            file = nil
        }
        let answer = try await shared.answer(
            "\(store.name)/\(fetched.key)", for: context.waiter, mayWork: file != nil
        ) {
            guard let file else { throw BlobError(.localIO, "there is no file") }
            do throws(BlobError) {
                return SharedWork.Product(["stored": .object(try await put(file, fetched, context.publisher).json)])
            } catch {
                guard error.code != .cancelled else { throw CancellationError() }
                return SharedWork.Product(["failed": .object(error.json)])
            }
        }
        switch answer {
        case .held(let limit): return .held(for: limit)
        case .result(let result):
            if let failure = result["failed"]?.object { throw BlobError(failure) }
            return .done([try ready(fetched, FileContent(result["stored"]?.object ?? [:]))])
        }
    }

    /// Finds the object of a file that is gone because an earlier event with it was handled.
    ///
    /// - Returns: nil if the machine that has the file may still store it.
    /// - Throws: `error` if no machine can store the file any more.
    private func storedBefore(_ fetched: MediaFetched, _ error: BlobError) async throws(BlobError) -> BlobInfo? {
        guard access(fetched.path, F_OK) != 0 else { throw error }
        if let info = try await store.head(fetched.key) { return info }
        guard fetched.isOnAnotherMachine,
            fetched.age ?? MediaStoring.timeForOtherMachine < MediaStoring.timeForOtherMachine
        else { throw error }
        return nil
    }

    /// Stores the file, unless the store has its key, and moves it to the local copies.
    ///
    /// - Returns: The content of the stored object. If another event stored other bytes of the same source first, those count.
    private func put(
        _ file: LocalFile, _ fetched: MediaFetched, _ publisher: Publisher
    ) async throws(BlobError) -> FileContent {
        let content = fetched.metadata.content
        let progress = StoringProgress(fetched, totalBytes: file.sizeBytes, publisher)
        let outcome = try await progress.publishing { () throws(BlobError) in
            try await store.put(
                file, key: fetched.key, metadata: MediaObject.metadata(of: fetched.metadata), sha256: content.sha256,
                ifAbsent: true, onProgress: progress.update)
        }
        log.info(
            outcome == .stored ? "stored \(fetched.key)" : "\(fetched.key) was stored already",
            metadata: ["size_bytes": .stringConvertible(file.sizeBytes)])
        let stored = if case .existed(let info) = outcome { MediaObject.content(of: info) } else { content }
        if stored.sha256 == nil || stored.sha256 == content.sha256 {
            _ = cache.take(fetched.path, as: fetched.key)
        } else {
            unlink(fetched.path)
        }
        return stored
    }

    /// Makes the event for one requester, with a local copy if there is one.
    private func ready(
        _ fetched: MediaFetched, _ stored: FileContent, isCached: Bool = false
    ) throws(BlobError) -> Envelope {
        var media = fetched
        media.metadata.content = stored.completed(from: fetched.metadata.content)
        let copy = cache.open(fetched.key)?.path
        // A file beside the local copy is a duplicate from another machine or another attempt. A file that could not be moved
        // to the local copies is the only one.
        if let copy, copy != fetched.path { unlink(fetched.path) }
        let path = copy ?? (access(fetched.path, F_OK) == 0 ? fetched.path : nil)
        return .derived(try MediaObject.ready(media, in: store, path: path, isCached: isCached, expires: expires))
    }

    private func failed(_ fetched: MediaFetched, _ error: BlobError) -> Envelope {
        log.error("unable to store \(fetched.key): \(error.message)", metadata: ["code": "\(error.code.rawValue)"])
        return .derived(MediaObject.failed(error, kind: fetched.kind, url: fetched.metadata.origin.sourceURL))
    }
}

extension MediaFetched {
    fileprivate var isOnAnotherMachine: Bool { host.map { $0 != Runtime.host } ?? false }

    /// The time since the download; nil if the event does not say when it was.
    fileprivate var age: Duration? {
        metadata.origin.fetchedAt.flatMap { Timestamp($0) }.map { Timestamp.now.elapsed(since: $0) }
    }
}
