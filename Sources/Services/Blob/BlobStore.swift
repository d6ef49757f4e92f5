import Crypto
package import JSON

/// Stores objects: in an S3 bucket or in a folder. An object that one process puts is complete for every other
/// process, or absent.
package protocol BlobStore: Sendable {
    /// The address that opens this store again with `openStore`: `s3://bucket/prefix`, `file:/path`.
    var name: String { get }

    /// Returns the description of an object; nil when it does not exist.
    func head(_ key: String) async throws(BlobError) -> BlobInfo?

    /// Stores a file's bytes under `key`.
    ///
    /// - Parameters:
    ///   - sha256: the SHA-256 of the bytes, in hex, when it is known; otherwise it is computed. A file that does
    ///     not have it is refused, and nothing is stored. It is kept in the object's metadata.
    ///   - ifAbsent: whether an existing object is kept, also when two processes put it at the same moment.
    ///   - onProgress: gets the number of bytes sent so far, on any thread.
    func put(
        _ source: LocalFile, key: String, metadata: BlobMetadata, sha256: String?, ifAbsent: Bool,
        onProgress: (@Sendable (Int64) -> Void)?
    ) async throws(BlobError) -> PutOutcome

    /// Writes an object to `path`, where it appears complete or not at all. Its length is checked, and its SHA-256
    /// where the metadata has it.
    ///
    /// - Throws: `.notFound`, `.corrupt`, and other `BlobError`s.
    func get(
        _ key: String, to path: String, onProgress: (@Sendable (Int64) -> Void)?
    ) async throws(BlobError) -> BlobInfo

    /// Returns a URL with which anyone can read the object until it expires; nil for a store without such URLs.
    ///
    /// - Parameters:
    ///   - expires: at most seven days.
    ///   - contentType: the content type of the answer.
    ///   - fileName: the name under which a browser saves the object.
    func presignedURL(
        _ key: String, expires: Duration, contentType: String?, fileName: String?
    ) throws(BlobError) -> String?

    /// Removes an object. Removing an object that does not exist succeeds.
    func delete(_ key: String) async throws(BlobError)

    /// Returns the path of the object on this machine, whether it exists or not; nil for a remote store and for a key that is none.
    /// The file must not be changed.
    func localPath(_ key: String) -> String?

    /// The place where objects are made piece by piece; nil for a store that takes whole files only.
    var uploads: UploadArea? { get }
}

/// Names an object that need not exist, to find out whether a store answers.
package enum BlobProbe {
    package static let key = "tgpipe-probe"
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

/// Holds the metadata of an object.
package struct BlobMetadata: Sendable, Equatable {
    /// The content type, such as `video/mp4`; nil for the store's default.
    package var contentType: String?
    /// The file name for a person who downloads the object: any Unicode text, independent of the key.
    package var fileName: String?
    /// Further metadata. Names consist of lower-case letters, digits and single '-'; values are any text. Names are
    /// written in sorted order, so that the output is always the same. An empty value counts as none.
    package var user: [String: String]

    package init(contentType: String? = nil, fileName: String? = nil, user: [String: String] = [:]) {
        self.contentType = contentType
        self.fileName = fileName
        self.user = user
    }

    /// The metadata name under which a store keeps the hex SHA-256 of the bytes.
    static let sha256Name = "sha256"

    /// The SHA-256 of the object's bytes, in hex, if it was known when they were stored.
    package var sha256: String? {
        guard let text = user[BlobMetadata.sha256Name], SHA256.isHexDigest(text) else { return nil }
        return text
    }
}

/// Describes an object in a store.
package struct BlobInfo: Sendable, Equatable {
    package var key: String
    package var sizeBytes: Int64
    package var metadata: BlobMetadata
    package var etag: String?
    package var lastModified: Timestamp?

    package init(
        key: String, sizeBytes: Int64, metadata: BlobMetadata, etag: String? = nil, lastModified: Timestamp? = nil
    ) {
        self.key = key
        self.sizeBytes = sizeBytes
        self.metadata = metadata
        self.etag = etag
        self.lastModified = lastModified
    }
}

/// Checks keys against the limits of S3. The file store keeps them too, so that one store can replace the other.
enum ObjectKey {
    static let maxBytes = 1024

    /// Refuses a key that could leave its folder, or that servers and proxies would read differently.
    ///
    /// - Throws: `.invalid`.
    static func check(_ key: String) throws(BlobError) {
        guard !key.isEmpty else { throw BlobError(.invalid, "the key is empty") }
        guard key.utf8.count <= maxBytes else {
            throw BlobError(.invalid, "the key is longer than \(maxBytes) bytes")
        }
        guard !key.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
            throw BlobError(.invalid, "the key has a control character")
        }
        for segment in key.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            guard !segment.isEmpty else {
                throw BlobError(.invalid, "the key '\(key)' has an empty part; parts are separated by one '/'")
            }
            guard !segment.elementsEqual(".".utf8), !segment.elementsEqual("..".utf8) else {
                throw BlobError(.invalid, "the key '\(key)' has a part '.' or '..'")
            }
        }
    }
}
