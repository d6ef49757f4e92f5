import Digest
import Envelope

/// What is kept beside an object's bytes.
public struct BlobMetadata: Sendable, Equatable {
    /// `video/mp4`; a store's default when nil.
    public var contentType: String?
    /// The name to offer to a person who downloads the object, any Unicode; not the key.
    public var fileName: String?
    /// Lower-case names of letters, digits and single '-', values of any text. Names sort, so that output is always the same.
    /// An empty value is the same as none.
    public var user: [String: String]

    public init(contentType: String? = nil, fileName: String? = nil, user: [String: String] = [:]) {
        self.contentType = contentType
        self.fileName = fileName
        self.user = user
    }

    /// The user metadata under which a store keeps the hex SHA-256 of the bytes.
    static let sha256Name = "sha256"

    /// The SHA-256 (hex) of the object's bytes, when it was known as they were stored.
    public var sha256: String? {
        guard let text = user[BlobMetadata.sha256Name], SHA256.isHexDigest(text) else { return nil }
        return text
    }
}

/// An object that a store has.
public struct BlobInfo: Sendable, Equatable {
    public var key: String
    public var sizeBytes: Int64
    public var metadata: BlobMetadata
    public var etag: String?
    public var lastModified: Timestamp?

    public init(
        key: String, sizeBytes: Int64, metadata: BlobMetadata, etag: String? = nil, lastModified: Timestamp? = nil
    ) {
        self.key = key
        self.sizeBytes = sizeBytes
        self.metadata = metadata
        self.etag = etag
        self.lastModified = lastModified
    }
}
