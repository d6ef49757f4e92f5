import JSON
package import Payloads

/// Translates between the payloads of media events and the metadata of stored objects.
package enum MediaObject {
    /// The time for which a presigned URL of `events.dl.*.ready` is valid by default.
    package static let defaultExpiry = Duration.seconds(86_400)

    /// The names under which a store keeps the metadata of media.
    private enum Name {
        static let sourceURL = "source-url"
        static let normalizedURL = "normalized-url"
        static let domain = "domain"
        static let title = "title"
        static let performer = "performer"
        static let fetchedAt = "fetched-at"
        static let duration = "duration"
        static let width = "width"
        static let height = "height"
    }

    /// Returns the metadata with which the file of a media event is stored.
    ///
    /// Each text is cut to a limit for its encoded form, because S3 takes 2 KB of metadata in all.
    package static func metadata(of media: MediaMetadata) -> BlobMetadata {
        let (origin, description) = (media.origin, media.description)
        let texts: [(name: String, text: String?, encodedBytes: Int)] = [
            (Name.sourceURL, origin.sourceURL, 480), (Name.normalizedURL, origin.normalizedURL, 380),
            (Name.domain, origin.domain, 100), (Name.title, description.title, 480),
            (Name.performer, description.performer, 120), (Name.fetchedAt, origin.fetchedAt, 40),
        ]
        var metadata = BlobMetadata(contentType: inert(media.content.contentType), fileName: media.fileName)
        for (name, text, limit) in texts {
            if let text, !text.isEmpty { metadata.user[name] = cut(text, toEncoded: limit) }
        }
        metadata.user[Name.duration] = description.durationSeconds?.json.text
        metadata.user[Name.width] = description.width?.description
        metadata.user[Name.height] = description.height?.description
        return metadata
    }

    /// Returns the type under which a stranger's file is stored. A browser would execute scripts in an HTML page or an SVG
    /// image with the rights of the store's own pages, so only types that cannot hold scripts are kept.
    static func inert(_ contentType: String?) -> String? {
        guard let contentType else { return nil }
        let type = contentType.prefix { $0 != ";" }.lowercased().filter { !$0.isWhitespace }
        let isMedia = ["video/", "audio/", "image/"].contains { type.hasPrefix($0) } && !type.hasSuffix("xml")
        let isFile = ["application/pdf", "application/zip", "application/gzip", "text/plain"].contains(type)
        return isMedia || isFile ? contentType : "application/octet-stream"
    }

    /// Returns the metadata of a media event for a stored object.
    private static func media(of info: BlobInfo) -> MediaMetadata {
        let user = info.metadata.user
        return MediaMetadata(
            content: content(of: info), fileName: info.metadata.fileName,
            origin: MediaOrigin(
                sourceURL: user[Name.sourceURL], normalizedURL: user[Name.normalizedURL], domain: user[Name.domain],
                fetchedAt: user[Name.fetchedAt]),
            description: description(of: info))
    }

    /// Returns the description of a stored object's media.
    package static func description(of info: BlobInfo) -> MediaDescription {
        let user = info.metadata.user
        func number(_ name: String) -> JSON? { user[name].flatMap { try? JSON(parsing: $0) } }
        return MediaDescription(
            title: user[Name.title], performer: user[Name.performer],
            durationSeconds: number(Name.duration).flatMap { JSONNumber($0) }, width: number(Name.width)?.int,
            height: number(Name.height)?.int)
    }

    /// Returns what a store knows of an object's bytes.
    package static func content(of info: BlobInfo) -> FileContent {
        FileContent(
            sizeBytes: info.sizeBytes, sha256: info.metadata.sha256, contentType: info.metadata.contentType)
    }

    private static func cut(_ text: String, toEncoded limit: Int) -> String {
        guard percentEncoded(text).utf8.count > limit else { return text }
        let ellipsis = "…"
        var room = limit - percentEncoded(ellipsis).utf8.count
        var kept = ""
        for character in text {
            room -= percentEncoded(String(character)).utf8.count
            if room < 0 { break }
            kept.append(character)
        }
        return kept + ellipsis
    }

    /// Stores the file of a media event under a key, unless the store has an object there.
    ///
    /// - Parameter onProgress: gets the number of bytes sent so far, on any thread.
    package static func put(
        _ file: LocalFile, of media: MediaMetadata, as key: String, in store: any BlobStore,
        onProgress: @escaping @Sendable (Int64) -> Void
    ) async throws(BlobError) -> Stored {
        let outcome = try await store.put(
            file, key: key, metadata: metadata(of: media), sha256: media.content.sha256, ifAbsent: true,
            onProgress: onProgress)
        return Stored(outcome, media.content)
    }

    /// Makes the object of the pieces of a media event, unless the store has an object at its key.
    ///
    /// - Throws: `.invalid` for media without a SHA-256.
    package static func put(
        _ upload: StreamedUpload, of media: MediaMetadata, as key: String,
        onCopy: @Sendable (_ uploadID: String) async throws(BlobError) -> Void,
        onProgress: @escaping @Sendable (Int64) -> Void
    ) async throws(BlobError) -> Stored {
        guard let sha256 = media.content.sha256 else { throw BlobError(.invalid, "the media have no SHA-256") }
        let outcome = try await upload.finish(
            as: key, metadata: metadata(of: media), sha256: sha256, onCopy: onCopy, onProgress: onProgress)
        return Stored(outcome, media.content)
    }

    /// The object that media became.
    package struct Stored: Sendable {
        /// The object that was at the key before; nil if it was made now.
        package let before: BlobInfo?
        /// The content of the object. It differs from this request's if another request has stored other bytes of the same source first.
        package let content: FileContent

        init(_ outcome: PutOutcome, _ own: FileContent) {
            if case .existed(let info) = outcome {
                (before, content) = (info, MediaObject.content(of: info))
            } else {
                (before, content) = (nil, own)
            }
        }
    }

    /// Describes an object that was in the store already.
    ///
    /// - Parameter path: The path of a local copy, if there is one.
    /// - Throws: `BlobError` if no URL can be signed.
    package static func ready(
        _ info: BlobInfo, kind: MediaKind, in store: any BlobStore, path: String?, expires: Duration
    ) throws(BlobError) -> DownloadReady {
        var media = media(of: info)
        media.content.contentType = media.content.contentType ?? "application/octet-stream"
        let ready = DownloadReady(
            kind: kind, key: info.key, path: path, metadata: media, store: store.name, isCached: true)
        return try signed(ready, by: store, expires: expires)
    }

    /// Describes the stored object that a fetched file became.
    ///
    /// - Parameters:
    ///   - objectKey: The key of the object, if it is not the content address.
    ///   - path: The path of a local copy, if there is one.
    ///   - isCached: Whether the object was in the store already, so that nothing was downloaded.
    /// - Throws: `BlobError` if no URL can be signed.
    package static func ready(
        _ fetched: MediaFetched, in store: any BlobStore, objectKey: String? = nil, path: String?, isCached: Bool,
        expires: Duration
    ) throws(BlobError) -> DownloadReady {
        var ready = DownloadReady(fetched, store: store.name, path: path, isCached: isCached)
        ready.objectKey = objectKey
        return try signed(ready, by: store, expires: expires)
    }

    /// Adds a URL, if the store makes some.
    package static func signed(
        _ ready: DownloadReady, by store: any BlobStore, expires: Duration
    ) throws(BlobError) -> DownloadReady {
        var ready = ready
        ready.url = try store.presignedURL(
            ready.storedKey, expires: expires, contentType: inert(ready.metadata.content.contentType),
            fileName: ready.metadata.fileName)
        if ready.url != nil { ready.urlExpiresAt = (Timestamp.now + expires).description }
        return ready
    }

    /// Describes a request that failed because of the store.
    ///
    /// - Parameter url: The URL as the user wrote it.
    package static func failed(_ error: BlobError, kind: MediaKind, url: String?) -> DownloadFailed {
        DownloadFailed(
            kind: kind, url: url, code: "store_\(error.code.rawValue)", reason: error.reasonForChat,
            isTransient: error.isTransient)
    }
}
