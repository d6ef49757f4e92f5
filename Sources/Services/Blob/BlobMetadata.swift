import Crypto
package import JSON

/// What is kept beside an object's bytes.
package struct BlobMetadata: Sendable, Equatable {
    /// `video/mp4`; a store's default when nil.
    package var contentType: String?
    /// The name to offer to a person who downloads the object, any Unicode; not the key.
    package var fileName: String?
    /// Lower-case names of letters, digits and single '-', values of any text. Names sort, so that output is always the same.
    /// An empty value is the same as none.
    package var user: [String: String]

    package init(contentType: String? = nil, fileName: String? = nil, user: [String: String] = [:]) {
        self.contentType = contentType
        self.fileName = fileName
        self.user = user
    }

    /// The user metadata under which a store keeps the hex SHA-256 of the bytes.
    static let sha256Name = "sha256"

    /// The SHA-256 (hex) of the object's bytes, when it was known as they were stored.
    package var sha256: String? {
        guard let text = user[BlobMetadata.sha256Name], SHA256.isHexDigest(text) else { return nil }
        return text
    }
}

/// An object that a store has.
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
