import Digest

/// Where an object lives in storage: found from what was asked for, so that who asks for the same gets the same.
public struct ContentAddress: Sendable, Hashable, CustomStringConvertible {
    public let kind: MediaKind
    /// Lower-case hex SHA-256 of the kind, a line feed, and the normalized URL.
    public let hash: String

    public init(_ kind: MediaKind, _ identity: SourceIdentity) {
        self.init(kind, normalizedURL: identity.normalizedURL)
    }

    public init(_ kind: MediaKind, normalizedURL: String) {
        self.kind = kind
        hash = SHA256.hexDigest(Array("\(kind.rawValue)\n\(normalizedURL)".utf8))
    }

    init(_ kind: MediaKind, hash: String) {
        self.kind = kind
        self.hash = hash
    }

    /// `video/<hash>.mp4` or `audio/<hash>.mp3`.
    public var key: String { "\(kind.rawValue)/\(hash).\(kind.fileExtension)" }

    public var description: String { key }
}
