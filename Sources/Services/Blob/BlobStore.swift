/// Where objects live: an S3 bucket or a folder. What one process put whole, any other sees whole or not at all.
package protocol BlobStore: Sendable {
    /// What `openStore` takes to open it again: `s3://bucket/prefix`, `file:/path`.
    var name: String { get }

    /// What is known of an object; nil when it is not there.
    func head(_ key: String) async throws(BlobError) -> BlobInfo?

    /// Stores the file's bytes under `key`.
    ///
    /// - Parameters:
    ///   - sha256: of the bytes, in hex, when it is known; else it is computed. A file that it does not fit is refused, and
    ///     nothing is stored. It is kept in the object's metadata.
    ///   - ifAbsent: leaves an object alone that is there already, also when two try at the same moment.
    ///   - onProgress: the bytes sent so far; called from any thread.
    func put(
        _ source: LocalFile, key: String, metadata: BlobMetadata, sha256: String?, ifAbsent: Bool,
        onProgress: (@Sendable (Int64) -> Void)?
    ) async throws(BlobError) -> PutOutcome

    /// Writes an object to `path`, which appears there whole or not at all; its length, and its SHA-256 where the metadata has
    /// it, are checked.
    ///
    /// - Throws: `.notFound`, `.corrupt`, and what else can go wrong.
    func get(
        _ key: String, to path: String, onProgress: (@Sendable (Int64) -> Void)?
    ) async throws(BlobError) -> BlobInfo

    /// A URL that gives the object to whoever has it, until it expires; nil where the store has no such thing.
    ///
    /// - Parameters:
    ///   - expires: at most seven days.
    ///   - contentType: what the answer will say that it is.
    ///   - fileName: what a browser will save it as.
    func presignedURL(
        _ key: String, expires: Duration, contentType: String?, fileName: String?
    ) throws(BlobError) -> String?

    /// Removes an object; none being there is as good.
    func delete(_ key: String) async throws(BlobError)

    /// Where the object is, or would be, on this machine's disk; nil for a store that is elsewhere. Not to be written to.
    func localPath(_ key: String) -> String?
}

package enum PutOutcome: Sendable, Equatable {
    case stored
    case existed(BlobInfo)
}

extension BlobStore {
    package func put(
        _ source: LocalFile, key: String, metadata: BlobMetadata, sha256: String? = nil, ifAbsent: Bool = true
    ) async throws(BlobError) -> PutOutcome {
        try await put(source, key: key, metadata: metadata, sha256: sha256, ifAbsent: ifAbsent, onProgress: nil)
    }

    package func get(_ key: String, to path: String) async throws(BlobError) -> BlobInfo {
        try await get(key, to: path, onProgress: nil)
    }
}
