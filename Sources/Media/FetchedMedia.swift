package import JSON

/// Describes a fetched file on the local disk: the payload of `events.media.fetched`.
package struct FetchedMedia: Sendable, Equatable {
    package var kind: MediaKind
    /// The content address.
    package var key: String
    /// The file's path. The caller may move the file.
    package var path: String
    package var sizeBytes: Int64
    /// The SHA-256 of the file's bytes, in lower-case hex.
    package var sha256: String
    package var contentType: String
    /// The file's name for people; not a path.
    package var fileName: String
    package var sourceURL: String
    package var normalizedURL: String
    package var domain: String
    package var title: String?
    package var performer: String?
    package var durationSeconds: Double?
    package var width: Int?
    package var height: Int?
    package var fetchedAt: Timestamp

    /// The normalized URL that the site itself gives the media, when it differs from `normalizedURL`. Both URLs mean
    /// the same media. It is not in the payload.
    package var canonicalURL: String?
}

extension FetchedMedia {
    /// The payload, as docs/events.md describes it.
    package var payload: JSONObject {
        [
            "kind": .string(kind.rawValue), "key": .string(key), "path": .string(path),
            "size_bytes": .integer(sizeBytes), "sha256": .string(sha256), "content_type": .string(contentType),
            "file_name": .string(fileName), "source_url": .string(sourceURL),
            "normalized_url": .string(normalizedURL), "domain": .string(domain), "title": title.map { .string($0) },
            "performer": performer.map { .string($0) }, "duration_seconds": durationSeconds.map { .number($0) },
            "width": width.map { .integer(Int64($0)) }, "height": height.map { .integer(Int64($0)) },
            "fetched_at": .string(fetchedAt.description),
        ]
    }

    /// Reads a payload; nil when a required field is missing or has another type.
    package init?(payload: JSONObject) {
        guard let kind = payload["kind"]?.string.flatMap(MediaKind.init), let key = payload["key"]?.string,
            let path = payload["path"]?.string, let size = payload["size_bytes"]?.int,
            let sha256 = payload["sha256"]?.string, let contentType = payload["content_type"]?.string,
            let fileName = payload["file_name"]?.string, let sourceURL = payload["source_url"]?.string,
            let normalizedURL = payload["normalized_url"]?.string, let domain = payload["domain"]?.string,
            let fetchedAt = payload["fetched_at"]?.string.flatMap(Timestamp.init)
        else { return nil }
        self.init(
            kind: kind, key: key, path: path, sizeBytes: size, sha256: sha256, contentType: contentType,
            fileName: fileName, sourceURL: sourceURL, normalizedURL: normalizedURL, domain: domain,
            title: payload["title"]?.string, performer: payload["performer"]?.string,
            durationSeconds: payload["duration_seconds"]?.double,
            width: payload["width"]?.int.flatMap(Int.init(exactly:)),
            height: payload["height"]?.int.flatMap(Int.init(exactly:)), fetchedAt: fetchedAt)
    }
}

/// Receives `FetchedMedia.canonicalURL` as soon as a site reports it, before the download. An error that it throws
/// ends the fetch, for a caller that has that media already.
package typealias CanonicalURLHandler = @Sendable (String) async throws(MediaError) -> Void
