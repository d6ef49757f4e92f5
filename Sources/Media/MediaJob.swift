/// Brings a file to a path.
package typealias FileFetcher =
    @Sendable (_ path: String, _ onProgress: @escaping @Sendable (_ doneBytes: Int64) -> Void) async throws(MediaError)
    -> Void

/// What to fetch.
package struct MediaJob: Sendable {
    /// Where the bytes come from.
    package enum Origin: Sendable {
        /// The identity's own link: a file, or a page for yt-dlp.
        case site
        /// A file at another URL, which may hold a secret: a Telegram file, a presigned link. Any address is allowed: the
        /// URL is not a stranger's.
        case download(url: String)
        /// A file on this machine, which is left as it is: a video in storage, a file of a local Bot API server.
        case local(path: String)
        /// What somebody else brings to a path, of so many bytes if that is known: a file that came to an account of Telegram. An
        /// attempt that is made again gets the same path.
        case fetched(sizeBytes: Int64?, FileFetcher)
    }

    package var kind: MediaKind
    package var identity: SourceIdentity
    package var origin: Origin
    /// What is known of it already; wins over what is found in the file, not over what the site says.
    package var title: String?
    package var performer: String?
    package var fileName: String?
    package var durationSeconds: Double?

    package init(
        _ kind: MediaKind, _ identity: SourceIdentity, origin: Origin = .site, title: String? = nil,
        performer: String? = nil, fileName: String? = nil, durationSeconds: Double? = nil
    ) {
        self.kind = kind
        self.identity = identity
        self.origin = origin
        self.title = title
        self.performer = performer
        self.fileName = fileName
        self.durationSeconds = durationSeconds
    }

    package var address: ContentAddress { ContentAddress(kind, identity) }
}
