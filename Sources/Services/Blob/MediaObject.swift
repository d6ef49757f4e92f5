package import JSON

/// Media as a stored object: what of `events.media.fetched` goes into its metadata, and how `events.dl.*.ready` is told from it.
package enum MediaObject {
    /// Metadata names and payload keys. Text is cut to so many bytes as it is encoded: S3 takes 2 KB in all.
    private static let texts: [(name: String, key: String, encodedBytes: Int)] = [
        ("source-url", "source_url", 480), ("normalized-url", "normalized_url", 380), ("domain", "domain", 100),
        ("title", "title", 480), ("performer", "performer", 120), ("fetched-at", "fetched_at", 40),
    ]
    private static let numbers: [(name: String, key: String)] = [
        ("duration", "duration_seconds"), ("width", "width"), ("height", "height"),
    ]

    /// The metadata for the file of an `events.media.fetched`.
    package static func metadata(of fetched: JSONObject) -> BlobMetadata {
        var metadata = BlobMetadata(
            contentType: fetched["content_type"]?.string, fileName: fetched["file_name"]?.string)
        for (name, key, limit) in texts {
            if let text = fetched[key]?.string, !text.isEmpty { metadata.user[name] = cut(text, toEncoded: limit) }
        }
        for (name, key) in numbers { if let number = fetched[key] { metadata.user[name] = number.text } }
        return metadata
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

    /// How long a presigned URL of `events.dl.*.ready` is valid.
    package static let defaultExpiry = Duration.seconds(86_400)

    /// The payload of `events.dl.*.ready` for an object that was there already.
    ///
    /// - Throws: when no URL can be signed.
    package static func ready(
        _ info: BlobInfo, kind: String, in store: any BlobStore, expires: Duration
    ) throws(BlobError) -> JSONObject {
        var fetched: JSONObject = [
            "kind": .string(kind), "key": .string(info.key), "size_bytes": .integer(info.sizeBytes),
            "sha256": info.metadata.sha256.map { .string($0) },
            "content_type": .string(info.metadata.contentType ?? "application/octet-stream"),
            "file_name": info.metadata.fileName.map { .string($0) },
        ]
        for (name, key, _) in texts { fetched[key] = info.metadata.user[name].map { .string($0) } }
        for (name, key) in numbers {
            fetched[key] = info.metadata.user[name].flatMap { try? JSON(parsing: $0) }.flatMap {
                $0.double == nil ? nil : $0
            }
        }
        return try ready(fetched, in: store, path: nil, isCached: true, expires: expires)
    }

    /// The payload of `events.dl.*.ready` for a file that was just stored.
    ///
    /// - Parameters:
    ///   - fetched: the payload of `events.media.fetched`.
    ///   - path: a local copy.
    ///   - isCached: that nothing was fetched for it.
    package static func ready(
        _ fetched: JSONObject, in store: any BlobStore, path: String?, isCached: Bool, expires: Duration
    ) throws(BlobError) -> JSONObject {
        guard let key = fetched["key"]?.string else { throw BlobError(.invalid, "no key") }
        var payload = fetched
        payload["store"] = .string(store.name)
        payload["path"] = path.map { .string($0) }
        if let url = try store.presignedURL(
            key, expires: expires, contentType: fetched["content_type"]?.string, fileName: fetched["file_name"]?.string)
        {
            payload["url"] = .string(url)
            payload["url_expires_at"] = .string((Timestamp.now + expires).description)
        }
        if isCached { payload["cached"] = true }
        return payload
    }

    /// The payload of `events.dl.*.failed` when it was the store that failed.
    ///
    /// - Parameter url: what was asked for.
    package static func failed(_ error: BlobError, kind: String, url: String?) -> JSONObject {
        [
            "kind": .string(kind), "url": url.map { .string($0) }, "code": .string("store_\(error.code.rawValue)"),
            "reason": .string(error.reasonForChat), "temporary": .bool(error.isTemporary),
        ]
    }
}
