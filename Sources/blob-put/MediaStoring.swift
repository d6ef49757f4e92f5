import Blob
import Envelope
import Glibc
import JSON
import Logging
import Stage

/// Stores what was fetched, and says where it is or why it is not.
struct MediaStoring: Sendable {
    let log: Logger
    let store: any BlobStore
    let cache: MediaCache
    let expires: Duration
    /// One stores a file, whoever else was to store the same.
    let shared: SharedWork
    /// Then what may pass is tried again later.
    let isFromQueue: Bool

    /// How long a file that is on another machine may take to be stored from there.
    private static let patience = Duration.seconds(600)

    static let accepted = "events.media.fetched"

    /// What `events.media.fetched` has to say for its file to be stored.
    private struct Fetched {
        let kind: String
        let key: String
        let path: String
        let payload: JSONObject
        /// Whether another machine has the file.
        let isElsewhere: Bool

        /// How long ago it was fetched.
        var age: Duration {
            payload["fetched_at"]?.string.flatMap { Timestamp($0) }.map { Timestamp.now.elapsed(since: $0) }
                ?? MediaStoring.patience
        }

        init(_ payload: JSONObject) throws(MalformedInput) {
            guard let kind = payload["kind"]?.string, kind == "video" || kind == "audio" else {
                throw MalformedInput(.invalidPayload, "kind is neither video nor audio")
            }
            guard let key = payload["key"]?.string, let path = payload["path"]?.string, !path.isEmpty else {
                throw MalformedInput(.invalidPayload, "no key or no path")
            }
            (self.kind, self.key, self.path, self.payload) = (kind, key, path, payload)
            isElsewhere = payload["host"]?.string.map { $0 != Runtime.host } ?? false
        }
    }

    /// - Throws: `MalformedInput` for a payload that names no file; what else goes wrong becomes an event.
    @Sendable func handle(_ event: Envelope, _ context: WorkContext) async throws -> Outcome {
        let fetched = try Fetched(event.payload)
        do {
            return try await outcome(fetched, context)
        } catch let error as BlobError {
            if isFromQueue, error.isTemporary { throw error }
            return .done([failed(fetched, error)])
        }
    }

    /// What those who asked are told of an event for which no attempt is left.
    @Sendable func giveUp(_ event: Envelope, _ reason: String) -> [Envelope] {
        guard let fetched = try? Fetched(event.payload) else { return [] }
        return [failed(fetched, BlobError(.storeFailed, reason, isTemporary: true))]
    }

    private func outcome(_ fetched: Fetched, _ context: WorkContext) async throws -> Outcome {
        let file: LocalFile?
        do throws(BlobError) {
            file = try LocalFile(path: fetched.path, isFinal: true)
        } catch {
            if let info = try await storedBefore(fetched, error) {
                return .done([try ready(fetched, StoredFile(info), isCached: true)])
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
            return .done([try ready(fetched, StoredFile(result["stored"]?.object ?? [:]))])
        }
    }

    /// For a file that is not there any more, because another event with it was stored before.
    ///
    /// - Returns: nil when it may still be stored from the machine that has it.
    private func storedBefore(_ fetched: Fetched, _ error: BlobError) async throws(BlobError) -> BlobInfo? {
        guard access(fetched.path, F_OK) != 0 else { throw error }
        if let info = try await store.head(fetched.key) { return info }
        guard fetched.isElsewhere, fetched.age < MediaStoring.patience else { throw error }
        return nil
    }

    private func put(
        _ file: LocalFile, _ fetched: Fetched, _ publisher: Publisher
    ) async throws(BlobError) -> StoredFile {
        let progress = StoringProgress(fetched.payload, totalBytes: file.sizeBytes, publisher)
        let outcome = try await progress.publishing { () throws(BlobError) in
            try await store.put(
                file, key: fetched.key, metadata: MediaObject.metadata(of: fetched.payload),
                sha256: fetched.payload["sha256"]?.string, ifAbsent: true, onProgress: progress.update)
        }
        log.info(
            outcome == .stored ? "stored \(fetched.key)" : "\(fetched.key) was stored already",
            metadata: ["size_bytes": "\(file.sizeBytes)"])
        // Somebody else was faster: with other bytes of the same source, it is those that count.
        let stored = if case .existed(let info) = outcome { StoredFile(info) } else { StoredFile(fetched.payload) }
        if stored.isSame(as: fetched.payload) {
            _ = cache.take(fetched.path, as: fetched.key)
        } else {
            unlink(fetched.path)
        }
        return stored
    }

    /// The event for one who asked, with a local copy when there is one.
    private func ready(
        _ fetched: Fetched, _ stored: StoredFile, isCached: Bool = false
    ) throws(BlobError) -> Envelope {
        var payload = stored.added(to: fetched.payload)
        payload["host"] = nil
        let copy = cache.open(fetched.key)?.path
        // The duplicate of another machine or another attempt; what could not be moved to the copies is the only one.
        if let copy, copy != fetched.path { unlink(fetched.path) }
        let path = copy ?? (access(fetched.path, F_OK) == 0 ? fetched.path : nil)
        payload = try MediaObject.ready(payload, in: store, path: path, isCached: isCached, expires: expires)
        return .derived(type: "events.dl.\(fetched.kind).ready", payload: payload)
    }

    private func failed(_ fetched: Fetched, _ error: BlobError) -> Envelope {
        log.error("unable to store \(fetched.key): \(error.message)", metadata: ["code": "\(error.code.rawValue)"])
        let payload = MediaObject.failed(error, kind: fetched.kind, url: fetched.payload["source_url"]?.string)
        return .derived(type: "events.dl.\(fetched.kind).failed", payload: payload)
    }
}
