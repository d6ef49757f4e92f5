import Blob
import Envelope
import Glibc
import JSON
import Logging
import Payloads
import Stage
import System

/// Stores the files of `events.media.fetched`, and reports each object or the reason why there is none.
struct MediaStoring: Sendable {
    let log: Logger
    let store: any BlobStore
    /// The form of the keys; nil for content addresses.
    let template: KeyTemplate?
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
            let key = try template?.key(KeyTemplate.values(event, fetched)) ?? fetched.key
            guard isFromQueue else { return try await outcome(fetched, key, context) }
            return try await outages.riding { try await outcome(fetched, key, context) }
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

    private func outcome(_ fetched: MediaFetched, _ key: String, _ context: WorkContext) async throws -> Outcome {
        // Files with different contents may have the same key by template, so that one answer is not the other's.
        let content = template == nil ? "" : "#\(fetched.metadata.content.sha256 ?? "")"
        let name = "\(store.name)/\(key)\(content)"
        let file: LocalFile?
        do throws(BlobError) {
            file = try LocalFile(path: fetched.path, isFinal: true)
        } catch {
            file = template == nil ? nil : copy(of: fetched)
            do throws(BlobError) {
                if let stored = try await storedBefore(fetched, key, error) {
                    // The event may have waited for an owner that was killed before it could publish its result.
                    await shared.leave(name, context.waiter)
                    return .done([try ready(fetched, stored, isCached: true)])
                }
            } catch {
                guard file != nil else { throw error }
            }
        }
        let answer = try await shared.answer(name, for: context.waiter, mayWork: file != nil) { _ in
            guard let file else { throw BlobError(.localIO, "there is no file") }
            do throws(BlobError) {
                let stored = try await put(file, fetched, key, context.publisher)
                return SharedWork.Product(["stored": .object(stored.content.json), "key": .string(stored.key)])
            } catch {
                guard error.code != .cancelled else { throw CancellationError() }
                return SharedWork.Product(["failed": .object(error.json)])
            }
        }
        switch answer {
        case .held(let limit): return .held(for: limit)
        case .result(let result):
            if let failure = result["failed"]?.object { throw BlobError(failure) }
            let stored = StoredObject(
                key: result["key"]?.string ?? key, content: FileContent(result["stored"]?.object ?? [:]))
            return .done([try ready(fetched, stored)])
        }
    }

    /// Finds the object of a file that is gone because an earlier event with it was handled.
    ///
    /// - Returns: nil if the machine that has the file may still store it.
    /// - Throws: `error` if no machine can store the file any more.
    private func storedBefore(
        _ fetched: MediaFetched, _ key: String, _ error: BlobError
    ) async throws(BlobError) -> StoredObject? {
        guard access(fetched.path, F_OK) != 0 else { throw error }
        for key in keys(fetched, key) {
            if let info = try await store.head(key), isWanted(info, fetched) { return StoredObject(info) }
        }
        guard fetched.isOnAnotherMachine,
            fetched.age ?? MediaStoring.timeForOtherMachine < MediaStoring.timeForOtherMachine
        else { throw error }
        return nil
    }

    /// Returns the local copy of a file that was stored for another message, under that one's key.
    private func copy(of fetched: MediaFetched) -> LocalFile? {
        guard let path = cache.open(fetched.key)?.path else { return nil }
        do throws(BlobError) { return try LocalFile(path: path, isFinal: true) } catch { return nil }
    }

    /// Returns the keys under which the file may be: by template, another file may have the first one already.
    private func keys(_ fetched: MediaFetched, _ key: String) -> [String] {
        guard template != nil, let sha256 = fetched.metadata.content.sha256 else { return [key] }
        return [key, KeyTemplate.distinct(key, sha256: sha256)]
    }

    /// Returns whether an object is what the event is about. An object at a content address is, whatever its bytes: another event
    /// may have fetched other bytes of the same source first.
    private func isWanted(_ info: BlobInfo, _ fetched: MediaFetched) -> Bool {
        template == nil || info.metadata.sha256 == fetched.metadata.content.sha256
    }

    /// Stores the file, unless the store has its key, and moves it to the local copies.
    ///
    /// - Returns: The stored object. If another event stored other bytes of the same source first, those count.
    private func put(
        _ file: LocalFile, _ fetched: MediaFetched, _ key: String, _ publisher: Publisher
    ) async throws(BlobError) -> StoredObject {
        for key in keys(fetched, key) {
            if let stored = try await putOnce(file, fetched, key, publisher) { return stored }
        }
        throw BlobError(.invalid, "other files have the key \(key)")
    }

