package import Payloads

/// Fetches a file to a path.
package typealias FileFetcher =
    @Sendable (_ path: String, _ onProgress: @escaping @Sendable (_ doneBytes: Int64) -> Void) async throws(MediaError)
    -> Void

/// Receives the normalized URL of the page that is the media's own, when it differs from the normalized URL of the
/// link. What is then downloaded and described is what that page leads to.
///
/// It is called as soon as the site reports the URL, before the download. An error that it throws ends the fetch, for
/// a caller that has that media already.
package typealias CanonicalURLHandler = @Sendable (_ normalizedURL: String) async throws(MediaError) -> Void

/// Describes the media to fetch.
package struct MediaJob: Sendable {
    /// Names the source of the bytes.
    package enum Origin: Sendable {
        /// The identity's own link: a file, or a page for yt-dlp.
        case site
        /// A file at another URL, which may hold a secret: a Telegram file, a presigned link. Any address is allowed,
        /// because the URL does not come from a stranger.
        case download(url: String)
        /// A file on this machine, which is not changed: a video in storage, a file of a local Bot API server.
        case local(path: String)
        /// A file that the caller's function fetches to a path, such as a file of a Telegram account. Its size is
        /// given if it is known. Another attempt gets the same path.
        case fetched(sizeBytes: Int64?, FileFetcher)
    }

    package var kind: MediaKind
    package var identity: SourceIdentity
    package var origin: Origin
    /// The title, if it is known. It takes precedence over the file's own title, but not over the site's.
    package var title: String?
    package var performer: String?
    package var fileName: String?
    package var durationSeconds: Double?
    /// The wanted form of the media.
    package var variant: MediaVariant
    /// The wanted file of a gallery, as far as a list has told it.
    package var picture: GalleryFile?
    /// Is true if the request may read pages of the account that the program is signed in with.
    package var readsAccountPages = true

    package init(
        _ kind: MediaKind, _ identity: SourceIdentity, _ variant: MediaVariant = .standard, origin: Origin = .site,
        title: String? = nil, performer: String? = nil, fileName: String? = nil, durationSeconds: Double? = nil
    ) {
        self.kind = kind
        self.identity = identity
        self.variant = variant.of(kind)
        self.origin = origin
        self.title = title
        self.performer = performer
        self.fileName = fileName
        self.durationSeconds = durationSeconds
    }

    package var address: ContentAddress { ContentAddress(kind, identity, variant) }
}
