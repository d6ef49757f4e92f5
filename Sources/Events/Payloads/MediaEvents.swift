package import JSON

/// Reports the state and progress of a request: `events.media.progress`.
package struct MediaProgress: EventPayload {
    package static let type = "events.media.progress"
    package static let types = [type]

    package enum State: String, Sendable, CaseIterable {
        case accepted
        /// The person is asked for the form of the media, with `text` and `buttons`.
        case choosing
        /// As many downloads as allowed are running. `place` and `waitSeconds` say more, if they are known.
        case queued
        /// The same source is being downloaded for another request, for which this one waits.
        case waiting
        case downloading
        case converting
        case storing
        case uploading
    }

    /// The kind of media that was requested; nil as long as the part of the work that reports does not know it.
    package var kind: MediaKind?
    /// nil for a state that this version does not know.
    package var state: State?
    /// The completed fraction of the current state's work, 0…1, if it is known.
    package var fraction: Double?
    package var doneBytes: Int64?
    package var totalBytes: Int64?
    package var bytesPerSecond: JSONNumber?
    package var title: String?
    /// The place in the queue, 1 for the next request.
    package var place: Int64?
    /// The estimated time until the work on the request begins.
    package var waitSeconds: Int64?
    /// The question of the state `choosing`.
    package var text: String?
    /// The buttons of the state `choosing`, row by row.
    package var buttons: [[ChoiceButton]]

    package init(
        _ state: State, kind: MediaKind? = nil, fraction: Double? = nil, doneBytes: Int64? = nil,
        totalBytes: Int64? = nil, bytesPerSecond: Double? = nil, title: String? = nil, place: Int64? = nil,
        waitSeconds: Int64? = nil, text: String? = nil, buttons: [[ChoiceButton]] = []
    ) {
        (self.place, self.waitSeconds) = (place, waitSeconds)
        (self.text, self.buttons) = (text, buttons)
        self.kind = kind
        self.state = state
        self.fraction = fraction
        self.doneBytes = doneBytes
        self.totalBytes = totalBytes
        self.bytesPerSecond = bytesPerSecond.map { JSONNumber($0) }
        self.title = title
    }

    package init(_ payload: JSONObject, type: String = MediaProgress.type) {
        var reader = PayloadReader(payload)
        kind = reader.string("kind").flatMap(MediaKind.init)
        state = reader.string("state").flatMap(State.init)
        fraction = reader.number("fraction")?.double
        doneBytes = reader.integer("done_bytes")
        totalBytes = reader.integer("total_bytes")
        bytesPerSecond = reader.number("rate_bytes_per_second")
        title = reader.string("title")
        place = reader.integer("place").flatMap { $0 > 0 ? $0 : nil }
        waitSeconds = reader.integer("wait_seconds").flatMap { $0 >= 0 ? $0 : nil }
        text = reader.string("text")
        buttons = (reader.take("buttons", \.array) ?? []).map { row in
            (row.array ?? []).compactMap { ChoiceButton($0) }
        }
    }

    package var type: String { MediaProgress.type }

    package var json: JSONObject {
        [
            "kind": JSON(kind?.rawValue), "state": JSON(state?.rawValue), "fraction": fraction.map { .number($0) },
            "done_bytes": JSON(doneBytes), "total_bytes": JSON(totalBytes),
            "rate_bytes_per_second": JSON(bytesPerSecond), "title": JSON(title),
            "place": JSON(place), "wait_seconds": JSON(waitSeconds), "text": JSON(text),
            "buttons": buttons.isEmpty ? nil : .array(buttons.map { .array($0.map { $0.json }) }),
        ]
    }
}

/// A button that answers a question: a press becomes an update with its data.
package struct ChoiceButton: Sendable, Hashable {
    package var text: String
    /// At most 64 bytes.
    package var data: String

    package init(_ text: String, data: String) { (self.text, self.data) = (text, data) }

    /// Returns nil without a text, and for data that Telegram does not accept.
    package init?(_ json: JSON) {
        guard let text = json["text"]?.string, !text.isEmpty, let data = json["data"]?.string,
            (1...64).contains(data.utf8.count)
        else { return nil }
        self.init(text, data: data)
    }

    package var json: JSON { .object(["text": .string(text), "data": .string(data)]) }
}

/// Names a local file that was downloaded completely: `events.media.fetched`.
package struct MediaFetched: EventPayload {
    package static let type = "events.media.fetched"
    package static let types = [type]

    package var kind: MediaKind
    /// The content address: the SHA-256 of the kind, a line feed and the normalized URL.
    package var key: String
    /// The path of the file. The next stage may move the file.
    package var path: String
    package var metadata: MediaMetadata
    /// The name of the machine that has the file.
    package var host: String?
    /// The members that are not read here, which go on to later events.
    let unknown: JSONObject

    package init(kind: MediaKind, key: String, path: String, metadata: MediaMetadata, host: String? = nil) {
        self.kind = kind
        self.key = key
        self.path = path
        self.metadata = metadata
        self.host = host
        unknown = [:]
    }

    /// - Throws: `MalformedInput` if there is no kind, key or path.
    package init(_ payload: JSONObject, type: String = MediaFetched.type) throws(MalformedInput) {
        var reader = PayloadReader(payload)
        guard let kind = reader.string("kind").flatMap(MediaKind.init) else {
            throw MalformedInput(.invalidPayload, "kind is none of video, audio and image")
        }
        guard let key = reader.string("key"), let path = reader.string("path"), !path.isEmpty else {
            throw MalformedInput(.invalidPayload, "no key or no path")
        }
        (self.kind, self.key, self.path) = (kind, key, path)
        metadata = MediaMetadata(&reader)
        host = reader.string("host")
        unknown = reader.unknown
    }

    package var type: String { MediaFetched.type }

    package var json: JSONObject {
        let name: JSONObject = ["kind": .string(kind.rawValue), "key": .string(key), "path": .string(path)]
        let place: JSONObject = ["host": JSON(host)]
        return JSONObject(name.members + metadata.members + place.members).followed(by: unknown)
    }
}