    /// Returns nil if another file has the key.
    private func putOnce(
        _ file: LocalFile, _ fetched: MediaFetched, _ key: String, _ publisher: Publisher
    ) async throws(BlobError) -> StoredObject? {
        let content = fetched.metadata.content
        let progress = StoringProgress(fetched, totalBytes: file.sizeBytes, publisher)
        let stored = try await progress.publishing { () throws(BlobError) in
            try await MediaObject.put(
                file, of: fetched.metadata, as: key, in: store, onProgress: progress.update)
        }
        if let before = stored.before, !isWanted(before, fetched) { return nil }
        log.info(
            stored.before == nil ? "stored \(key)" : "\(key) was stored already",
            metadata: ["size_bytes": .stringConvertible(file.sizeBytes)])
        if stored.content.sha256 == nil || stored.content.sha256 == content.sha256 {
            _ = cache.take(fetched.path, as: fetched.key)
        } else {
            unlink(fetched.path)
        }
        return StoredObject(key: key, content: stored.content)
    }

    /// Makes the event for one requester, with a local copy if there is one.
    private func ready(
        _ fetched: MediaFetched, _ stored: StoredObject, isCached: Bool = false
    ) throws(BlobError) -> Envelope {
        var media = fetched
        media.metadata.content = stored.content.completed(from: fetched.metadata.content)
        let copy = cache.open(fetched.key)?.path
        // A file beside the local copy is a duplicate from another machine or another attempt. A file that could not be moved
        // to the local copies is the only one.
        if let copy, copy != fetched.path { unlink(fetched.path) }
        let path = copy ?? (access(fetched.path, F_OK) == 0 ? fetched.path : nil)
        return .derived(
            try MediaObject.ready(
                media, in: store, objectKey: stored.key == fetched.key ? nil : stored.key, path: path,
                isCached: isCached,
                expires: expires))
    }

    private func failed(_ fetched: MediaFetched, _ error: BlobError) -> Envelope {
        log.error("unable to store \(fetched.key): \(error.message)", metadata: ["code": "\(error.code.rawValue)"])
        return .derived(MediaObject.failed(error, kind: fetched.kind, url: fetched.metadata.origin.sourceURL))
    }
}

/// An object that the store has.
private struct StoredObject: Sendable {
    let key: String
    let content: FileContent

    init(key: String, content: FileContent) { (self.key, self.content) = (key, content) }

    init(_ info: BlobInfo) { (key, content) = (info.key, MediaObject.content(of: info)) }
}

extension KeyTemplate {
    /// Returns what the name of a file and a time tell.
    static func values(fileName: String, at time: Timestamp) -> [Field: String] {
        let text = time.description
        let ending = FileType.safeExtension(of: fileName)
        return [
            .name: fileName, .stem: FileName.stem(fileName), .ext: ending ?? "bin", .date: String(text.prefix(10)),
            .year: String(text.prefix(4)), .month: String(text.dropFirst(5).prefix(2)),
            .day: String(text.dropFirst(8).prefix(2)),
            .time: String(text.dropFirst(11).prefix(8)).replacing(":", with: "-"),
        ]
    }

    /// Returns what is known about a fetched file: of the message that it comes from, or else of the request.
    static func values(_ event: Envelope, _ fetched: MediaFetched) -> [Field: String] {
        let (source, origin, metadata) = (event.source, event.origin, fetched.metadata)
        let time = source?.date ?? event.receivedAt ?? metadata.origin.fetchedAt.flatMap { Timestamp($0) } ?? .now
        var values = values(fileName: metadata.fileName ?? "file", at: time)
        let chat = source.map { "\($0.chatID)" } ?? origin?.chat?.description
        values[.chat] = chat
        values[.chatName] = source?.chatUsername ?? source?.chatTitle ?? chat
        values[.messageID] = (source?.messageID ?? origin?.messageID).map { "\($0)" }
        values[.user] = (event.actor?.id).map { "\($0)" }
        values[.title] = metadata.description.title
        values[.performer] = metadata.description.performer
        values[.kind] = fetched.kind.rawValue
        values[.domain] = metadata.origin.domain
        values[.sha256] = metadata.content.sha256
        values[.key] = fetched.key
        return values
    }
}

extension MediaFetched {
    fileprivate var isOnAnotherMachine: Bool { host.map { $0 != Runtime.host } ?? false }

    /// The time since the download; nil if the event does not say when it was.
    fileprivate var age: Duration? {
        metadata.origin.fetchedAt.flatMap { Timestamp($0) }.map { Timestamp.now.elapsed(since: $0) }
    }
}
