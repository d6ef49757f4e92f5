import Blob
import Envelope
import Glibc
import Logging
import Stage

/// Stores what was fetched, and says where it is or why it is not.
struct MediaStoring: Sendable {
    let log: Logger
    let store: any BlobStore
    let cache: MediaCache
    let expires: Duration

    static let accepted = "events.media.fetched"

    /// What `events.media.fetched` has to say for its file to be stored.
    private struct Fetched {
        let kind: String
        let key: String
        let path: String
        let payload: JSONObject

        init(_ payload: JSONObject) throws(MalformedInput) {
            guard let kind = payload["kind"]?.string, kind == "video" || kind == "audio" else {
                throw MalformedInput(.invalidPayload, "kind is neither video nor audio")
            }
            guard let key = payload["key"]?.string, let path = payload["path"]?.string, !path.isEmpty else {
                throw MalformedInput(.invalidPayload, "no key or no path")
            }
            (self.kind, self.key, self.path, self.payload) = (kind, key, path, payload)
        }
    }

    /// - Throws: `MalformedInput` for a payload that names no file; what else goes wrong becomes an event.
    @Sendable func handle(_ event: Envelope, _ context: WorkContext) async throws -> Outcome {
        let fetched = try Fetched(event.payload)
        do throws(BlobError) {
            let payload = try await put(fetched, context.publisher)
            return .done([.derived(type: "events.dl.\(fetched.kind).ready", payload: payload)])
        } catch {
            guard error.code != .cancelled else { throw CancellationError() }
            log.error("unable to store \(fetched.key): \(error.message)", metadata: ["code": "\(error.code.rawValue)"])
            let payload = MediaStoring.failure(error, fetched.payload)
            return .done([.derived(type: "events.dl.\(fetched.kind).failed", payload: payload)])
        }
    }

    private func put(_ fetched: Fetched, _ publisher: Publisher) async throws(BlobError) -> JSONObject {
        guard let source = try await file(of: fetched) else { return try await stored(fetched) }
        let progress = StoringProgress(fetched.payload, totalBytes: source.sizeBytes, publisher)
        let outcome = try await progress.publishing { () throws(BlobError) in
            try await store.put(
                source, key: fetched.key, metadata: MediaObject.metadata(of: fetched.payload),
                sha256: fetched.payload["sha256"]?.string, ifAbsent: true, onProgress: progress.update)
        }
        var payload = fetched.payload
        var path: String? = fetched.path
        if case .existed(let info) = outcome {
            // Somebody else was faster. With other bytes of the same source, it is those that count.
            let isSame = info.metadata.sha256 == nil || info.metadata.sha256 == payload["sha256"]?.string
            payload["size_bytes"] = .integer(info.sizeBytes)
            payload["sha256"] = info.metadata.sha256.map { .string($0) } ?? payload["sha256"]
            payload["content_type"] = info.metadata.contentType.map { .string($0) } ?? payload["content_type"]
            if !isSame {
                unlink(fetched.path)
                path = nil
            }
        }
        path = path.map { cache.take($0, as: fetched.key) ?? $0 }
        log.info(
            outcome == .stored ? "stored \(fetched.key)" : "\(fetched.key) was stored already",
            metadata: ["size_bytes": "\(source.sizeBytes)"])
        return try MediaObject.ready(payload, in: store, path: path, isCached: false, expires: expires)
    }

    /// The fetched file; nil when it is gone because another event with the same file was stored before.
    private func file(of fetched: Fetched) async throws(BlobError) -> LocalFile? {
        do {
            return try LocalFile(path: fetched.path, isFinal: true)
        } catch {
            guard access(fetched.path, F_OK) != 0, try await store.head(fetched.key) != nil else { throw error }
            return nil
        }
    }

    private func stored(_ fetched: Fetched) async throws(BlobError) -> JSONObject {
        let copy = cache.open(fetched.key)?.path
        return try MediaObject.ready(fetched.payload, in: store, path: copy, isCached: true, expires: expires)
    }

    /// The payload of `events.dl.*.failed`. Its reason is read in a chat: it says nothing of servers and folders, as the log does.
    private static func failure(_ error: BlobError, _ fetched: JSONObject) -> JSONObject {
        let reason =
            switch error.code {
            case .unreachable, .timedOut, .storeFailed, .busy: "the storage cannot be reached at the moment"
            case .tooLarge: "the file is too large for the storage"
            case .localIO: "the file could not be read from the disk, or the disk is full"
            case .corrupt: "the file was damaged on the way to the storage"
            default: "the storage refused the file; its owner has to look at it"
            }
        return [
            "kind": fetched["kind"], "url": fetched["source_url"], "code": .string("store_\(error.code.rawValue)"),
            "reason": .string(reason), "temporary": .bool(error.isTemporary),
        ]
    }
}
