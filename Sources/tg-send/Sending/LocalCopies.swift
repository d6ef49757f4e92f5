import Blob
import System
import Glibc
import HTTP
import Payloads
import Stage

/// Reports that there is no copy of an object to upload.
struct NoCopy: Error, Sendable {
    /// One line for the user, without a capital letter and a full stop.
    let reason: String
    let isTransient: Bool
}

/// Reports that a store did not answer.
struct StoreFailure: OutageSign {
    let reason: String
    var suspectedOutage: SuspectedOutage? { SuspectedOutage(.store) }
    var outageReason: String { reason }
}

/// Finds the file of a stored object on this machine, or downloads it from the store.
struct LocalCopies: Sendable {
    let cache: MediaCache
    private let client = HTTPClient(userAgent: "tgpipe/\(tgpipeVersion)")

    init(cache: MediaCache) { self.cache = cache }

    private static let unwritable = NoCopy(reason: "unable to write to the media folder", isTransient: false)

    /// Opens the file of an `events.dl.*.ready`. No clean-up removes it while it is open.
    ///
    /// The places are tried in this order: the event's `path`, the local copies, a store on this machine, the event's
    /// `url`, the store.
    ///
    /// - Throws: `NoCopy`.
    func open(_ media: DownloadReady) async throws(NoCopy) -> OpenFile {
        let size = media.metadata.content.sizeBytes
        if let path = media.path, let file = whole(OpenFile(path: path), size) { return file }
        let key = media.key
        guard cache.path(of: key) != nil else {
            throw NoCopy(reason: "the file no longer exists", isTransient: false)
        }
        if let file = whole(cache.open(key), size) { return file }
        let store: (any BlobStore)?
        do { store = try media.store.map { try openStore($0) } } catch { store = nil }
        if let path = store?.localPath(media.storedKey), let file = whole(OpenFile(path: path), size) { return file }
        return try await fetch(media, store, size)
    }

    /// Finds out whether the place answers that `open` downloads an object from.
    ///
    /// - Throws: `StoreFailure` if it does not.
    func check(_ media: DownloadReady) async throws(StoreFailure) {
        if let url = media.url {
            do {
                let head = try await client.stream(HTTPRequest("GET", url), onHead: { _ in .stop }, onBody: { _ in })
                if head.status >= 500 { throw StoreFailure(reason: "the storage failed (\(head.status))") }
            } catch let error as StoreFailure {
                throw error
            } catch {
                throw StoreFailure(reason: "the storage cannot be reached")
            }
        } else if let store = media.store.flatMap({ try? openStore($0) }) {
            do { _ = try await store.head(BlobProbe.key) } catch {
                if error.suspectedOutage != nil { throw StoreFailure(reason: error.message) }
            }
        }
    }

    /// Returns a file that has the expected size. A crash or a full disk may have left a shorter one.
    private func whole(_ file: OpenFile?, _ size: Int64?) -> OpenFile? {
        guard let file, size == nil || file.sizeBytes == size else { return nil }
        return file
    }

    private func fetch(
        _ media: DownloadReady, _ store: (any BlobStore)?, _ size: Int64?
    ) async throws(NoCopy) -> OpenFile {
        guard let temporary = cache.temporaryPath() else { throw LocalCopies.unwritable }
        defer { unlink(temporary) }
        if let url = media.url {
            try await download(url, to: temporary)
        } else if let store {
            do { _ = try await store.get(media.storedKey, to: temporary) } catch {
                throw NoCopy(reason: "the stored file cannot be read: \(error.message)", isTransient: error.isTransient)
            }
        } else {
            throw NoCopy(reason: "the file no longer exists, and its store is unknown", isTransient: false)
        }
        guard let path = cache.take(temporary, as: media.key), let file = whole(OpenFile(path: path), size) else {
            throw NoCopy(reason: "the stored file is incomplete", isTransient: false)
        }
        return file
    }

    private func download(_ url: String, to path: String) async throws(NoCopy) {
        let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw LocalCopies.unwritable }
        defer { close(descriptor) }
        do {
            let head = try await client.stream(
                HTTPRequest("GET", url), onHead: { $0.status == 200 ? .receive : .stop },
                onBody: { bytes in
                    guard writeAll(descriptor, bytes) == 0 else { throw LocalCopies.unwritable }
                })
            guard head.status == 200 else {
                throw NoCopy(
                    reason: "the storage refused the download (HTTP status \(head.status))",
                    isTransient: head.status >= 500)
            }
        } catch let error as NoCopy {
            throw error
        } catch {
            let reason = (error as? HTTPError)?.underlying as? NoCopy
            throw reason ?? NoCopy(reason: "the storage cannot be reached", isTransient: true)
        }
    }
}
