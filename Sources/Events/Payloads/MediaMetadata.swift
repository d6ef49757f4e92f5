package import JSON

/// The kind of media that a user requested.
package enum MediaKind: String, Sendable, CaseIterable {
    case video
    case audio
    /// Pictures: photos, and whatever else a gallery holds, such as short videos.
    case image

    /// The extension of stored objects of this kind, without the dot.
    package var fileExtension: String {
        switch self {
        case .video: "mp4"
        case .audio: "mp3"
        // The formats of pictures are many; the content type tells which one it is.
        case .image: "bin"
        }
    }
}

/// Identifies the bytes of a file as far as they are known.
package struct FileContent: Sendable, Hashable {
    package var sizeBytes: Int64?
    /// Is written in lower-case hex.
    package var sha256: String?
    /// A media type such as `video/mp4`.
    package var contentType: String?

    package init(sizeBytes: Int64?, sha256: String?, contentType: String?) {
        self.sizeBytes = sizeBytes
        self.sha256 = sha256
        self.contentType = contentType
    }

    package init(_ object: JSONObject) {
        var reader = PayloadReader(object)
        self.init(&reader)
    }

    init(_ reader: inout PayloadReader) {
        self.init(
            sizeBytes: reader.integer("size_bytes"), sha256: reader.string("sha256"),
            contentType: reader.string("content_type"))
    }

    package var json: JSONObject {
        ["size_bytes": JSON(sizeBytes), "sha256": JSON(sha256), "content_type": JSON(contentType)]
    }

    /// This content, with what it lacks taken from another.
    package func completed(from other: FileContent) -> FileContent {
        FileContent(
            sizeBytes: sizeBytes ?? other.sizeBytes, sha256: sha256 ?? other.sha256,
            contentType: contentType ?? other.contentType)
    }
}

/// Describes a video or a piece of audio as a player shows it.
package struct MediaDescription: Sendable, Hashable {
    package var title: String?
    package var performer: String?
    package var durationSeconds: JSONNumber?
    /// The width and height of the picture, in pixels.
    package var width: Int64?
    package var height: Int64?

    package init(
        title: String? = nil, performer: String? = nil, durationSeconds: JSONNumber? = nil, width: Int64? = nil,
        height: Int64? = nil
    ) {
        self.title = title
        self.performer = performer
        self.durationSeconds = durationSeconds
        self.width = width
        self.height = height
    }

    init(_ reader: inout PayloadReader) {
        self.init(
            title: reader.string("title"), performer: reader.string("performer"),
            durationSeconds: reader.number("duration_seconds"), width: reader.integer("width"),
            height: reader.integer("height"))
    }

    var members: [JSONObject.Member] {
        JSONObject(
            dictionaryLiteral: ("title", JSON(title)), ("performer", JSON(performer)),
            ("duration_seconds", JSON(durationSeconds)),
            ("width", JSON(width)), ("height", JSON(height))
        ).members
    }
}

/// Names the source that media came from.
package struct MediaOrigin: Sendable, Hashable {
    /// The source as the user wrote it, or `telegram:file/…` for a file in Telegram.
    package var sourceURL: String?
    /// The same for all spellings of the source; the key is made from it.
    package var normalizedURL: String?
    /// The host name of the source, without `www.`.
    package var domain: String?
    /// RFC 3339, kept as it was written.
    package var fetchedAt: String?

    package init(sourceURL: String?, normalizedURL: String?, domain: String?, fetchedAt: String?) {
        self.sourceURL = sourceURL
        self.normalizedURL = normalizedURL
        self.domain = domain
        self.fetchedAt = fetchedAt
    }
}

/// Describes a media file from its download to its message.
package struct MediaMetadata: Sendable, Hashable {
    package var content: FileContent
    /// The file name shown to users, which is never used as a path.
    package var fileName: String?
    package var origin: MediaOrigin
    package var description: MediaDescription

    package init(content: FileContent, fileName: String?, origin: MediaOrigin, description: MediaDescription) {
        self.content = content
        self.fileName = fileName
        self.origin = origin
        self.description = description
    }

    init(_ reader: inout PayloadReader) {
        content = FileContent(&reader)
        fileName = reader.string("file_name")
        origin = MediaOrigin(
            sourceURL: reader.string("source_url"), normalizedURL: reader.string("normalized_url"),
            domain: reader.string("domain"), fetchedAt: reader.string("fetched_at"))
        description = MediaDescription(&reader)
    }

    var members: [JSONObject.Member] {
        let source = JSONObject(
            dictionaryLiteral: ("file_name", JSON(fileName)), ("source_url", JSON(origin.sourceURL)),
            ("normalized_url", JSON(origin.normalizedURL)), ("domain", JSON(origin.domain)))
        let time = JSONObject(dictionaryLiteral: ("fetched_at", JSON(origin.fetchedAt)))
        return content.json.members + source.members + description.members + time.members
    }

    /// Is true if it has everything that `events.media.fetched` must have, in the right form.
    package var isComplete: Bool {
        content.sizeBytes != nil && content.sha256 != nil && content.contentType != nil && fileName != nil
            && origin.sourceURL != nil && origin.normalizedURL != nil && origin.domain != nil
            && origin.fetchedAt.flatMap { Timestamp($0) } != nil
    }
}