/// Names a stored object that is ready to be sent: `events.dl.video.ready`, `events.dl.audio.ready` and `events.dl.image.ready`.
package struct DownloadReady: EventPayload {
    package static let types = MediaKind.allCases.map(type(of:))

    /// The kind of media that was requested; nil only if a script left it out.
    package var kind: MediaKind?
    /// The content address.
    package var key: String
    /// The key of the object in the store, if it was made from a template.
    package var objectKey: String?
    /// The path of a local copy.
    package var path: String?
    package var metadata: MediaMetadata
    /// The store that has the object, such as `s3://bucket` or `file:/path`; nil only if a script left it out.
    package var store: String?
    /// A presigned GET URL, if the store can make one.
    package var url: String?
    /// RFC 3339, kept as it was written.
    package var urlExpiresAt: String?
    /// Is true if the object was already in the store, so that nothing was downloaded.
    package var isCached: Bool
    /// The event type that the payload was read from; nil for a payload that was made here.
    private let readType: String?
    private let unknown: JSONObject

    /// Describes an object of a store.
    package init(
        kind: MediaKind, key: String, path: String? = nil, metadata: MediaMetadata, store: String, isCached: Bool
    ) {
        (self.kind, self.key, self.path, self.metadata) = (kind, key, path, metadata)
        (self.store, self.isCached) = (store, isCached)
        (readType, unknown) = (nil, [:])
    }

    /// Describes the object that a fetched file became.
    ///
    /// - Parameter path: The path of a local copy, if there is one.
    package init(_ fetched: MediaFetched, store: String, path: String?, isCached: Bool) {
        (kind, key, self.path, metadata) = (fetched.kind, fetched.key, path, fetched.metadata)
        (self.store, self.isCached) = (store, isCached)
        // `host` is for blob-put only, whatever its value.
        let ours: Set = ["host", "object_key"]
        (readType, unknown) = (nil, JSONObject(fetched.unknown.members.filter { !ours.contains($0.key) }))
    }

    /// Reads this payload, or that of `events.media.fetched`, which has no store.
    ///
    /// - Throws: `MalformedInput` if there is no key.
    package init(_ payload: JSONObject, type: String) throws(MalformedInput) {
        var reader = PayloadReader(payload)
        kind = reader.string("kind").flatMap(MediaKind.init)
        guard let key = reader.string("key") else { throw MalformedInput(.invalidPayload, "\(type): no key") }
        self.key = key
        objectKey = reader.string("object_key")
        path = reader.string("path")
        metadata = MediaMetadata(&reader)
        store = reader.string("store")
        url = reader.string("url")
        urlExpiresAt = reader.string("url_expires_at")
        isCached = reader.bool("cached") ?? false
        readType = type
        unknown = reader.unknown
    }

    package static func type(of kind: MediaKind) -> String { "events.dl.\(kind.rawValue).ready" }

    /// The key of the object in the store.
    package var storedKey: String { objectKey ?? key }

    package var type: String { readType ?? kind.map { DownloadReady.type(of: $0) } ?? DownloadReady.types[0] }

    package var json: JSONObject {
        let name: JSONObject = ["kind": JSON(kind?.rawValue), "key": .string(key), "path": JSON(path)]
        let place: JSONObject = [
            "store": JSON(store), "object_key": JSON(objectKey), "url": JSON(url),
            "url_expires_at": JSON(urlExpiresAt), "cached": isCached ? true : nil,
        ]
        return JSONObject(name.members + metadata.members + place.members).followed(by: unknown)
    }
}

/// Reports that a request failed: `events.dl.video.failed`, `events.dl.audio.failed` and `events.dl.image.failed`.
package struct DownloadFailed: EventPayload {
    package static let types = MediaKind.allCases.map(type(of:))

    /// The kind of media that was requested; nil only if a script left it out, as for all members below.
    package var kind: MediaKind?
    /// The URL as the user wrote it; nil also for a file of a message.
    package var url: String?
    /// The kind of failure, as a word for scripts.
    package var code: String?
    /// The reason, as one line for the user.
    package var reason: String?
    /// Is true if another attempt may succeed.
    package var isTransient: Bool?
    /// The event type that the payload was read from; nil for a payload that was made here.
    private let readType: String?

    package init(kind: MediaKind, url: String?, code: String, reason: String, isTransient: Bool) {
        (self.kind, self.url, self.code, self.reason, self.isTransient) = (kind, url, code, reason, isTransient)
        readType = nil
    }

    package init(_ payload: JSONObject, type: String) {
        var reader = PayloadReader(payload)
        kind = reader.string("kind").flatMap(MediaKind.init)
        url = reader.string("url")
        code = reader.string("code")
        reason = reader.string("reason")
        isTransient = reader.bool("temporary")
        readType = type
    }

    package static func type(of kind: MediaKind) -> String { "events.dl.\(kind.rawValue).failed" }

    package var type: String { readType ?? kind.map { DownloadFailed.type(of: $0) } ?? DownloadFailed.types[0] }

    package var json: JSONObject {
        [
            "kind": JSON(kind?.rawValue), "url": JSON(url), "code": JSON(code), "reason": JSON(reason),
            "temporary": JSON(isTransient),
        ]
    }
}
