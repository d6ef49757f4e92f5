import Crypto

/// Where an object lives in storage: found from what was asked for, so that who asks for the same gets the same.
package struct ContentAddress: Sendable, Hashable, CustomStringConvertible {
    package let kind: MediaKind
    /// Lower-case hex SHA-256 of the kind, a line feed, and the normalized URL.
    package let hash: String

    package init(_ kind: MediaKind, _ identity: SourceIdentity) {
        self.init(kind, normalizedURL: identity.normalizedURL)
    }

    package init(_ kind: MediaKind, normalizedURL: String) {
        self.kind = kind
        hash = SHA256.hexDigest(Array("\(kind.rawValue)\n\(normalizedURL)".utf8))
    }

    init(_ kind: MediaKind, hash: String) {
        self.kind = kind
        self.hash = hash
    }

    /// `video/<hash>.mp4` or `audio/<hash>.mp3`.
    package var key: String { "\(kind.rawValue)/\(hash).\(kind.fileExtension)" }

    package var description: String { key }
}
